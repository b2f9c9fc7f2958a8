"""Strictness that every test runs under, and the small experiment that the tests of the loop share."""

import os
import shutil
import tempfile
from pathlib import Path

# Several fake devices, so that sharding is exercised; set before JAX starts.
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
# What one test compiled the next need not; a folder for each worker, so that none reads what another is writing.
CACHE = Path(tempfile.gettempdir()) / "-".join(
    ["jaxloop-tests", os.environ.get("PYTEST_XDIST_TESTRUNUID", "alone"), str(os.getpid())]
)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import jax
import pytest

from jaxloop import config
from jaxloop.devices import make_mesh
from jaxloop.run import build as setup

pytest_plugins = ["workdirs"]  # simulated workdirs, which tests of analysis and report read

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_sessionfinish():
    shutil.rmtree(CACHE, ignore_errors=True)


def tiny(**changes) -> config.Spec:
    """A whole experiment in a few seconds: real digits at 12x12, narrow models, few epochs. Changes as "group.field"=value."""
    c = config.default()
    c.seeds = (0, 1)
    c.data.image_size = 12
    c.loop.generations = 2
    c.loop.capacity = 2
    c.generator.epochs, c.generator.width, c.generator.latent = 2, 4, 8
    c.classifier.epochs, c.classifier.width, c.classifier.batch_size = 2, 0.05, 128
    c.generator.batch_size = 128
    c.update_from_flattened_dict(changes)
    return config.resolve(c)


@pytest.fixture(scope="session")
def tiny_spec() -> config.Spec:
    return tiny()


@pytest.fixture(scope="session")
def tiny_parts(tiny_spec):
    return setup.build(tiny_spec, devices=jax.devices()[:1])[0]


@pytest.fixture
def one_device(monkeypatch):
    """Whole runs of the driver on one device: on eight fake ones they take several times as long."""
    monkeypatch.setattr(
        setup, "make_mesh", lambda seeds, devices=None: make_mesh(seeds, jax.devices()[:1])
    )

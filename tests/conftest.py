"""Strictness that every test runs under, and the small experiment that the tests of the loop
share."""

import os
import shutil
import tempfile
from pathlib import Path

# Several fake devices, so that sharding is exercised; set before JAX starts.
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
# Long runs need XLA's full optimisation. At level 1, without the emitters of fusions, the programs
# of these tests compile in a third of the time. One test of a whole command runs as users do, and
# `XLA_FLAGS= pytest` all.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", QUICK_TO_COMPILE)
# What one test compiled the next need not, in whichever worker: workers inherit the folder. With a
# size, JAX locks it.
OWN_CACHE = "" if "JAX_COMPILATION_CACHE_DIR" in os.environ else tempfile.mkdtemp()
if OWN_CACHE:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = OWN_CACHE
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(10**10)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

import jax
import pytest

from jaxloop import config
from jaxloop.devices import lay_out
from jaxloop.run import build
from jaxloop.spec import Spec

# Simulated workdirs, which tests of analysis and report read; networks that compile fast.
pytest_plugins = ["workdirs", "shallow"]

jax.config.update("jax_numpy_rank_promotion", "raise")


LONGEST = "test_main.py", "test_kill.py", "test_networks.py", "test_controls.py"
TESTS = Path(__file__).parent
# The environment of whole commands. A user has no XLA_FLAGS.
OF_COMMANDS = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(TESTS.parent)}


def pytest_collection_modifyitems(items):
    """Whole networks, which coverage slows down and tells little of, have a mark of their own."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in ("classifiers", "features", "ops"):
            item.add_marker("networks")
    items.sort(key=lambda item: item.path.name not in LONGEST)  # else one core waits for them


def pytest_sessionfinish():
    if OWN_CACHE:
        shutil.rmtree(OWN_CACHE, ignore_errors=True)


def tiny(**changes) -> Spec:
    """Return a whole experiment of a few seconds: real digits at 12x12, narrow models, few epochs.

    changes: "group.field"=value.
    """
    c = config.default()
    c.seeds = (0, 1)
    c.data.image_size = 12
    c.loop.generations = 2
    c.loop.capacity = 2
    c.generator.epochs, c.generator.width, c.generator.latent = 2, 4, 8
    c.classifier.epochs, c.classifier.width, c.classifier.batch_size = 2, 0.05, 128
    c.generator.batch_size = 128
    c.arms = ()
    if changes.get("loop.policy", "fifo") != "fifo":
        c.loop.capacity = Spec().loop.capacity
    c.update_from_flattened_dict(changes)
    return config.resolve(c)


def hasty(function):
    """Jit what runs a few times only: it compiles in a fifth of the time, and is half as fast."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(scope="module", autouse=True)
def promotion(request):
    """Strict, but for CLIP: transformers' Flax module lets int32 meet float32."""
    how = "standard" if "clip" in request.module.__name__ else "strict"
    jax.config.update("jax_numpy_dtype_promotion", how)


@pytest.fixture
def standard_promotion():
    """For bfloat16: Linen's normalisation lets it meet float32."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(scope="session")
def tiny_spec() -> Spec:
    return tiny()


@pytest.fixture(scope="session")
def tiny_experiment(tiny_spec):
    return build.build(tiny_spec, devices=jax.devices()[:1])[0]


@pytest.fixture
def one_device(monkeypatch):
    """Whole runs of the driver on one device: on eight fake ones they take several times as
    long."""
    one = lambda values, how, devices=None: lay_out(values, how, jax.devices()[:1])  # noqa: E731
    monkeypatch.setattr(build, "lay_out", one)

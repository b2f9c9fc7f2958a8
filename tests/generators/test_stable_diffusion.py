"""Stable Diffusion through the loop, on a pipeline of random weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.run import build
from tests.conftest import tiny
from tests.generators import tiny_pipeline

SMALL = {
    "generator.name": "stable_diffusion",
    "generator.width": None,
    "generator.latent": None,
    "generator.resolution": 8,
    "generator.rank": 2,
    "generator.sampling_steps": 3,
    "generator.guidance": 2.0,
    "generator.template": "{}",
    "generator.max_steps": 5,
    "generator.epochs": 2,
    "generator.batch_size": 128,
    "generator.sample_batch": 64,
    "classifiers": ("lenet",),
    "loop.mix": 0.1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_pipeline.write(tmp_path_factory.mktemp("pipeline"))


def spec_of(folder, **changes):
    values = {**SMALL, "generator.path": str(folder), **changes}
    return tiny(**values)


def test_loop(folder):
    from tests.playing import play

    experiment, description = build.build(spec_of(folder), devices=jax.devices()[:1])
    state, log = play(experiment)
    print(description["generator"])

"""Monte Carlo dropout: the masks of training in evaluation mode."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import classifiers, filters
from jaxloop.classifiers import dropout
from tests.classifiers.networks import drawn, jit_once, pictures, shapes

pytestmark = pytest.mark.usefixtures("shallow")

SIDE = 16


@functools.cache
def made(name: str):
    """(module, variables, images [6 SIDE SIDE 3])."""
    module = classifiers.create(name, 5, "small", 0.06)
    variables = drawn(shapes(name, "small", SIDE, SIDE, width=0.06)[0])
    return module, variables, pictures(6, SIDE, SIDE) / 5  # logits of order 1


def mean_log_probability(module, variables, x, passes: int):
    mean = partial(dropout.mean_log_probability, module, passes=passes)
    return jit_once(mean)(jax.random.key(7), variables, x)


def in_training(module, variables, x, *passes: int):
    """The logits of the forward passes of training with these numbers, [passes n L]."""

    def one(i):
        rngs = {"dropout": jax.random.fold_in(jax.random.key(7), i)}
        return module.apply(variables, x, train=True, rngs=rngs)

    return jit_once(partial(jax.lax.map, one))(jnp.asarray(passes))


@pytest.mark.parametrize("name", ["alexnet", "vgg19"])
def test_one_pass_is_the_forward_pass_of_training(name):
    # neither network has batch norm, so that dropout is all that training changes
    got = mean_log_probability(*made(name), passes=1)
    logits = in_training(*made(name), 0)[0]
    # the same masks; float32, compiled in two programs
    np.testing.assert_allclose(got, jax.nn.log_softmax(logits), rtol=1e-5, atol=1e-6)


def test_many_passes_are_the_mean_of_their_predictions():
    got = mean_log_probability(*made("alexnet"), passes=5)
    each = jax.nn.softmax(in_training(*made("alexnet"), *range(5)))
    assert float(jnp.abs(each[0] - each[1]).max()) > 0
    np.testing.assert_allclose(jnp.exp(got), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jnp.exp(got).sum(axis=1), 1, rtol=1e-5)


def test_batch_norm_sleeps():
    # Running statistics far from the batch's: without them the rows would depend on each other.
    module, variables, x = made("mobilenet_v3_small")
    statistics = jax.tree.map(lambda s: s + 1.0, variables["batch_stats"])
    variables = {**variables, "batch_stats": statistics}
    quiet = jit_once(partial(module.apply, train=False))(variables, x)
    got = mean_log_probability(module, variables, x, passes=200)
    # dropout of a fifth before the last layer alone: the mean is near the quiet prediction
    np.testing.assert_allclose(jnp.exp(got), jax.nn.softmax(quiet), atol=0.05)


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_which_networks_have_dropout(name):
    module = classifiers.create(name, 5, "small", 0.1)
    assert dropout.has_dropout(module, 32) == (
        name in ("alexnet", "vgg19", "mobilenet_v3_large", "mobilenet_v3_small")
    )


def test_the_score_is_the_entropy_of_the_mean():
    probability = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        score = filters.negative_entropy(
            jnp.maximum(jnp.log(jnp.asarray(probability, jnp.float32)), -80)
        )
    np.testing.assert_allclose(score, [-np.log(2), 0], atol=1e-6)

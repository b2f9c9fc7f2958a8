"""Monte Carlo dropout: the masks of training in evaluation mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import classifiers
from jaxloop.classifiers import dropout
from jaxloop.filters import scores

SIDE = 16


def made(name: str, num_classes: int = 5):
    module = classifiers.create(name, num_classes, "small", 0.1)
    x = jax.random.normal(jax.random.key(3), (6, SIDE, SIDE, 3))
    return module, module.init(jax.random.key(0), x, train=False), x


@pytest.mark.parametrize("name", ["alexnet", "vgg19"])
def test_one_pass_is_the_forward_pass_of_training(name):
    # neither network has batch norm, so that dropout is all that training changes
    module, variables, x = made(name)
    got = dropout.mean_log_probability(module, jax.random.key(7), variables, x, passes=1)
    key = jax.random.fold_in(jax.random.key(7), 0)
    logits = module.apply(variables, x, train=True, rngs={"dropout": key})
    # the same masks; float32, once compiled and once not
    np.testing.assert_allclose(got, jax.nn.log_softmax(logits), rtol=1e-5, atol=1e-6)


def test_many_passes_are_the_mean_of_their_predictions():
    module, variables, x = made("alexnet")
    got = dropout.mean_log_probability(module, jax.random.key(7), variables, x, passes=5)
    each = [
        jax.nn.softmax(
            module.apply(
                variables, x, train=True, rngs={"dropout": jax.random.fold_in(jax.random.key(7), i)}
            )
        )
        for i in range(5)
    ]
    assert float(jnp.abs(each[0] - each[1]).max()) > 0
    np.testing.assert_allclose(jnp.exp(got), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jnp.exp(got).sum(axis=1), 1, rtol=1e-5)


def test_batch_norm_sleeps():
    # Running statistics far from the batch's: without them the rows would depend on each other.
    module, variables, x = made("mobilenet_v3_small")
    variables = {
        **variables,
        "batch_stats": jax.tree.map(lambda s: s + 1.0, variables["batch_stats"]),
    }
    quiet = module.apply(variables, x, train=False)
    passes = dropout.mean_log_probability(module, jax.random.key(7), variables, x, passes=200)
    # dropout of a fifth before the last layer alone: the mean is near the quiet prediction
    np.testing.assert_allclose(jnp.exp(passes), jax.nn.softmax(quiet), atol=0.05)


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_which_networks_have_dropout(name):
    module = classifiers.create(name, 5, "small", 0.1)
    assert dropout.has_dropout(module, 32) == (
        name in ("alexnet", "vgg19", "mobilenet_v3_large", "mobilenet_v3_small")
    )


def test_the_score_is_the_entropy_of_the_mean():
    probability = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        score = scores.negative_entropy(
            jnp.maximum(jnp.log(jnp.asarray(probability, jnp.float32)), -80)
        )
    np.testing.assert_allclose(score, [-np.log(2), 0], atol=1e-6)

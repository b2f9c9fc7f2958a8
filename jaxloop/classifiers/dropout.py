"""Dropout in evaluation mode, for Monte Carlo estimates of uncertainty (Gal & Ghahramani, ICML 2016)."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop import classifiers
from jaxloop.types import Array, PyTree


def mean_log_probability(
    module: nn.Module, key: Array, variables: PyTree, x: Array, passes: int
) -> Array:
    """The logarithm of the predictive distribution averaged over forward passes, each with dropout masks of its own.

    Only dropout is awake: batch norm uses its running statistics, as in evaluation.

    Args:
      module: a classifier that has dropout; without, all passes are alike.
      x: float [n h w 3], as the module sees images.

    Returns:
      float32 [n L]: log of the mean over passes of softmax(logits). It can stand in the place of logits.
    """

    def one(i):
        with nn.intercept_methods(_awake):
            logits = module.apply(
                variables, x, train=False, rngs={"dropout": jax.random.fold_in(key, i)}
            )
        return jax.nn.log_softmax(logits)

    each = jax.lax.map(one, jnp.arange(passes))  # [passes n L]
    return jax.nn.logsumexp(each, axis=0) - jnp.log(jnp.float32(passes))


def has_dropout(module: nn.Module, image_size: int) -> bool:
    """Whether a classifier has dropout that does something. Nothing is computed."""
    rates = []

    def listen(next_function, args, kwargs, context):
        if isinstance(context.module, nn.Dropout):
            rates.append(context.module.rate)
        return next_function(*args, **kwargs)

    with nn.intercept_methods(listen):
        classifiers.shapes(module, image_size)
    return any(rate > 0 for rate in rates)


def _awake(next_function, args, kwargs, context):
    """Dropout as in training, whatever the module was told: the masks are those that `train=True` would draw."""
    module = context.module
    if not isinstance(module, nn.Dropout) or context.method_name != "__call__":
        return next_function(*args, **kwargs)
    (x,) = args
    kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - module.rate, x.shape)
    return jnp.where(kept, x / (1 - module.rate), 0.0)

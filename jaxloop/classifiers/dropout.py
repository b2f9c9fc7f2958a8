"""Dropout in evaluation mode, to estimate uncertainty (Gal & Ghahramani, ICML 2016)."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop import classifiers
from jaxloop.types import Array, PyTree


def mean_log_probability(
    module: nn.Module, key: Array, variables: PyTree, x: Array, passes: int
) -> Array:
    """Return the logarithm of the prediction averaged over forward passes with new dropout masks.

    Only dropout is active: batch norm uses its running statistics, as in evaluation.

    Args:
      module: a classifier that has dropout; without, all passes are alike.
      x: float [n h w 3], as the module sees images.

    Returns:
      float32 [n L]: log of the mean of softmax(logits). It can stand in the place of logits.
    """

    def one(i):
        with nn.intercept_methods(_activate):
            rngs = {"dropout": jax.random.fold_in(key, i)}
            return jax.nn.log_softmax(module.apply(variables, x, train=False, rngs=rngs))  # type: ignore

    log_probability = jax.lax.map(one, jnp.arange(passes))  # [passes n L]
    return jax.nn.logsumexp(log_probability, axis=0) - jnp.log(jnp.float32(passes))


def has_dropout(module: nn.Module, image_size: int) -> bool:
    """Return whether a classifier has dropout of a rate above 0; computes nothing."""
    rates = []

    def listen(next_function, args, kwargs, context):
        rates.append(context.module.rate if isinstance(context.module, nn.Dropout) else 0)
        return next_function(*args, **kwargs)

    with nn.intercept_methods(listen):
        classifiers.shapes(module, image_size)
    return max(rates) > 0


def _activate(next_function, args, kwargs, context):
    """Draw dropout's masks as `train=True` would, whatever the module's mode is."""
    module = context.module
    if not isinstance(module, nn.Dropout) or context.method_name != "__call__":
        return next_function(*args, **kwargs)
    (x,) = args
    kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - module.rate, x.shape)
    return jnp.where(kept, x / (1 - module.rate), 0.0)

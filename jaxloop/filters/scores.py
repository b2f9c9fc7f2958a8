"""How an expert scores generated images: higher = keep."""

import jax
import jax.numpy as jnp

from jaxloop.types import Array


def negative_entropy(logits: Array) -> Array:
    """Return minus the entropy of the predictive distribution: [n L] -> float32 [n] in [-log L, 0],
    nats.

    The uncertainty of the paper's second strategy, from one forward pass. Where `logits` is the log
    of a mean over passes with dropout on, it is the predictive entropy of Gal & Ghahramani (2016).
    """
    log_probability = jax.nn.log_softmax(logits)
    return (jnp.exp(log_probability) * log_probability).sum(axis=-1)


def at_random(key: Array, n: int) -> Array:
    """Return uniform scores, float32 [n] in [0, 1): the control of every filter."""
    return jax.random.uniform(key, (n,))

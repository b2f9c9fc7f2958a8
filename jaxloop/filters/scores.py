"""How an expert scores generated images: higher = keep."""

import jax
import jax.numpy as jnp

from jaxloop.types import Array


def negative_entropy(logits: Array) -> Array:
    """Minus the entropy of the predictive distribution, in nats: [n L] -> float32 [n] in [-log L, 0].

    The uncertainty of the paper's second strategy, read off one forward pass; or, where `logits` is the log of a mean over
    passes with dropout on, the predictive entropy of Gal & Ghahramani (2016).
    """
    log_probability = jax.nn.log_softmax(logits)
    return (jnp.exp(log_probability) * log_probability).sum(axis=-1)


def at_random(key: Array, n: int) -> Array:
    """Scores that know nothing of the image: uniform float32 [n] in [0, 1). The control of every filter."""
    return jax.random.uniform(key, (n,))


def indifferent(n: int) -> Array:
    """All images alike: zeros [n]. With nothing dropped this is no filter."""
    return jnp.zeros((n,))

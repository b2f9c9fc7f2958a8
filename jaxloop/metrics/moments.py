"""Mean and covariance of features, gathered batch by batch.

Each part keeps the sum of squares about its mean, and two parts are merged as in Chan, Golub and
LeVeque (The American Statistician, 1983). E[xx] - E[x]E[x] would lose half of float32's digits.
Rows may be spread over a mesh: the same moments come out up to rounding.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop.types import Array


class Moments(NamedTuple):
    """The first two moments of feature vectors; the unbiased covariance is m2 / (count - 1).

    count: int32 [], feature vectors.
    mean: float32 [d], 0 where count is 0.
    m2: float32 [d d], sum over the set of (x - mean)(x - mean)^T.
    """

    count: Array
    mean: Array
    m2: Array


def empty(num_features: int) -> Moments:
    """Return the moments of no feature vector: the neutral element of `merge`."""
    return Moments(jnp.int32(0), jnp.zeros(num_features), jnp.zeros((num_features, num_features)))


@jax.jit
def from_batch(features: Array) -> Moments:
    """Return the moments of one batch, features [n d]; n may be 0."""
    if jnp.ndim(features) != 2:
        raise ValueError(f"features must be [n d]; their shape is {jnp.shape(features)}")
    features, number = features.astype(jnp.float32), features.shape[0]
    mean = features.sum(axis=0) / max(number, 1)
    # The sum of many large features is rounded; what it misses is the mean of what is left.
    mean += (features - mean[None]).sum(axis=0) / max(number, 1)
    centred = features - mean[None]
    # HIGHEST: accelerators would otherwise round the factors to fewer than float32's digits.
    m2 = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST)
    return Moments(jnp.int32(number), mean, m2)


@jax.jit
def merge(a: Moments, b: Moments) -> Moments:
    """Return the moments of both sets together. Associative and commutative up to rounding."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"moments differ in d: {a.mean.shape} and {b.mean.shape}")
    number = a.count + b.count
    # Floats before the product below: in int32 it would overflow at 46,341 images.
    count_a = a.count.astype(jnp.float32)
    share_b = b.count.astype(jnp.float32) / jnp.maximum(number, 1).astype(jnp.float32)
    delta = b.mean - a.mean
    return Moments(
        count=number,
        mean=a.mean + share_b * delta,
        m2=a.m2 + b.m2 + count_a * share_b * (delta[:, None] * delta[None, :]),
    )

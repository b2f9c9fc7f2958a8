"""Fidelity and diversity from nearest neighbours in features.

With r_k(x) the distance from x to its k-th nearest neighbour in the same set (x itself not counted,
a copy of it counted), x real and y generated:

    precision = share of y with  |x - y| <= r_k(x)  for some x        (Kynkäänniemi et al., 2019)
    recall    = share of x with  |x - y| <= r_k(y)  for some y
    density   = number of pairs (x, y) with |x - y| < r_k(x), over k m      (Naeem et al., 2020)
    coverage  = share of x with  |x - y| < r_k(x)   for some y

The balls are closed in the first paper and open in the second's program: equal sets have density 1.

Distances come from the Gram matrix, a block of rows at a time; in float64, as in float32 the digits
of two alike images would cancel. Squared distances that differ by less than SAME of the squared
lengths (about the mean feature) count as equal: copies are at distance 0, and ties are ties.
"""

import contextlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxloop.devices import in_batches
from jaxloop.types import Array

K, K_DENSITY = 3, 5  # k of precision and recall, and of density and coverage: the papers'
BLOCK = 512  # rows of a distance matrix that are held at a time
SAME = 1e-13  # of |x|^2 + |y|^2: float64 rounds to about 1e-15 of it, float32 features to 1e-7
SPARE = 8  # candidates for the nearest beyond the k that are needed


class Neighbours(NamedTuple):
    """precision, recall, coverage: in [0, 1].  density: in [0, n / K_DENSITY].

    NaN where there is no k-th neighbour, no image, or a feature that is not finite.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: ArrayLike, generated: ArrayLike) -> Neighbours:
    """Return precision, recall, density and coverage of float [n d] and [m d].

    They depend on n and m: compare equal sizes. In float64 on the default device (on the host's
    where that is a TPU), compiled once for each (n, m, d), in memory of a few times BLOCK (n + m)
    numbers.
    """
    real, generated = np.asarray(real), np.asarray(generated)
    shapes = real.shape, generated.shape
    if real.ndim != 2 or generated.ndim != 2 or shapes[0][1] != shapes[1][1] or shapes[0][1] < 1:
        raise ValueError(f"real and generated must be [n d] and [m d], d >= 1, not {shapes}")
    n, m = len(real), len(generated)
    if min(n, m) < 1 or not (np.isfinite(real).all() and np.isfinite(generated).all()):
        return Neighbours(*[float("nan")] * 4)
    on_tpu = jax.default_backend() == "tpu"
    host = jax.local_devices(backend="cpu")[0]
    place = jax.default_device(host) if on_tpu else contextlib.nullcontext()
    with jax.enable_x64(True), place:
        counts = _count(real.astype(np.float64), generated.astype(np.float64))
        precise, recalled, pairs, covered = (int(x) for x in counts)
    shares = (precise / m, recalled / n, pairs / (K_DENSITY * m), covered / n)
    exist = (n > K, m > K, n > K_DENSITY, n > K_DENSITY)
    return Neighbours(*(x if e else float("nan") for x, e in zip(shares, exist, strict=True)))


@jax.jit
def _count(real: Array, generated: Array) -> tuple[Array, ...]:
    """Count precise and recalled images, pairs of density, covered images; float64 features."""
    centre = (jnp.mean(real, axis=0) + jnp.mean(generated, axis=0)) / 2
    real, generated = real - centre[None], generated - centre[None]
    nearest = _nearest(real, max(K, K_DENSITY))
    generated_radius = _nearest(generated, K)[:, K - 1]

    def block(precise, rows):
        x, radius, radius_density = rows
        squared, same = _squared(x, generated)
        precise |= jnp.any(squared <= radius[:, None] + same, axis=0)
        recalled = jnp.any(squared <= generated_radius[None] + same, axis=1)
        deep = squared < radius_density[:, None] - same
        return precise, (recalled, jnp.sum(deep, axis=1), jnp.any(deep, axis=1))

    n, size = real.shape[0], min(BLOCK, real.shape[0])
    # Rows of padding lie in no ball, as their radius is below 0; what else they give is cut off.
    columns = ((real, 0), (nearest[:, K - 1], -jnp.inf), (nearest[:, K_DENSITY - 1], -jnp.inf))
    blocks = tuple(_in_blocks(x, size, fill) for x, fill in columns)
    precise, rows = jax.lax.scan(block, jnp.zeros(generated.shape[0], bool), blocks)
    return jnp.sum(precise), *(jnp.sum(x.reshape(-1)[:n]) for x in rows)


def _nearest(x: Array, k: int) -> Array:
    """Return squared distances to the k nearest other rows of x, ascending: [n k], inf if fewer."""

    def block(rows, index):
        squared, _ = _squared(rows, x)
        itself = index[:, None] == jnp.arange(x.shape[0])[None]
        return _smallest(jnp.where(itself, jnp.inf, squared), k)

    return in_batches(block, min(BLOCK, x.shape[0]), x, jnp.arange(x.shape[0]))


def _smallest(values: Array, k: int) -> Array:
    """Return the k smallest of each row of [b n], ascending: [b k]; inf where n < k.

    XLA's top_k is some seventy times faster in float32, which keeps the order but makes ties of
    what is within 6e-8: only more of them than SPARE at once would move the k-th smallest.
    """
    values = jnp.pad(values, ((0, 0), (0, max(0, k - values.shape[1]))), constant_values=jnp.inf)
    _, index = jax.lax.top_k(-values.astype(jnp.float32), min(k + SPARE, values.shape[1]))
    return jnp.sort(jnp.take_along_axis(values, index, axis=1), axis=1)[:, :k]


def _squared(x: Array, y: Array) -> tuple[Array, Array]:
    """Return squared distances of all rows, [b d], [m d] -> [b m], and what counts as equal."""
    lengths = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None]
    return lengths - 2 * x @ y.T, SAME * lengths


def _in_blocks(x: Array, size: int, fill: float) -> Array:
    """Return [n ...] as [blocks size ...], padded with `fill`."""
    padding = [(0, -x.shape[0] % size)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding, constant_values=fill).reshape(-1, size, *x.shape[1:])

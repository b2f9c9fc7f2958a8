"""Fidelity and diversity from nearest neighbours: precision and recall (Kynkäänniemi et al., 2019), density and coverage
(Naeem et al., 2020).

With r_k(x) the distance from x to its k-th nearest neighbour in its own set (itself not counted, a copy of it counted):

    precision = share of made y   with  |x - y| <= r_k(x)  for some real x    (eqs. 1-2 of 2019)
    recall    = share of real x   with  |x - y| <= r_k(y)  for some made y
    density   = the number of pairs (x, y) with |x - y| < r_k(x), over k m    (eq. 3 of 2020)
    coverage  = share of real x   with  |x - y| < r_k(x)   for some made y    (eq. 4 of 2020)

The balls are closed in the first paper; in the second's program they are open, which gives equal sets a density of 1.

Distances come from the Gram matrix, a block of rows at a time. In float32 the digits of two alike images would cancel in it, and
rounding would decide whether a point is inside a ball, so it is in float64. Squared distances that differ by less than SAME of
the squared lengths (about the mean feature), where only rounding differs, count as equal: copies are at distance 0, and ties
are ties.
"""

import contextlib
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.devices import in_batches
from jaxloop.types import Array

BLOCK = 512  # rows of a distance matrix that are held at a time
SAME = 1e-13  # of |x|^2 + |y|^2; rounding in float64 is about 1e-15 of it, the digits of float32 features 1e-7
SPARE = 8  # candidates for the nearest beyond those asked for


class Neighbours(NamedTuple):
    """Python floats. NaN where there is no k-th neighbour (a set with k images or fewer), no image on the other side, or a
    feature that is not finite.

    precision: in [0, 1], the share of made images that look real.
    recall: in [0, 1], the share of real images that the made ones could be.
    density: in [0, n / k_density], how deep in the real set the made images lie; 1 for equal sets.
    coverage: in [0, 1], the share of real images with a made one near.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbours(real: Array, made: Array, k: int = 3, k_density: int = 5) -> Neighbours:
    """Precision, recall, density and coverage of a made set. They depend on n and m: compare sets of one size.

    In float64 on the default device (a TPU has none: there on the host's), compiled once for each (n, m, d). Memory is a few
    times BLOCK (n + m) numbers beside the features.

    Args:
      real: float [n d].  made: float [m d].
      k: the neighbour whose distance is the radius for precision and recall.
      k_density: the same for density and coverage.

    Raises:
      ValueError: features are not [n d] and [m d] with d >= 1, or a k is below 1.
    """
    real, made = np.asarray(real), np.asarray(made)
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or real.shape[1] < 1:
        raise ValueError(
            f"real and made must be [n d] and [m d], d >= 1, not {real.shape} and {made.shape}"
        )
    if k < 1 or k_density < 1:
        raise ValueError(f"k and k_density must be at least 1, not {k} and {k_density}")
    if min(len(real), len(made)) < 1 or not (np.isfinite(real).all() and np.isfinite(made).all()):
        return Neighbours(*[float("nan")] * 4)
    on_tpu = jax.default_backend() == "tpu"
    place = (
        jax.default_device(jax.local_devices(backend="cpu")[0])
        if on_tpu
        else contextlib.nullcontext()
    )
    with jax.enable_x64(True), place:
        counts = _count(real.astype(np.float64), made.astype(np.float64), k, k_density)
        of_made, of_real, pairs, covered = (int(x) for x in counts)
    n, m = len(real), len(made)
    return Neighbours(
        precision=of_made / m if n > k else float("nan"),
        recall=of_real / n if m > k else float("nan"),
        density=pairs / (k_density * m) if n > k_density else float("nan"),
        coverage=covered / n if n > k_density else float("nan"),
    )


@partial(jax.jit, static_argnames=("k", "k_density"))
def _count(real: Array, made: Array, k: int, k_density: int) -> tuple[Array, Array, Array, Array]:
    """From float64 features: the made images that are precise, the real ones recalled, the pairs of density, the covered."""
    centre = (jnp.mean(real, axis=0) + jnp.mean(made, axis=0)) / 2
    real, made = real - centre[None], made - centre[None]
    nearest = _nearest(real, max(k, k_density))
    radius_made = _nearest(made, k)[:, k - 1]

    def block(precise, rows):
        x, radius, radius_density = rows
        squared, same = _squared(x, made)
        precise |= jnp.any(squared <= radius[:, None] + same, axis=0)
        recalled = jnp.any(squared <= radius_made[None] + same, axis=1)
        deep = squared < radius_density[:, None] - same
        return precise, (recalled, jnp.sum(deep, axis=1), jnp.any(deep, axis=1))

    n, size = real.shape[0], min(BLOCK, real.shape[0])
    # Rows of padding lie in no ball, as their radius is below 0; what else they give is cut off.
    columns = ((real, 0), (nearest[:, k - 1], -jnp.inf), (nearest[:, k_density - 1], -jnp.inf))
    blocks = tuple(_in_blocks(x, size, fill) for x, fill in columns)
    precise, rows = jax.lax.scan(block, jnp.zeros(made.shape[0], bool), blocks)
    return jnp.sum(precise), *(jnp.sum(x.reshape(-1)[:n]) for x in rows)


def _nearest(x: Array, k: int) -> Array:
    """[n k], the squared distances to the k nearest other rows of x [n d], ascending; inf where there are fewer."""

    def block(rows, index):
        squared, _ = _squared(rows, x)
        itself = index[:, None] == jnp.arange(x.shape[0])[None]
        return _smallest(jnp.where(itself, jnp.inf, squared), k)

    return in_batches(block, min(BLOCK, x.shape[0]), x, jnp.arange(x.shape[0]))


def _smallest(values: Array, k: int) -> Array:
    """[b k], the k smallest of each row of [b n], ascending; inf where n < k.

    XLA's top_k is some seventy times faster in float32, which keeps the order but makes ties of what is within 6e-8: more of
    them than SPARE at once would move the k-th smallest by that much.
    """
    values = jnp.pad(values, ((0, 0), (0, max(0, k - values.shape[1]))), constant_values=jnp.inf)
    _, index = jax.lax.top_k(-values.astype(jnp.float32), min(k + SPARE, values.shape[1]))
    return jnp.sort(jnp.take_along_axis(values, index, axis=1), axis=1)[:, :k]


def _squared(x: Array, y: Array) -> tuple[Array, Array]:
    """Squared distances between all rows, [b d], [m d] -> [b m], and below which difference two of them are the same."""
    lengths = jnp.sum(x**2, axis=1)[:, None] + jnp.sum(y**2, axis=1)[None]
    return lengths - 2 * x @ y.T, SAME * lengths


def _in_blocks(x: Array, size: int, fill: float) -> Array:
    """[n ...] -> [blocks size ...], padded with `fill`."""
    padding = [(0, -x.shape[0] % size)] + [(0, 0)] * (x.ndim - 1)
    return jnp.pad(x, padding, constant_values=fill).reshape(-1, size, *x.shape[1:])

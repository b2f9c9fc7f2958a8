"""What a generated set looks like: label agreement, diversity, nearest real images, drops."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxloop.metrics.counts import cells, check_vectors, in_range, rate
from jaxloop.types import Array

GROUP_IMAGES = 64  # of a class and subgroup, at most, whose diversity is measured
NEAREST_BLOCK = 512  # real images that are compared at a time


class Drops(NamedTuple):
    """Images and dropped ones, int32 [L G+1], by class and subgroup; last column: unknown."""

    generated: Array
    dropped: Array


@jax.jit
def label_agreement(predicted: Array, label: Array) -> Array:
    """Return how often a classifier of real images sees the label asked for; int [n] both."""
    check_vectors(predicted=predicted, label=label)
    return rate(jnp.sum(predicted == label), jnp.int32(label.size))


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def drops(kept: Array, label: Array, group: Array, num_classes: int, num_groups: int) -> Drops:
    """Count what the filter dropped, by class and subgroup.

    kept: bool [n].  label: int [n], in [0, L).  group: int [n]; one outside [0, G) is unknown.
    """
    check_vectors(kept=kept, label=label, group=group)
    column = jnp.where(in_range(group, num_groups), group.astype(jnp.int32), num_groups)
    masks = (jnp.ones_like(kept), ~kept)
    return Drops(*(cells(label, column, num_classes, num_groups + 1, mask) for mask in masks))


def within_class_diversity(
    image, label: ArrayLike, real_distance: Array, num_classes: int, per_class: int = 256
) -> Array:
    """Return how diverse generated images of a class are, against real ones; averaged over classes.

    real_distance: float32 [L], `class_distance` of the real images with the same `per_class`. Other
    arguments: as there. Returns a float32 scalar >= 0: 1 = as diverse as real images, near 0 = one
    picture a class. NaN if a class has fewer than two images of either kind, or all its real images
    are the same: a mean over the other classes would hide that a class is gone.
    """
    if jnp.shape(real_distance) != (num_classes,):
        raise ValueError(f"real_distance must be [{num_classes}], not {jnp.shape(real_distance)}")
    distance = class_distance(image, label, num_classes, per_class)
    return jnp.mean(distance / jnp.where(real_distance > 0, real_distance, jnp.nan))


def within_group_diversity(image, cell: ArrayLike, real_distance: Array, num_groups: int) -> Array:
    """Return how diverse generated images of a class and subgroup are, against real ones.

    Diversity apart from what tells subgroups: one shape a class in all of its colours scores near
    0, which `within_class_diversity` does not see.

    Args:
      image: uint8 [n h w c].  cell: int [n], class x num_groups + subgroup; -1: unknown.
      real_distance: float32 [L G], `class_distance` of real images by cell, GROUP_IMAGES of each.

    Returns:
      float32 [], >= 0, 1 = as diverse as real images: the mean over the cells of a class, then over
      classes. A cell with fewer than two images of either kind is left out; NaN where a class has
      no other.
    """
    num_cells = len(real_distance)
    distance = class_distance(image, cell, num_cells, GROUP_IMAGES)
    ratio = distance / jnp.where(real_distance > 0, real_distance, jnp.nan)
    by_class = ratio.reshape(-1, num_groups)
    known = jnp.isfinite(by_class)
    sums = jnp.where(known, by_class, 0).sum(axis=1)
    return jnp.mean(rate(sums, known.sum(axis=1)))


def class_distance(image, label: ArrayLike, num_classes: int, per_class: int = 256) -> Array:
    """Return the mean distance between two images of a class: float32 [L], NaN below two images.

    Euclidean over pixels, each in [0, 1]. Images are picked on the host and compared on the device,
    a class at a time; padding to `per_class` keeps one shape and one compilation.

    Args:
      image: uint8 [n h w c], on the host or the device.  label: int [n].
      per_class: only the first so many images of a class count.
    """
    label = np.asarray(label)
    if image.dtype != np.uint8 or image.ndim != 4:
        raise ValueError(f"image must be uint8 [n h w c]; it is {image.dtype} {image.shape}")
    if label.shape != image.shape[:1]:
        raise ValueError(f"label must have shape {image.shape[:1]}, as image, not {label.shape}")
    if per_class < 2:
        raise ValueError(f"per_class must be at least 2, not {per_class}")
    distances = []
    for one_class in range(num_classes):
        index = np.flatnonzero(label == one_class)[:per_class]
        if len(index) < 2:
            distances.append(jnp.float32(jnp.nan))
            continue
        padded = np.resize(index, per_class)  # repeats the index; what is repeated is masked
        distances.append(_mean_distance(image[padded], np.arange(per_class) < len(index)))
    return jnp.stack(distances)


@jax.jit
def nearest_distance(image: Array, real: Array) -> Array:
    """Return the pixel distance of each image to the nearest real one: float32 [m].

    uint8 [m h w c] and [n h w c]; Euclidean, each pixel in [0, 1].
    """

    def flat(x: Array) -> Array:  # centred: like images cancel less
        return x.reshape(x.shape[0], -1).astype(jnp.float32) / 255 - 0.5

    rows, size = flat(image), min(NEAREST_BLOCK, real.shape[0])

    def nearer(i: Array, least: Array) -> Array:
        first = jnp.minimum(i * size, real.shape[0] - size)  # the last block overlaps
        block = flat(jax.lax.dynamic_slice_in_dim(real, first, size))
        gram = jnp.matmul(rows, block.T, precision=jax.lax.Precision.HIGHEST)
        lengths = [jnp.sum(jnp.square(x), axis=1) for x in (rows, block)]
        square = lengths[0][:, None] + lengths[1][None] - 2 * gram
        return jnp.minimum(least, jnp.min(square, axis=1))

    blocks = -(-real.shape[0] // size)
    least = jax.lax.fori_loop(0, blocks, nearer, jnp.full(rows.shape[0], jnp.inf))
    return jnp.sqrt(jnp.maximum(least, 0))


@jax.jit
def _mean_distance(image: Array, used: Array) -> Array:
    """Return the mean distance over pairs of different rows: uint8 [k h w c], bool [k] -> []."""
    flat = image.reshape(image.shape[0], -1).astype(jnp.float32) / 255
    number = jnp.sum(used).astype(jnp.float32)
    mean = jnp.sum(jnp.where(used[:, None], flat, 0), axis=0) / number
    # Centred first, and with the squares read off the Gram matrix, like images cancel.
    centred = jnp.where(used[:, None], flat - mean[None], 0)
    gram = jnp.matmul(centred, centred.T, precision=jax.lax.Precision.HIGHEST)
    square = jnp.diagonal(gram)
    distance = jnp.sqrt(jnp.maximum(square[:, None] + square[None, :] - 2 * gram, 0))
    pair = used[:, None] & used[None, :]  # the diagonal is exactly 0
    return jnp.sum(jnp.where(pair, distance, 0)) / (number * (number - 1))

"""What a generated set looks like: does it hold what was asked for, is it diverse, and whom did the filter drop?"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics.counts import rate, tally
from jaxloop.types import Array


class Shares(NamedTuple):
    """The part of a generated set that each subgroup makes up; float32, in [0, 1].

    overall: [G], of all images. Sums to 1 with `unknown`; NaN with no image.
    by_class: [L G], of the images of class l. Sums over g to 1 - (the class's unknown part); NaN for a class with no image.
    unknown: [], of all images: those with UNKNOWN_GROUP or a group out of range.
    """

    overall: Array
    by_class: Array
    unknown: Array


class Drops(NamedTuple):
    """How many images were generated and how many of them the filter dropped; int32 [L G+1], by class and subgroup, the last
    column of unknown subgroup. Sums over rows and columns are counts of whole classes and subgroups."""

    made: Array
    dropped: Array


@jax.jit
def label_agreement(predicted: Array, label: Array) -> Array:
    """How often a classifier of real images sees the class that the generator was asked for.

    Near 1 / L: the generator draws nothing of the class. It says nothing about diversity.

    Args:
      predicted: int32 [n], the class that the generation-0 classifier sees.
      label: int32 [n], the class that was asked for.

    Returns:
      float32 scalar in [0, 1]; NaN with no image.

    Raises:
      ValueError: the two are not vectors of n.
    """
    _check_vectors(predicted=predicted, label=label)
    return rate(jnp.sum(predicted == label), jnp.int32(label.size))


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def subgroup_share(group: Array, label: Array, num_classes: int, num_groups: int) -> Shares:
    """The part that each subgroup makes up of a generated set, over all and by class.

    Args:
      group: int32 [n], in [0, G); UNKNOWN_GROUP counts in the denominators, so unknown images lower every share.
      label: int32 [n], in [0, L).
      num_classes, num_groups: L and G, Python ints.

    Raises:
      ValueError: group and label are not vectors of n.
    """
    _check_vectors(group=group, label=label)
    label, group = (
        label.astype(jnp.int32),
        group.astype(jnp.int32),
    )  # the cell's number may not fit a uint8
    known = (group >= 0) & (group < num_groups)
    cells = tally(jnp.where(known, label * num_groups + group, -1), num_classes * num_groups, known)
    of_class = tally(label, num_classes, jnp.ones(label.shape, bool))
    size = jnp.int32(group.size)
    return Shares(
        overall=rate(tally(group, num_groups, known), size),
        by_class=rate(cells.reshape(num_classes, num_groups), of_class[:, None]),
        unknown=rate(jnp.sum(~known), size),
    )


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def drops(kept: Array, label: Array, group: Array, num_classes: int, num_groups: int) -> Drops:
    """Counts what the filter dropped, by class and subgroup.

    Args:
      kept: bool [n], False where the filter dropped the image.
      label: int32 [n], in [0, L).
      group: int32 [n], in [0, G); anything else counts as unknown.
      num_classes, num_groups: L and G, Python ints.

    Raises:
      ValueError: kept, label and group are not vectors of n, or kept is not bool.
    """
    _check_vectors(kept=kept, label=label, group=group)
    if kept.dtype != bool:
        raise ValueError(f"kept must be bool, not {kept.dtype}")
    group = group.astype(jnp.int32)
    column = jnp.where((group >= 0) & (group < num_groups), group, num_groups)
    cell, shape = label.astype(jnp.int32) * (num_groups + 1) + column, (num_classes, num_groups + 1)
    made, dropped = (
        tally(cell, shape[0] * shape[1], mask) for mask in (jnp.ones_like(kept), ~kept)
    )
    return Drops(made.reshape(shape), dropped.reshape(shape))


def within_class_diversity(
    image: Array,
    label: Array,
    real_image: Array,
    real_label: Array,
    num_classes: int,
    per_class: int = 256,
) -> Array:
    """How diverse the generated images of a class are, against real ones of that class; averaged over classes.

    Args:
      image: uint8 [n h w c], generated.  label: int [n], in [0, L).
      real_image: uint8 [m h w c].  real_label: int [m].
      num_classes: L.
      per_class: only the first so many images of each class are looked at. Memory is per_class x h x w x c floats.

    Returns:
      float32 scalar >= 0: 1 = as diverse as real images, near 0 = one picture a class. NaN if a class has fewer than two
      images of either kind, or its real images are all the same: a mean over the other classes would hide a lost class.

    Raises:
      ValueError: as `class_distance`.
    """
    made = class_distance(image, label, num_classes, per_class)
    real = class_distance(real_image, real_label, num_classes, per_class)
    return jnp.mean(made / jnp.where(real > 0, real, jnp.nan))


def class_distance(image: Array, label: Array, num_classes: int, per_class: int = 256) -> Array:
    """Mean distance between two images of a class, for each class: float32 [L], NaN with fewer than two images.

    The distance is Euclidean over pixels, each in [0, 1]. Images are picked on the host, compared on the device, a class at
    a time; padding to `per_class` keeps one shape, so nothing compiles again as classes change in size.

    Args:
      image: uint8 [n h w c], on the host or the device.  label: int [n].
      num_classes, per_class: as in `within_class_diversity`.

    Raises:
      ValueError: image is not uint8 [n h w c], label is not a vector of n, or per_class is below 2.
    """
    label = np.asarray(label)
    if image.dtype != np.uint8 or image.ndim != 4:
        raise ValueError(f"image must be uint8 [n h w c]; it is {image.dtype} {image.shape}")
    if label.shape != image.shape[:1]:
        raise ValueError(
            f"label must have shape {image.shape[:1]}, as image has; it is {label.shape}"
        )
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
def _mean_distance(image: Array, used: Array) -> Array:
    """Mean over pairs of different rows of the distance, from the Gram matrix: uint8 [k h w c], bool [k] -> float32 []."""
    flat = image.reshape(image.shape[0], -1).astype(jnp.float32) / 255
    number = jnp.sum(used).astype(jnp.float32)
    mean = jnp.sum(jnp.where(used[:, None], flat, 0), axis=0) / number
    # Centred first, and with the squares read off the Gram matrix, like images cancel: |x - y|^2 = x.x + y.y - 2 x.y.
    centred = jnp.where(used[:, None], flat - mean[None], 0)
    gram = jnp.matmul(centred, centred.T, precision=jax.lax.Precision.HIGHEST)
    square = jnp.diagonal(gram)
    distance = jnp.sqrt(jnp.maximum(square[:, None] + square[None, :] - 2 * gram, 0))
    pair = (
        used[:, None] & used[None, :]
    )  # an image is at exactly 0 from itself, so the diagonal adds nothing
    return jnp.sum(jnp.where(pair, distance, 0)) / (number * (number - 1))


def _check_vectors(**vectors: Array) -> None:
    """ValueError, naming the argument, unless all are vectors of one length."""
    shape = jnp.shape(next(iter(vectors.values())))
    for name, value in vectors.items():
        if jnp.ndim(value) != 1 or jnp.shape(value) != shape:
            raise ValueError(
                f"{name} must be a vector, as long as the others; its shape is {jnp.shape(value)}"
            )

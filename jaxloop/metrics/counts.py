"""How many images of each class and group there are, and how many were classified correctly.

Every measure of classification is computed from these few integers: one pass over the test set is
enough, and parts of it can be counted anywhere and in any order.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop.types import UNKNOWN_GROUP, Array


class Counts(NamedTuple):
    """Counts over classified images; exact up to 2^31 - 1 images.

    correct, total: int32 [L G], images of class l and group g: those classified correctly, and all.
    all_correct, all_total: int32 [], the same of all images, those of unknown group too.
    """

    correct: Array
    total: Array
    all_correct: Array
    all_total: Array


def empty(num_classes: int, num_groups: int) -> Counts:
    """Return the counts of no image: the neutral element of `merge`."""
    if min(num_classes, num_groups) < 1:
        raise ValueError(f"num_classes, num_groups: at least 1, not {num_classes}, {num_groups}")
    cells = jnp.zeros((num_classes, num_groups), jnp.int32)
    return Counts(cells, cells, jnp.int32(0), jnp.int32(0))


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def count(
    correct: Array, label: Array, group: Array, num_classes: int, num_groups: int, mask=None
) -> Counts:
    """Count one batch. Pure.

    Args:
      correct: bool [n], whether the image was classified correctly.
      label, group: int [n]. UNKNOWN_GROUP is in no cell, as is a label or group out of range.
      num_classes, num_groups: L and G, Python ints.
      mask: bool [n], False where the row is padding, which is counted nowhere. None: no padding.
    """
    mask = jnp.ones(jnp.shape(correct), bool) if mask is None else mask
    check_vectors(correct=correct, label=label, group=group, mask=mask)
    label, group = label.astype(jnp.int32), group.astype(jnp.int32)  # a cell may not fit a uint8
    right = correct & mask
    known = (group != UNKNOWN_GROUP) & (group >= 0) & (group < num_groups)
    inside = known & (label >= 0) & (label < num_classes)
    cell = jnp.where(inside, label * num_groups + group, 0)
    shape, size = (num_classes, num_groups), num_classes * num_groups
    return Counts(
        correct=tally(cell, size, right & inside).reshape(shape),
        total=tally(cell, size, mask & inside).reshape(shape),
        all_correct=jnp.sum(right, dtype=jnp.int32),
        all_total=jnp.sum(mask, dtype=jnp.int32),
    )


def from_predictions(
    predicted: Array, label: Array, group: Array, num_classes: int, num_groups: int
) -> Counts:
    """Count a classifier's predictions, as predictions/gNN.npz holds them for one seed. Pure.

    predicted: int [n]; an image with -1 (diverged) is counted nowhere. Other arguments: as `count`.
    """
    check_vectors(predicted=predicted, label=label, group=group)
    return count(predicted == label, label, group, num_classes, num_groups, predicted >= 0)


def merge(a: Counts, b: Counts) -> Counts:
    """Return the counts of both sets together. Associative and commutative, exactly."""
    if (shape := jnp.shape(a.total)) != jnp.shape(b.total):
        raise ValueError(f"counts differ in shape: {shape} and {jnp.shape(b.total)}")
    return Counts(*(left + right for left, right in zip(a, b, strict=True)))


def tally(index: Array, size: int, where: Array) -> Array:
    """Count each of 0 .. size-1 in `index` [n] where `where` [n] holds: int32 [size]."""
    counted = where & (index >= 0) & (index < size)  # a negative one would count from the end
    zeros = jnp.zeros(size, jnp.int32)
    return zeros.at[jnp.where(counted, index, 0)].add(counted.astype(jnp.int32))


def rate(part: Array, whole: Array) -> Array:
    """Return part / whole as float32, elementwise; NaN where `whole` is 0."""
    return part.astype(jnp.float32) / jnp.where(whole > 0, whole.astype(jnp.float32), jnp.nan)


def check_vectors(**vectors: Array) -> None:
    """Raise ValueError, naming the argument, unless all are vectors of one length, flags bool."""
    shape = jnp.shape(next(iter(vectors.values())))
    for name, value in vectors.items():
        if len(shape) != 1 or jnp.shape(value) != shape:
            raise ValueError(f"{name} must be a vector as long as the others: {jnp.shape(value)}")
        if name in ("correct", "mask", "kept") and value.dtype != bool:
            raise ValueError(f"{name} must be bool, not {value.dtype}")

"""How many images of each class and group there are, and how many were classified correctly.

Every measure of classification is computed from these few integers: one pass over the test set is
enough, and parts of it can be counted anywhere and in any order.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop.types import Array


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
def count(correct: Array, label: Array, group: Array, num_classes: int, num_groups: int) -> Counts:
    """Count one batch. Pure.

    correct: bool [n], whether the image was classified correctly.
    label, group: int [n]. UNKNOWN_GROUP is in no cell, as is a label or group out of range.
    """
    check_vectors(correct=correct, label=label, group=group)
    label = label.astype(jnp.int32)
    inside = (label >= 0) & (label < num_classes) & in_range(group, num_groups)
    return Counts(
        correct=cells(label, group, num_classes, num_groups, correct & inside),
        total=cells(label, group, num_classes, num_groups, inside),
        all_correct=jnp.sum(correct, dtype=jnp.int32),
        all_total=jnp.int32(label.size),
    )


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


def in_range(group: Array, num_groups: int) -> Array:
    """Return which groups are in [0, G): bool [n]. UNKNOWN_GROUP is not."""
    return (group >= 0) & (group.astype(jnp.int32) < num_groups)


def cells(label: Array, group: Array, num_classes: int, num_groups: int, where: Array) -> Array:
    """Count each pair of class and group where `where` [n] holds: int32 [L G]."""
    # int32, as a cell may not fit a uint8
    cell = label.astype(jnp.int32) * num_groups + group.astype(jnp.int32)
    return tally(cell, num_classes * num_groups, where).reshape(num_classes, num_groups)


def rate(part: Array, whole: Array) -> Array:
    """Return part / whole as float32, elementwise; NaN where `whole` is 0."""
    return part.astype(jnp.float32) / jnp.where(whole > 0, whole.astype(jnp.float32), jnp.nan)


def check_vectors(**vectors: Array) -> None:
    """Raise ValueError, naming the argument, unless all are vectors of one length, flags bool."""
    shape = jnp.shape(next(iter(vectors.values())))
    for name, value in vectors.items():
        if len(shape) != 1 or jnp.shape(value) != shape:
            raise ValueError(f"{name} must be a vector as long as the others: {jnp.shape(value)}")
        if name in ("correct", "kept") and value.dtype != bool:
            raise ValueError(f"{name} must be bool, not {value.dtype}")

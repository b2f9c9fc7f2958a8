"""How many images of each class and group there are, and how many were classified correctly.

Every measure of classification is computed from these few integers, so one pass over the test set is enough, and parts of
it can be counted anywhere and in any order.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop.types import Array


class Counts(NamedTuple):
    """Counts over a set of classified images; exact up to 2^31 - 1 images.

    An image whose group is unknown is in no cell of `correct` and `total`, but is in the two scalars, so that the accuracy
    over all images does not depend on what is known about groups.

    correct: int32 [L G], images of class l and group g that were classified correctly.
    total: int32 [L G], images of class l and group g.
    all_correct: int32 [], images classified correctly, whatever their group.
    all_total: int32 [], images, whatever their group.
    """

    correct: Array
    total: Array
    all_correct: Array
    all_total: Array


def empty(num_classes: int, num_groups: int) -> Counts:
    """Counts of no image: the neutral element of `merge`."""
    if num_classes < 1 or num_groups < 1:
        raise ValueError(
            f"num_classes and num_groups must be at least 1, not {num_classes} and {num_groups}"
        )
    cells = jnp.zeros((num_classes, num_groups), jnp.int32)
    return Counts(cells, cells, jnp.int32(0), jnp.int32(0))


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def count(
    correct: Array,
    label: Array,
    group: Array,
    num_classes: int,
    num_groups: int,
    mask: Array | None = None,
) -> Counts:
    """Counts one batch. Pure; may be called inside jit and vmap.

    Args:
      correct: bool [n], whether the image was classified correctly.
      label: int32 [n], the true class, in [0, L).
      group: int32 [n], in [0, G). An image with UNKNOWN_GROUP, or any label or group out of range, is in no cell.
      num_classes, num_groups: L and G, Python ints.
      mask: bool [n], False where the row is padding, which is counted nowhere. None: every row is an image.

    Raises:
      ValueError: an argument is not a vector of n, or `correct` or `mask` is not bool.
    """
    mask = jnp.ones(jnp.shape(correct), bool) if mask is None else mask
    for name, value in {"correct": correct, "label": label, "group": group, "mask": mask}.items():
        if jnp.ndim(value) != 1 or jnp.shape(value) != jnp.shape(correct):
            raise ValueError(
                f"{name} must have shape [n], as correct has; it is {jnp.shape(value)}"
            )
        if name in ("correct", "mask") and value.dtype != bool:
            raise ValueError(f"{name} must be bool, not {value.dtype}")
    label, group = (
        label.astype(jnp.int32),
        group.astype(jnp.int32),
    )  # the cell's number may not fit a uint8
    right = correct & mask
    in_range = (label >= 0) & (label < num_classes) & (group >= 0) & (group < num_groups)
    cell = jnp.where(in_range, label * num_groups + group, 0)
    shape, size = (num_classes, num_groups), num_classes * num_groups
    return Counts(
        correct=tally(cell, size, right & in_range).reshape(shape),
        total=tally(cell, size, mask & in_range).reshape(shape),
        all_correct=jnp.sum(right, dtype=jnp.int32),
        all_total=jnp.sum(mask, dtype=jnp.int32),
    )


def merge(a: Counts, b: Counts) -> Counts:
    """The counts of both sets together. Associative and commutative, exactly: these are integers.

    Raises:
      ValueError: the two do not count the same classes and groups.
    """
    for name, left, right in zip(Counts._fields, a, b, strict=True):
        if jnp.shape(left) != jnp.shape(right):
            raise ValueError(
                f"counts differ in the shape of {name}: {jnp.shape(left)} and {jnp.shape(right)}"
            )
    return Counts(*(left + right for left, right in zip(a, b, strict=True)))


def tally(index: Array, size: int, where: Array) -> Array:
    """How often each of 0 .. size-1 stands in `index` [n] at a place where `where` (bool [n]) holds: int32 [size].

    An index out of range is not counted.
    """
    counted = (
        where & (index >= 0) & (index < size)
    )  # a negative index would otherwise count from the end
    return (
        jnp.zeros(size, jnp.int32).at[jnp.where(counted, index, 0)].add(counted.astype(jnp.int32))
    )


def rate(part: Array, whole: Array) -> Array:
    """part / whole as float32, elementwise; NaN where `whole` is 0, since there is nothing to take a part of."""
    return part.astype(jnp.float32) / jnp.where(whole > 0, whole.astype(jnp.float32), jnp.nan)

"""The few shapes that every room shares.

Names of dimensions, used in the docstrings: n images, h w c picture, L classes, G groups, S seeds,
d features.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import jax

Array: TypeAlias = jax.Array
AnyArray: TypeAlias = Any  # NumPy or JAX, or the shape of one
PyTree: TypeAlias = Any

UNKNOWN_GROUP = -1


class Samples(NamedTuple):
    """Labelled images, NumPy or JAX. Models see `image` and `label`; only measures see `group`.

    image: uint8 [n h w c].
    label: int32 [n], the class, in [0, L).
    group: int32 [n], the subgroup within the class, in [0, G); UNKNOWN_GROUP where nobody knows.
    """

    image: Any
    label: Any
    group: Any


class Dataset(NamedTuple):
    """What a data source gives, on the host (NumPy arrays).

    train, test: Samples. Early stopping takes its validation split from `train`; `test` is only
      measured on.
    class_names, group_names: their lengths are L and G.
    image_group: uint8 [n h w c] -> int32 [n], reads the group off the pixels; None where pixels do
      not tell.
    notes: sentences that the report must show (an unusual split, a resized source).
    subgroup_names: one row a class, what its subgroups are called; empty: `group_names` holds for
      every class.
    augmentations: those of `jaxloop.data.augment` that leave class and group of an image alone.
    test_extras: further arrays of the test images by name, e.g. masks; evaluators may need them.
    recolor: uint8 [n h w c], int32 [n] -> uint8 [n h w c], real images turned into ones of these
      subgroups; None where that cannot be done.
    """

    train: Samples
    test: Samples
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    image_group: Callable[[Array], Array] | None
    notes: tuple[str, ...]
    subgroup_names: tuple[tuple[str, ...], ...] = ()
    augmentations: tuple[str, ...] = ("none",)
    test_extras: Mapping[str, Any] = MappingProxyType({})
    recolor: Callable[[Array, Array], Array] | None = None

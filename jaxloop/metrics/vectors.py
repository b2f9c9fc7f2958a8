"""Vectors that a person passes, one entry an image: read in one place, never cast.

A group is any value: -1, 0.5, "red" or True. The images that `unknown` marks are of unknown group.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.core import Tracer

from jaxloop.types import UNKNOWN_GROUP, Array

NUMBERS = ("boolean", "integer", "floating", "mixed-integer-float")


class Categories(NamedTuple):
    """index: int32 [n], in [0, len(names)), UNKNOWN_GROUP where unknown.  names: one a category."""

    index: Array | np.ndarray
    names: Sequence


def read(name: str, value, length: int | None = None, unknown=None) -> tuple[np.ndarray, Any]:
    """Return the known entries of `value`, [k], and which they are, bool [n].

    unknown: marks an unknown entry; NaN stands for all missing ones (None, NaN, NaT, masked).

    Raises:
      ValueError: not a vector of `length`, entries of several kinds, or one that is missing.
    """
    array = _array(value)
    _check(name, array.shape, length)
    missing = np.asarray(pd.isna(array) | np.ma.getmask(value))
    allowed = unknown is not None and bool(pd.isna(unknown))
    if missing.any() and not allowed:
        i = int(np.argmax(missing))
        raise ValueError(f"{name} must be without missing values; entry {i} is {array[i]!r}")
    known = ~missing if unknown is None or allowed else np.asarray(array != unknown, bool)
    values = array[known]
    kind = pd.api.types.infer_dtype(values, skipna=False)
    if kind.startswith("mixed") and kind not in NUMBERS:
        types = sorted({type(x).__name__ for x in values})
        raise ValueError(f"{name} must hold values of one kind, not {', '.join(types)}")
    if values.dtype == object and kind in NUMBERS[:3]:
        values = pd.Series(values, dtype=object).infer_objects().to_numpy()
    return values, known


def categories(name: str, value, length=None, size: int | None = None, unknown=None) -> Categories:
    """Return which category each entry of `value` is in.

    size: the categories are 0 .. size-1, whether they occur or not. None: the values that occur,
    sorted. Inside jit it is required, and values cannot be checked.

    Raises:
      ValueError: as in `read`, or an entry is outside 0 .. size-1.
    """
    if size is not None and size < 1:
        raise ValueError(f"num_groups and num_classes must be at least 1, not {size}")
    if isinstance(value, Tracer):
        return _traced(name, value, length, size, unknown)
    values, known = read(name, value, length, unknown)
    index = np.full(len(known), UNKNOWN_GROUP, np.int32)
    if size is None:
        names, index[known] = np.unique(values, return_inverse=True)
        # The repr of bytes never fails, and differs where they differ.
        names = [repr(bytes(x))[2:-1] if isinstance(x, bytes) else str(x) for x in names]
        return Categories(index, names)
    if values.size and values.dtype.kind not in "biu":
        raise ValueError(f"{name} must be of integers (or bool), not {values.dtype}")
    if values.size and (values.min() < 0 or values.max() >= size):
        raise ValueError(f"{name} must be in 0 .. {size - 1}: {values.min()} .. {values.max()}")
    index[known] = values
    return Categories(index, range(size))


def _traced(name: str, value: Array, length, size: int | None, unknown) -> Categories:
    if size is None:
        raise ValueError(f"inside jit num_groups and num_classes must be given, to read {name}")
    _check(name, value.shape, length)
    if value.dtype != bool and not jnp.issubdtype(value.dtype, jnp.integer):
        raise ValueError(f"{name} must be of integers (or bool), not {value.dtype}")
    marked = False if unknown is None else value == unknown
    return Categories(jnp.where(marked, UNKNOWN_GROUP, value.astype(jnp.int32)), range(size))


def _array(value) -> np.ndarray:
    if hasattr(value, "__array__"):
        return np.asarray(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = [x.item() if isinstance(x, jax.Array) and x.ndim == 0 else x for x in value]
    return np.array(value, dtype=object)  # NumPy would cast [1, "1"] and ["red", nan] to strings


def _check(name: str, shape: tuple[int, ...], length: int | None) -> None:
    if len(shape) != 1 or length not in (None, shape[0]):
        raise ValueError(f"{name} must be a vector as long as the others; its shape is {shape}")

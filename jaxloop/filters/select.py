"""Scores -> what is kept: exactly as many images as were asked for, whatever the scores."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.types import Array


def quota(kept: int, drop: float, shares: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """(images to generate, images to keep) of each class, such that about `kept` remain and at
    least a share `drop` of each class leaves.

    Exactly that many are kept, whatever the scores; at least one a class.

    Args:
      shares: of the classes among the kept images; they sum to 1.
    """
    keep = tuple(max(1, round(kept * share)) for share in shares)
    return tuple(math.ceil(count / (1.0 - drop) - 1e-9) for count in keep), keep


def labels(per_class: Sequence[int]) -> Array:
    """int32 [sum(per_class)]: what to generate. Classes take turns, as long as they have images."""
    label = np.repeat(np.arange(len(per_class), dtype=np.int32), per_class)
    turn = np.concatenate([np.arange(count) for count in per_class])
    return jnp.asarray(label[np.argsort(turn, kind="stable")])


def best(score: Array, group: Array, keep: Sequence[int]) -> Array:
    """Indices of the best images of every group, in generation order: int32 [sum(keep)].

    Args:
      score: float [n], without NaN. Ties go to the earlier image.
      group: int [n], which images are ranked together: their classes, or 0.
      keep: how many of each group, at most as many as it has.
    """
    order, place = _ordered(-score, group, len(keep))
    kept = jnp.zeros(len(score), bool).at[order].set(place < jnp.asarray(keep)[group[order]])
    return jnp.flatnonzero(kept, size=sum(keep)).astype(jnp.int32)


def rank(score: Array, group: Array, num_groups: int) -> Array:
    """Return the rank of each score in its group, float32 [n]: 0 = lowest; ties share their mean.

    Args: as of `best`.
    """
    order, place = _ordered(score, group, num_groups)
    value, of_group = score[order], group[order]
    changes = (value[1:] != value[:-1]) | (of_group[1:] != of_group[:-1])
    tie = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(changes, dtype=jnp.int32)])
    first, last = (f(place, tie, len(score)) for f in (jax.ops.segment_min, jax.ops.segment_max))
    return jnp.zeros(len(score)).at[order].set((first[tie] + last[tie]) / 2)


def _ordered(score: Array, group: Array, num_groups: int) -> tuple[Array, Array]:
    """Return the images group by group in ascending order of score, and the place of each of these
    in its group: int32 [n] twice."""
    order = jnp.lexsort((score, group))  # stable: ties keep their order
    start = jnp.searchsorted(group[order], jnp.arange(num_groups))
    return order, (jnp.arange(len(score)) - start[group[order]]).astype(jnp.int32)

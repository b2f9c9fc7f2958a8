"""Scores -> what is kept: exactly as many images as were asked for, whatever the scores."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from jaxloop.types import Array


def quota(kept: int, drop: float, num_classes: int) -> tuple[int, int]:
    """(images to generate a class, images to keep a class) such that about `kept` remain and at
    least a share `drop` leaves.

    The kept number is rounded to a multiple of the classes, at least one a class: exactly that many
    are kept, whatever the scores.
    """
    keep = max(1, round(kept / num_classes))
    return math.ceil(keep / (1.0 - drop) - 1e-9), keep


def labels(per_class: int, num_classes: int) -> Array:
    """int32 [num_classes * per_class]: what to generate. Classes take turns."""
    return jnp.tile(jnp.arange(num_classes, dtype=jnp.int32), per_class)


def best(score: Array, keep: int, groups: int) -> Array:
    """Indices of the `keep` best images of every group, in generation order: int32 [groups * keep].

    Args:
      score: float [n], of images that belong to the groups in turns. Ties go to the earlier image.
      groups: the number of classes, to rank within each class of images labelled by `labels`; 1, to
        rank over all.
    """
    of_group = score.reshape(-1, groups).T
    ranked = jnp.argsort(of_group, axis=1, descending=True, stable=True)[:, :keep]
    return jnp.sort((ranked * groups + jnp.arange(groups)[:, None]).reshape(-1))


def rank(score: Array, groups: int) -> Array:
    """Return the rank of each score in its group, float32 [n]: 0 = lowest; ties share their mean.

    Args: as of `best`. No score may be NaN.
    """

    @partial(jax.vmap, in_axes=1, out_axes=1)
    def within(score: Array) -> Array:
        ordered = jnp.sort(score)
        below, up_to = (jnp.searchsorted(ordered, score, side=side) for side in ("left", "right"))
        return (below + up_to - 1) / 2

    return within(score.reshape(-1, groups)).reshape(-1).astype(jnp.float32)

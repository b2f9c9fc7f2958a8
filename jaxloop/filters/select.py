"""Scores -> what is kept. Ranking is within each class, so that no filter can delete a class."""

import math

import jax.numpy as jnp

from jaxloop.types import Array


def quota(kept: int, drop: float, num_classes: int) -> tuple[int, int]:
    """(images to generate a class, images to keep a class) such that about `kept` remain and at least a share `drop` leaves.

    The kept number is rounded to a multiple of the classes, at least one a class: exactly that many are kept, whatever
    the scores.
    """
    keep = max(1, round(kept / num_classes))
    return math.ceil(keep / (1.0 - drop) - 1e-9), keep


def labels(per_class: int, num_classes: int) -> Array:
    """int32 [num_classes * per_class]: what to generate. Classes take turns."""
    return jnp.tile(jnp.arange(num_classes, dtype=jnp.int32), per_class)


def best_of_each_class(score: Array, keep: int, num_classes: int) -> Array:
    """Indices of the `keep` best images of every class, in generation order: int32 [num_classes * keep].

    Args:
      score: float [n], for images labelled by `labels`. Ties go to the earlier image.
    """
    by_class = score.reshape(-1, num_classes).T
    ranked = jnp.argsort(by_class, axis=1, descending=True, stable=True)[:, :keep]
    return jnp.sort((ranked * num_classes + jnp.arange(num_classes)[:, None]).reshape(-1))

"""The chance level of a gap: what it would be on average if subgroups made no difference.

A gap that is a maximum or an absolute difference of noisy accuracies is above 0 where no subgroup
differs from another. Its chance level is its mean over permutations of the subgroup labels within
each class, given how many images of each class were classified rightly. Under such a permutation
the rightly classified images of a class are a random choice of its images. So one random order of
each class's images gives the counts of right images by subgroup for every number of right ones at
once, and all classifiers, seeds, generations and arms share the same permutations.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics import fairness
from jaxloop.metrics.counts import Counts
from jaxloop.types import Array

PERMUTATIONS = 200  # their mean errs by about 1/14 of a gap's standard deviation


class Permuted(NamedTuple):
    """right: float32 [P L N+1 G], images by subgroup among the first 0 .. N of a random order of
    the images of each class (classes with fewer images stay at their last count).

    total: float32 [L G], images of each cell.
    """

    right: Array
    total: Array


def permuted(label, group, num_classes: int, num_groups: int, num: int = PERMUTATIONS) -> Permuted:
    """Draw the permutations, always the same ones of one test set.

    Args:
      label, group: int [n], of the test set. An image of unknown subgroup (-1) is left out.
      num: P.
    """
    rng = np.random.default_rng(0)
    label, group = np.asarray(label), np.asarray(group)
    members = [group[(label == c) & (group >= 0)] for c in range(num_classes)]
    longest = max(map(len, members), default=0)
    right = np.zeros((num, num_classes, longest + 1, num_groups), np.float32)
    for c, of_class in enumerate(members):
        shuffled = rng.permuted(np.tile(of_class, (num, 1)), axis=1)
        counts = np.cumsum(shuffled[..., None] == np.arange(num_groups), axis=1)
        right[:, c, 1 : len(of_class) + 1] = counts
        right[:, c, len(of_class) + 1 :] = right[:, c, len(of_class), None]
    total = right[0, :, -1] if num else np.zeros((num_classes, num_groups), np.float32)
    return Permuted(jnp.asarray(right), jnp.asarray(total))


@jax.jit
def levels(permutations: Permuted, correct: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the chance level of every gap, and its standard deviation over permutations.

    Args:
      correct: [... L G], rightly classified images by class and subgroup.

    Returns:
      both float32 [...]; NaN where the measure does not exist.
    """
    by_class = correct.sum(axis=-1).astype(jnp.int32)
    found = _each(partial(_levels, permutations), by_class, correct.shape[:-2])
    return tuple({name: both[..., i] for name, both in found.items()} for i in (0, 1))  # type: ignore


@jax.jit
def values(permutations: Permuted, correct: Array) -> dict[str, Array]:
    """Return the gaps themselves; arguments and axes as of `levels`."""
    total = permutations.total

    def one(right: Array) -> dict[str, Array]:
        return gaps(Counts(right, total, right.sum(), total.sum()))

    return _each(one, correct, correct.shape[:-2])


def _each(function, x: Array, lead: tuple[int, ...]) -> dict[str, Array]:
    """Map over all leading axes, one after the other: a page has hundreds."""
    found = jax.lax.map(function, x.reshape(-1, *x.shape[len(lead) :]))
    return {name: value.reshape(*lead, *value.shape[1:]) for name, value in found.items()}


def _levels(permutations: Permuted, by_class: Array) -> dict[str, Array]:
    right, total = permutations
    chosen = right[:, jnp.arange(len(by_class)), by_class]
    counted = jax.vmap(lambda one: gaps(Counts(one, total, one.sum(), total.sum())))(chosen)
    return {
        name: jnp.stack([jnp.mean(x, axis=0), jnp.std(x, axis=0)]) for name, x in counted.items()
    }


def gaps(counts: Counts) -> dict[str, Array]:
    """Return the gaps of counts [L G], each 0 where all subgroups are alike: float32 [].

    mean_gap: 1 - MEO, eq. (2).  largest_gap: MD, eq. (4).  impact_gap: 1 - DI, eq. (3); all three
    pooled over classes, and within classes and then averaged (NAME_per_class).  rank_gap: best less
    worst rank of eq. (5).  relative_worst: mean over ranks less the worst one.
    """
    measures = fairness.from_counts(counts)
    rank = measures["acc_rank"]
    turned = {"mean_gap": ("meo", True), "largest_gap": ("md", False), "impact_gap": ("di", True)}
    found = {
        f"{name}{within}": 1 - measures[f"{metric}{within}"] if turn else measures[metric + within]
        for name, (metric, turn) in turned.items()
        for within in ("", "_per_class")
    }
    return found | {"rank_gap": rank[-1] - rank[0], "relative_worst": rank.mean() - rank[0]}


@jax.jit
def rank_levels(permutations: Permuted) -> Array:
    """Return the chance level of best less worst accuracy in each class: float32 [L N+1].

    By the number of rightly classified images of the class. NaN in a class that lacks a subgroup.
    """
    right, total = permutations
    rate = right / jnp.maximum(total, 1)[None, :, None]
    gap = jnp.mean(rate.max(axis=-1) - rate.min(axis=-1), axis=0)
    return jnp.where((total > 0).all(axis=-1, keepdims=True), gap, jnp.nan)

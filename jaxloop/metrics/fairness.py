"""How unequal a classifier is over subgroups: eqs. (2)-(5) of the paper (sec. 3.3), for any groups.

On plain arrays: `meo(predicted == label, group)`. In the loop: `from_counts`, and by code what does
not exist (`reasons`) or leaves classes out (`caveats`).

How we read the equations:
- Eqs. (2) and (3) divide by C(G, 2), so the sum is over unordered pairs. (Over ordered pairs each
  would count twice, and MEO could reach -1.) A pair's ratio in eq. (3) is the mean of its two
  directions. The true positive rate of a group is the accuracy over its images.
- A group without an image has no rate, and then MEO, DI and MD are NaN. (fairlearn leaves it out.)
  DI is NaN too if a group's accuracy is 0, and all three with a single group, which has no pair.
- A mean over classes is over those that have an image of every group. The others lack the value
  because of the test set, so they are the same classes in every generation. But where accuracy fell
  to 0 in a group of a class that counts, mean DI is NaN: leaving the class out would hide the
  worst.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics import vectors
from jaxloop.metrics.counts import Counts, count, rate
from jaxloop.types import Array

POOLED = ("meo", "di", "md")
PER_CLASS = ("meo_per_class", "di_per_class", "md_per_class")


def meo(correct, group, num_groups: int | None = None, unknown=None) -> Array:
    """Multi-group equality of opportunity, eq. (2): 1 - the mean over pairs of |acc_i - acc_j|.

    Args:
      correct: bool [n] (or 0 and 1), whether the image was classified correctly.
      group: [n], of anything that sorts (integers, names); -1 is a group like any other.
      num_groups: G; groups are then 0 .. G-1, and one without an image makes the measure NaN. None:
        the groups that occur. Inside jit G must be given, and a group out of range is left out.
      unknown: the value of `group` that leaves an image out; NaN: all missing values.

    Returns:
      float32 scalar in [0, 1], 1 = all groups alike. NaN: see the module.

    Raises:
      ValueError: an argument is not a vector of n, or holds what it may not; it is named.
    """
    return _meo(_group_rate(correct, group, num_groups, unknown))


def di(correct, group, num_groups: int | None = None, unknown=None) -> Array:
    """Multi-group disparate impact, eq. (3), in (-inf, 1], 1 = all alike. Arguments as in `meo`."""
    return _di(_group_rate(correct, group, num_groups, unknown))


def md(correct, group, num_groups: int | None = None, unknown=None) -> Array:
    """Maximum disparity, eq. (4), in [0, 1], 0 = all groups alike. Arguments as in `meo`."""
    return _md(_group_rate(correct, group, num_groups, unknown))


def ranked_accuracy(
    correct, label, group, num_classes=None, num_groups: int | None = None, unknown=None
) -> Array:
    """Accuracy of the k-th worst group of a class, averaged over classes, eq. (5).

    Args:
      correct, group, num_groups, unknown: as in `meo`.
      label: [n], the true class; num_classes: L, as `num_groups`.

    Returns:
      float32 [G] in [0, 1], worst first. A class that lacks an image of some group is left out.
    """
    counts = _count(correct, label, group, num_classes, num_groups, unknown)
    return _class_mean(jnp.sort(rate(counts.correct, counts.total)), counts.total)


@jax.jit
def from_counts(counts: Counts) -> dict[str, Array]:
    """Return every measure of classification from counts [L G]. Pure; vmap it over a seed axis.

    float32, NaN where a value does not exist (see the module):
    accuracy []: over all images, known group or not, eq. (1).
    meo, di, md []: eqs. (2)-(4), groups pooled over classes. They mean nothing where group g is
      another thing in each class.
    meo_per_class, di_per_class, md_per_class []: eqs. (2)-(4) within a class, averaged over
    classes. acc_rank [G]: eq. (5), worst first.
    group_accuracy [G]: pooled over classes.  class_group_accuracy [L G].
    """
    _check_cells(counts)
    by_group = rate(counts.correct.sum(axis=0), counts.total.sum(axis=0))
    by_cell = rate(counts.correct, counts.total)
    equations = (_meo, _di, _md)
    within = jnp.stack([equation(by_cell) for equation in equations], axis=1)
    return {
        "accuracy": rate(counts.all_correct, counts.all_total),
        **{name: equation(by_group) for name, equation in zip(POOLED, equations, strict=True)},
        **dict(zip(PER_CLASS, _class_mean(within, counts.total), strict=True)),
        "acc_rank": _class_mean(jnp.sort(by_cell), counts.total),
        "group_accuracy": by_group,
        "class_group_accuracy": by_cell,
    }


def reasons(counts: Counts) -> dict[str, str]:
    """Return {measure: code of `records.REASONS`} for all that are NaN or hold one."""
    _check_cells(counts)
    correct, total = np.asarray(counts.correct), np.asarray(counts.total)
    group_size, complete = total.sum(axis=0), (total > 0).all(axis=1)
    # Where a measure lacks a value for two reasons, the later line's stands.
    rules = (
        (((correct.sum(axis=0) == 0) & (group_size > 0)).any(), "zero_accuracy", ("di",)),
        ((correct[complete] == 0).any(), "zero_accuracy", ("di_per_class",)),
        ((group_size == 0).any(), "empty_cell", (*POOLED, "group_accuracy")),
        (not complete.any(), "empty_cell", (*PER_CLASS, "acc_rank")),
        ((total == 0).any(), "empty_cell", ("class_group_accuracy",)),
        (total.shape[1] == 1, "one_group", (*POOLED, *PER_CLASS)),
        (int(counts.all_total) == 0, "no_images", ("accuracy",)),
    )
    return {measure: code for holds, code, measures in rules if holds for measure in measures}


def caveats(counts: Counts) -> dict[str, str]:
    """Return {measure: code of `records.CAVEATS`} for existing means that leave classes out."""
    means = {*PER_CLASS, "acc_rank"} if (np.asarray(counts.total) == 0).any() else set()
    return dict.fromkeys(means - reasons(counts).keys(), "classes_left_out")


# The equations, of accuracies float32 [... G] with NaN for an empty group.


def _meo(acc: Array) -> Array:
    left, right = _pairs(acc)
    return 1 - jnp.mean(jnp.abs(left - right), axis=-1)


def _di(acc: Array) -> Array:
    # A ratio over 0 does not exist, and both directions are taken.
    left, right = _pairs(jnp.where(acc > 0, acc, jnp.nan))
    return 1 - jnp.mean((jnp.abs(left / right - 1) + jnp.abs(right / left - 1)) / 2, axis=-1)


def _md(acc: Array) -> Array:
    left, right = _pairs(acc)
    return jnp.max(jnp.abs(left - right), axis=-1)


def _pairs(acc: Array) -> tuple[Array, Array]:
    """Return both sides of every unordered pair: [... G] -> two of [... C(G,2)], NaN if G = 1."""
    if acc.shape[-1] == 1:
        return jnp.full_like(acc, jnp.nan), jnp.full_like(acc, jnp.nan)
    first, second = np.triu_indices(acc.shape[-1], k=1)
    return acc[..., first], acc[..., second]


def _class_mean(value: Array, total: Array) -> Array:
    """Return the mean of value [L k] over classes with images of every group ([L G]): [k]."""
    complete = jnp.all(total > 0, axis=1)
    number = jnp.where(jnp.any(complete), complete.sum().astype(jnp.float32), jnp.nan)
    return jnp.sum(jnp.where(complete[:, None], value, 0), axis=0) / number


def _group_rate(correct, group, num_groups: int | None, unknown) -> Array:
    """Return the accuracy of every group, float32 [G]."""
    one_class = np.zeros(np.shape(correct), np.int32)
    counts = _count(correct, one_class, group, 1, num_groups, unknown)
    return rate(counts.correct[0], counts.total[0])


def _count(correct, label, group, num_classes, num_groups, unknown) -> Counts:
    hits = vectors.categories("correct", correct, size=2).index
    label, classes = vectors.categories("label", label, len(hits), num_classes)
    group, groups = vectors.categories("group", group, len(hits), num_groups, unknown)
    return count(hits.astype(bool), label, group, max(len(classes), 1), max(len(groups), 1))


def _check_cells(counts: Counts) -> None:
    shape = jnp.shape(counts.correct)
    if len(shape) != 2 or shape != jnp.shape(counts.total):
        raise ValueError(f"counts must be [L G] (vmap over seeds); they are {shape}")

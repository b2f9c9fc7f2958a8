"""How unequal a classifier is over subgroups: eqs. (2)-(5) of the paper (sec. 3.3), for more than two groups.

In a notebook, on plain arrays:

    meo(predicted == label, group)

`frame.groupwise` lays any metric out group by group.

In the loop, `from_counts` gives every measure at once, and `why_missing` says why one of them does not exist.

How we read the equations:
- Eqs. (2) and (3) divide by C(G, 2), the number of unordered pairs, so the sum is over unordered pairs too. (Over ordered
  pairs each pair would count twice, and MEO could reach -1.)
- Eq. (3)'s ratio is not symmetric: a pair contributes the mean of its two directions.
- The true positive rate of a group is the rate at which its images get their own class: the group's accuracy.
- A group without an image has no rate, and then none of MEO, DI and MD exists: NaN. (fairlearn leaves out groups it has
  not seen; MD equals its difference between groups when every group has an image.) DI is NaN as well when a group's
  accuracy is 0, and all three are with a single group, which has no pair.
- A mean over classes is over the classes that have an image of every group. The others are left out: they lack the value
  because of the test set, so it is the same classes in every generation. But if a class that is not left out has no DI,
  because accuracy fell to 0 in one of its groups, the mean is NaN: leaving that class out would hide the worst bias.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics.counts import Counts, count, rate
from jaxloop.types import UNKNOWN_GROUP, Array


def meo(correct: Array, group: Array, num_groups: int | None = None) -> Array:
    """Multi-group equality of opportunity, eq. (2): 1 - the mean over pairs of |accuracy_i - accuracy_j|.

    Args:
      correct: bool [n] (or 0 and 1), whether the image was classified correctly. NumPy, JAX or a list, like `group`.
      group: int [n], in [0, G); UNKNOWN_GROUP leaves the image out. Or the names of the groups, as strings.
      num_groups: G. None: the highest group that occurs is the last one (inside jit, G must be given).

    Returns:
      float32 scalar in [0, 1], 1 = all groups alike. NaN: see the module.

    Raises:
      ValueError: an argument is not a vector of n, or holds what it may not; the message names it.
    """
    return _meo(_group_rate(correct, group, num_groups))


def di(correct: Array, group: Array, num_groups: int | None = None) -> Array:
    """Multi-group disparate impact, eq. (3): 1 - the mean over pairs, both directions, of |accuracy_i / accuracy_j - 1|.

    Arguments and errors as in `meo`. Returns a float32 scalar in (-inf, 1], 1 = all groups alike. NaN: see the module.
    """
    return _di(_group_rate(correct, group, num_groups))


def md(correct: Array, group: Array, num_groups: int | None = None) -> Array:
    """Maximum disparity, eq. (4): the largest |accuracy_i - accuracy_j| over pairs of groups.

    Arguments and errors as in `meo`. Returns a float32 scalar in [0, 1], 0 = all groups alike. NaN: see the module.
    """
    return _md(_group_rate(correct, group, num_groups))


def ranked_accuracy(
    correct: Array,
    label: Array,
    group: Array,
    num_classes: int | None = None,
    num_groups: int | None = None,
) -> Array:
    """Accuracy of the k-th worst group of a class, averaged over classes, eq. (5).

    Which group is worst may differ from class to class, so groups need not mean the same thing in two classes.

    Args:
      correct, group, num_groups: as in `meo`.
      label: int [n], the true class, in [0, L). Or the names of the classes, as strings.
      num_classes: L. None: the highest class that occurs is the last one.

    Returns:
      float32 [G] in [0, 1], ascending: entry 0 is the worst rank. A class that lacks an image of some group cannot be ranked
      and is left out of the mean; NaN everywhere if no class is left.

    Raises:
      ValueError: as in `meo`.
    """
    counts = _count_plain(correct, label, group, num_classes, num_groups)
    return _class_mean(_rank(rate(counts.correct, counts.total)), counts.total)


@jax.jit
def from_counts(counts: Counts) -> dict[str, Array]:
    """Every measure of classification, from one set of counts. Pure; vmap it over a leading seed axis.

    Args:
      counts: [L G].

    Returns:
      float32, NaN where a value does not exist (see the module):
      accuracy []: over all images, known group or not, eq. (1).
      meo, di, md []: eqs. (2)-(4), groups pooled over classes. Means nothing where group g is another thing in each class.
      meo_per_class, di_per_class, md_per_class []: eqs. (2)-(4) within a class, averaged over classes.
      acc_rank [G]: eq. (5), worst first.
      group_accuracy [G]: pooled over classes.  class_group_accuracy [L G].

    Raises:
      ValueError: counts are not [L G].
    """
    _check_cells(counts)
    by_group = rate(counts.correct.sum(axis=0), counts.total.sum(axis=0))
    by_cell = rate(counts.correct, counts.total)
    within = jnp.stack([_meo(by_cell), _di(by_cell), _md(by_cell)], axis=1)
    meo_mean, di_mean, md_mean = _class_mean(within, counts.total)
    return {
        "accuracy": rate(counts.all_correct, counts.all_total),
        "meo": _meo(by_group),
        "di": _di(by_group),
        "md": _md(by_group),
        "meo_per_class": meo_mean,
        "di_per_class": di_mean,
        "md_per_class": md_mean,
        "acc_rank": _class_mean(_rank(by_cell), counts.total),
        "group_accuracy": by_group,
        "class_group_accuracy": by_cell,
    }


def why_missing(counts: Counts) -> dict[str, str]:
    """Says why a measure of `from_counts` does not exist, and which classes a mean leaves out. On the host.

    Args:
      counts: [L G], of one seed.

    Returns:
      measure -> one short sentence. It has a key for every measure that is NaN or holds one, and for every mean over
      classes that leaves some class out ("left out: ..."); no other.

    Raises:
      ValueError: counts are not [L G].
    """
    _check_cells(counts)
    correct, total = np.asarray(counts.correct), np.asarray(counts.total)
    reasons = _pooled_reasons(correct.sum(axis=0), total.sum(axis=0)) | _class_reasons(
        correct, total
    )
    if counts.all_total == 0:
        reasons["accuracy"] = "there is no test image"
    cells = [f"class {c} group {g}" for c, g in np.argwhere(total == 0)]
    if cells:
        reasons["class_group_accuracy"] = f"no test image in {_listed(cells)}"
    return reasons


# The equations, each from accuracies `acc`, float32 [... G] with NaN for an empty group, to [...] (or [... G] for ranks).


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


def _rank(acc: Array) -> Array:
    return jnp.sort(acc, axis=-1)


def _pairs(acc: Array) -> tuple[Array, Array]:
    """The two ends of every unordered pair of groups: [... G] -> two of [... C(G,2)]. One group gives one pair of NaN."""
    if acc.shape[-1] == 1:
        return jnp.full_like(acc, jnp.nan), jnp.full_like(acc, jnp.nan)
    first, second = np.triu_indices(acc.shape[-1], k=1)
    return acc[..., first], acc[..., second]


def _class_mean(value: Array, total: Array) -> Array:
    """Mean of value [L k] over the classes that have an image of every group (total [L G]): [k]; NaN if none has."""
    complete = jnp.all(total > 0, axis=1)
    number = jnp.where(jnp.any(complete), complete.sum().astype(jnp.float32), jnp.nan)
    return jnp.sum(jnp.where(complete[:, None], value, 0), axis=0) / number


# Plain arrays.


def _group_rate(correct: Array, group: Array, num_groups: int | None) -> Array:
    """The accuracy of every group, float32 [G]."""
    label = np.zeros(np.shape(correct), np.int32)
    counts = _count_plain(correct, label, group, 1, num_groups)
    return rate(counts.correct[0], counts.total[0])


def _count_plain(
    correct: Array, label: Array, group: Array, num_classes: int | None, num_groups: int | None
) -> Counts:
    """Counts of arrays that a person passed: checked first, since a wrong one would only change the number."""
    label, num_classes = _numbered("num_classes", label, num_classes)
    group, num_groups = _numbered("num_groups", group, num_groups)
    for name, size in {"num_classes": num_classes, "num_groups": num_groups}.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
    correct = _vector("correct", correct, None, 0, 1).astype(bool)
    label = _vector("label", label, len(correct), 0, num_classes - 1)
    group = _vector("group", group, len(correct), UNKNOWN_GROUP, num_groups - 1)
    return count(correct, label, group, num_classes, num_groups)


def _numbered(size_name: str, value: Array, size: int | None) -> tuple[Array, int]:
    """Names as numbers, in sorted order, and how many there are; at least 1, so that no image still has a shape."""
    if isinstance(value, jax.core.Tracer):
        if size is None:
            raise ValueError(f"{size_name} must be given inside jit, where values are not known")
        return value, size
    value = np.asarray(value)
    if value.dtype == object and not all(isinstance(item, str) for item in value):
        value = value.astype(np.int32)  # numbers in an array of objects, as a table's column may be
    if value.dtype.kind in "UO":
        value = np.unique(value, return_inverse=True)[1]
    return value, max(int(value.max(initial=0)) + 1, 1) if size is None else size


def _vector(name: str, value: Array, length: int | None, low: int, high: int) -> Array:
    """`value` as an int32 vector; ValueError if it is none, or holds something outside low .. high.

    Inside jit the values are not known yet, so only shape and type are checked there.
    """
    traced = isinstance(value, jax.core.Tracer)
    array = value if traced else np.asarray(value)
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise ValueError(
            f"{name} must be a vector, one entry an image, as long as the others; its shape is {array.shape}"
        )
    if not (array.size == 0 or array.dtype == bool or jnp.issubdtype(array.dtype, jnp.integer)):
        raise ValueError(f"{name} must be of integers (or bool), not {array.dtype}")
    if not traced and array.size and not (low <= array.min() and array.max() <= high):
        raise ValueError(
            f"{name} must be in {low} .. {high}; it holds {array.min()} .. {array.max()}"
        )
    return array.astype(np.int32)


def _check_cells(counts: Counts) -> None:
    if jnp.ndim(counts.correct) != 2 or jnp.shape(counts.correct) != jnp.shape(counts.total):
        raise ValueError(
            f"counts must be [L G] (vmap over seeds); they are {jnp.shape(counts.correct)}"
        )


# Reasons.

_NO_PAIR = "there is one group only, so no pair to compare"


def _pooled_reasons(correct: np.ndarray, total: np.ndarray) -> dict[str, str]:
    """For meo, di, md and group_accuracy, from counts [G]."""
    reasons = {}
    unseen = [f"group {g}" for g in np.flatnonzero(total == 0)]
    wrong = [f"group {g}" for g in np.flatnonzero((total > 0) & (correct == 0))]
    if wrong:
        reasons["di"] = f"accuracy is 0 in {_listed(wrong)}: the ratio of eq. (3) does not exist"
    if unseen:
        reasons |= dict.fromkeys(
            ("meo", "di", "md", "group_accuracy"), f"no test image in {_listed(unseen)}"
        )
    if len(total) == 1:
        reasons |= dict.fromkeys(("meo", "di", "md"), _NO_PAIR)
    return reasons


def _class_reasons(correct: np.ndarray, total: np.ndarray) -> dict[str, str]:
    """For acc_rank and the three means over classes, from counts [L G]."""
    reasons = {}
    pairwise = ("meo_per_class", "di_per_class", "md_per_class")
    complete = (total > 0).all(axis=1)
    left_out = [
        f"class {c} (no test image in group {np.argmin(total[c])})"
        for c in np.flatnonzero(~complete)
    ]
    wrong = [f"class {c} group {g}" for c, g in np.argwhere(complete[:, None] & (correct == 0))]
    if left_out:
        lead = (
            "left out"
            if complete.any()
            else "no class has a test image of every group, so all are left out"
        )
        reasons |= dict.fromkeys((*pairwise, "acc_rank"), f"{lead}: {_listed(left_out)}")
    if wrong:
        reasons["di_per_class"] = (
            f"accuracy is 0 in {_listed(wrong)}: the ratio of eq. (3) does not exist"
        )
    if total.shape[1] == 1:
        reasons |= dict.fromkeys(pairwise, _NO_PAIR)
    return reasons


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""What votes amount to: whether raters agree, whether they tell generated from real images, and bins by score.

All of it is computed from standing votes: take those of one generation, and it is of that alone. Take those of
`votes.blind`: who has seen the audit or the summary no longer judges a picture by its looks, nor apart from others.
Intervals are two-sided, of 95 %. A value that does not exist is None, and `why` says so in a sentence; else it is "".
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from jaxloop.provenance.votes import Key, Vote

CONFIDENCE = 0.95


class Agreement(NamedTuple):
    """Of raters, over the images that two or more of them voted on.

    alpha: Krippendorff's, nominal: 1 = agreement without exception, 0 = as by chance, below = worse than that.
    share: of agreeing pairs of votes on one image, every vote weighing the same; not corrected for chance, in [0, 1].
    num: images that two raters or more voted on.
    """

    alpha: float | None
    share: float | None
    num: int
    why: str


class Detection(NamedTuple):
    """How well generated images are told from real ones, where "drop" says "looks generated".

    rater: whose votes; None = everybody's.  num_generated, num_real: votes on such images.
    hits: share of "drop" among votes on generated images.  false_alarms: the same among votes on real ones.
    accuracy: (hits + 1 - false_alarms) / 2: balanced, so that chance is 1/2 whatever the numbers of images.
    low, high: its interval.  differs: whether that leaves out 1/2.
    """

    rater: str | None
    num_generated: int
    num_real: int
    hits: float | None
    false_alarms: float | None
    accuracy: float | None
    low: float | None
    high: float | None
    differs: bool | None
    why: str


def agreement(standing: Mapping[Key, Vote]) -> Agreement:
    """Of raters on "keep" and "drop"; one image is one picture as a picture of one class, real or generated."""
    verdicts: dict[tuple[str, int], list[str]] = {}
    for (_, *image), vote in standing.items():
        verdicts.setdefault(tuple(image), []).append(vote.verdict)
    return alpha(verdicts.values())


def alpha(units: Iterable[Sequence[Hashable]]) -> Agreement:
    """Krippendorff's alpha of nominal values, one sequence a unit, of as many raters as valued it.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: 1 - observed / expected disagreement, where a unit
    of one value says nothing and is left out. There is none where no unit has two values, or all values are the same.
    """
    units = [Counter(unit) for unit in units if len(unit) > 1]
    if not units:
        return Agreement(None, None, 0, "No image has votes of two raters.")
    total = sum(units, Counter())
    num = total.total()
    observed = sum(_unequal(unit) / (unit.total() - 1) for unit in units) / num
    expected = _unequal(total) / (num * (num - 1))
    if expected == 0:
        why = "All votes are the same, so that agreement by chance cannot be told apart."
        return Agreement(None, 1.0, len(units), why)
    return Agreement(1 - observed / expected, 1 - observed, len(units), "")


def detection(standing: Mapping[Key, Vote]) -> list[Detection]:
    """Of each rater, by name, and last of all of them together.

    The interval takes votes as independent. One rater's are, so far as the images are a random choice. Pooled ones are
    not: those on one image hang together, and those of one rater; the interval is too narrow. Prefer the raters' own.
    """
    of_rater: dict[str, list[Vote]] = {}
    for vote in standing.values():
        of_rater.setdefault(vote.rater, []).append(vote)
    raters = [_detection(rater, given) for rater, given in sorted(of_rater.items())]
    return [*raters, _detection(None, list(standing.values()))]


def wilson(count: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, `count` of `total` >= 1: in [0, 1]."""
    z = stats.norm.ppf((1 + CONFIDENCE) / 2)
    p, weight = count / total, z**2 / total
    middle, half_width = p + weight / 2, math.sqrt(weight * (p * (1 - p) + weight / 4))
    low, high = (
        float((middle - half_width) / (1 + weight)),
        float((middle + half_width) / (1 + weight)),
    )
    return max(0.0, low), min(
        1.0, high
    )  # 0 and 1 are reached exactly, and rounding may step over them


def newcombe(count: int, total: int, count2: int, total2: int) -> tuple[float, float]:
    """Interval of the difference of two independent proportions, count / total - count2 / total2: in [-1, 1].

    Newcombe's hybrid of two Wilson intervals: "Interval estimation for the difference between independent proportions",
    Statistics in Medicine 17, 1998, method 10.
    """
    p, p2 = count / total, count2 / total2
    (low, high), (low2, high2) = wilson(count, total), wilson(count2, total2)
    return p - p2 - math.hypot(p - low, high2 - p2), p - p2 + math.hypot(high - p, p2 - low2)


def bins(score: np.ndarray, label: np.ndarray | None = None, num: int = 10) -> np.ndarray:
    """Bins of equal number by score, 0 = lowest, -1 where it is NaN: int [n]. The paper draws from such (appendix C).

    Sizes differ by one at most. Of equal scores the first comes first. With `label`, int [n], each class is binned
    alone: bin k holds the k-th tenth (for num = 10) of every class.
    """
    score = np.asarray(score)
    label = np.zeros(len(score), int) if label is None else np.asarray(label)
    found = np.full(len(score), -1)
    for class_ in np.unique(label):
        ranked = np.flatnonzero((label == class_) & ~np.isnan(score))
        ranked = ranked[np.argsort(score[ranked], kind="stable")]
        found[ranked] = np.arange(len(ranked)) * num // len(ranked)
    return found


def _unequal(values: Counter) -> int:
    """Ordered pairs of unequal values."""
    return values.total() ** 2 - sum(count**2 for count in values.values())


def _detection(rater: str | None, votes: Sequence[Vote]) -> Detection:
    generated, real = (
        [v.verdict == "drop" for v in votes if v.real is side] for side in (False, True)
    )
    hits, false_alarms = (sum(side) / len(side) if side else None for side in (generated, real))
    sides = (rater, len(generated), len(real), hits, false_alarms)
    if hits is None or false_alarms is None:
        lacking = " and no ".join(
            word for word, side in (("generated", generated), ("real", real)) if not side
        )
        return Detection(*sides, None, None, None, None, f"No {lacking} image has a vote.")
    low, high = newcombe(sum(generated), len(generated), sum(real), len(real))
    accuracy = (1 + hits - false_alarms) / 2
    return Detection(*sides, accuracy, (1 + low) / 2, (1 + high) / 2, low > 0 or high < 0, "")

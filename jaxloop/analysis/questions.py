"""The three questions on a gap, as contrasts over generations, and the verdicts on them.

- EFFECT, *does generated data change bias?* Loop less the arm without the loop, mean over the
  generations from the one in which the queue is full.
- TREND, *does it go on growing?* The least-squares slope of that difference over these generations.
- SLOPE, the question as the paper reads its figures: the slope of the loop alone from generation 0.
  It cannot tell generated data from training anew, nor a step from growth.

Seeds are paired: both arms share generation 0 and all random numbers.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxloop import statistics
from jaxloop.analysis.crossed import Crossed, crossed
from jaxloop.analysis.gaps import Gap
from jaxloop.statistics import CONFIDENCE

EFFECT, TREND, SLOPE = "effect", "trend", "slope"
GREW, SHRANK, NO_CHANGE, CANNOT_TELL = "grew", "shrank", "no_change", "cannot_tell"
MOST = 1000  # seeds or multiples of the test set that a plan looks at


class Verdict(NamedTuple):
    """word: one of the four.  p, p_no_change: corrected by Holm for the family; None: no test."""

    word: str
    p: float | None
    p_no_change: float | None


def effect(loop: Gap, without: Gap, window: np.ndarray) -> Crossed:
    """Return the mean difference over the generations where `window`, bool [T].

    loop, without: gaps [S T] of the two arms. A seed's mean is over the generations that both have.
    """
    present = window & np.isfinite(loop.value) & np.isfinite(without.value)
    number = present.sum(axis=1)
    weights = np.where(present, 1 / np.maximum(number, 1)[:, None], 0)
    return _contrast([loop, without], weights, np.asarray(number > 0))


def trend(loop: Gap, without: Gap, window: np.ndarray) -> Crossed:
    """Return the slope a generation of the difference; arguments as of `effect`."""
    present = window & np.isfinite(loop.value) & np.isfinite(without.value)
    return _contrast([loop, without], *_slope_weights(present))


def slope(loop: Gap) -> Crossed:
    """Return the slope a generation of the loop, over all generations."""
    return _contrast([loop], *_slope_weights(np.isfinite(loop.value)))


def since_start(loop: Gap) -> Crossed:
    """Return the last generation less generation 0, over seeds that have both."""
    has = np.asarray(np.isfinite(loop.value[:, [0, -1]]).all(axis=1))
    weights = np.zeros(loop.value.shape)
    weights[:, 0], weights[:, -1] = -1, 1
    return _contrast([loop], weights, has)


def _slope_weights(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return least-squares weights of each seed's slope, [S T], and which seeds have one, [S]."""
    generation = np.arange(present.shape[1], dtype=float)
    number = np.maximum(present.sum(axis=1, keepdims=True), 1)
    centre = (present * generation).sum(axis=1, keepdims=True) / number
    x = np.where(present, generation - centre, 0)
    squares = (x**2).sum(axis=1, keepdims=True)
    return x / np.maximum(squares, 1e-9), np.asarray(squares[:, 0] > 0)


def _contrast(gaps: Sequence[Gap], weights: np.ndarray, has: np.ndarray) -> Crossed:
    """Return the first gap, less the second, over seeds; weights [S T] are over generations."""
    values, contribution = 0.0, 0.0
    for sign, gap in zip((1, -1), gaps, strict=False):
        values = values + sign * (weights * np.nan_to_num(gap.value)).sum(axis=1)
        known = np.nan_to_num(gap.contribution)
        contribution = contribution + sign * np.einsum("st,stn->sn", weights, known)
    return crossed(np.where(has, values, np.nan), np.asarray(contribution), gaps[0].stratum)


def decide(family: Sequence[tuple[Crossed, float]]) -> list[Verdict]:
    """Return the verdict on each (estimate, margin), as one family.

    GREW or SHRANK where the change is told from 0; else NO_CHANGE where it is told to be smaller
    than its margin, by two one-sided tests; else CANNOT_TELL. Both kinds of p values are corrected
    by Holm for the family.
    """
    different = statistics.holm([c.p() for c, _ in family])
    smaller = statistics.holm([c.p_smaller(margin) for c, margin in family])
    return [
        Verdict(_word(c, p, q), p, q)
        for (c, _), p, q in zip(family, different, smaller, strict=True)
    ]


def _word(c: Crossed, p: float | None, p_no_change: float | None) -> str:
    if c.estimate is None or p is None or p_no_change is None:
        return CANNOT_TELL
    if p < 1 - CONFIDENCE:
        return GREW if c.estimate > 0 else SHRANK
    return NO_CHANGE if p_no_change < 1 - CONFIDENCE else CANNOT_TELL


def needed(c: Crossed, change: float, num_tests: int) -> tuple[int | None, float | None]:
    """Return how many seeds, and how many times the test images, would tell `change`.

    Each alone, the other left as it is. None: not even MOST.
    """
    if c.error is None:
        return None, None

    def enough(seeds: int, images: float) -> bool:
        return (c.planned(seeds, images, num_tests) or 0) <= change

    counts, multiples = range(2, MOST + 1), np.geomspace(1, MOST, 100).tolist()
    seeds = bisect_left(counts, True, key=lambda s: enough(s, 1))
    # With more images the seeds' part, of few degrees of freedom, weighs more: not monotone.
    images = next((m for m in multiples if enough(c.num_seeds, m)), None)
    return counts[seeds] if seeds < len(counts) else None, images

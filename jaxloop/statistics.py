"""Means, intervals, trends and verdicts over seeds, and intervals of proportions.

Intervals are two-sided, of CONFIDENCE; those of a mean over seeds are Student's, not clipped to a
measure's range. Values that are None, NaN or infinite are left out and counted. Where all seeds
give the same number there is neither an interval nor a test: a measure that is a fraction of few
images takes few values, and seeds meet in one of them by chance.

Verdicts come in families, decided by Holm's step-down procedure ("A simple sequentially rejective
multiple test procedure", 1979): where nothing changes, the chance of one wrong verdict or more in a
family is at most 5 %, however the tests depend on each other. Intervals are not corrected.
"""

import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

GREW, SHRANK, CANNOT_TELL = "grew", "shrank", "cannot tell"
HIGHER, LOWER = "higher", "lower"
ONE_SEED = f"{CANNOT_TELL} (one seed)"
NO_TREND = f"{CANNOT_TELL} (no trend)"
NO_SPREAD = f"{CANNOT_TELL} (no spread)"

# What moves by less a generation, or differs by less between two seeds, does so by rounding.
NEGLIGIBLE = 1e-12


class Estimate(NamedTuple):
    """A mean over seeds, None if no seed has a value.

    half_width: of the interval; None if fewer than two seeds have a value, 0 if all gave the same.
    There is no interval then, and low and high are None.
    """

    mean: float | None
    half_width: float | None
    num: int
    num_missing: int

    @property
    def low(self) -> float | None:
        return self.mean - self.half_width if self.mean is not None and self.half_width else None

    @property
    def high(self) -> float | None:
        return self.mean + self.half_width if self.mean is not None and self.half_width else None


class Trend(NamedTuple):
    """How a measure moves over generations.

    slope: over seeds, of each seed's least-squares slope per generation.  p: of "it is 0".
    num_points, num_points_missing: values (seed x generation) in the slopes, and left out.
    """

    slope: Estimate
    p: float | None
    num_points: int
    num_points_missing: int


class Difference(NamedTuple):
    """One mean over seeds less another, and p of "they are equal"; num counts seeds, or pairs."""

    estimate: Estimate
    p: float | None


class Decision(NamedTuple):
    """word: the verdict.  p: corrected by Holm for the family; None where there is no test."""

    word: str
    p: float | None


def is_number(value) -> TypeGuard[float]:
    """Return whether `value` is a finite number (not None, NaN or infinite)."""
    return value is not None and math.isfinite(value)


def estimate(values: Sequence[float | None]) -> Estimate:
    """Return mean and t-interval of one value a seed."""
    present = [float(value) for value in values if is_number(value)]
    num, num_missing = len(present), len(values) - len(present)
    if num < 2:
        return Estimate(present[0] if present else None, None, num, num_missing)
    deviation = float(np.std(present, ddof=1)) if _spread(present) else 0.0
    half_width = _quantile(num - 1) * deviation / math.sqrt(num)
    return Estimate(float(np.mean(present)), half_width, num, num_missing)


def slope(values: Mapping[int, float | None]) -> float | None:
    """Return the least-squares slope of {generation: value}; None below two values."""
    present = {generation: value for generation, value in values.items() if is_number(value)}
    if len(present) < 2:
        return None
    x, y = np.array(list(present), float), np.array(list(present.values()), float)
    x -= x.mean()
    return _rounded(float(x @ (y - y.mean()) / (x @ x)))


def trend(values_by_seed: Sequence[Mapping[int, float | None]]) -> Trend:
    """Return the trend of one {generation: value} a seed; the interval is over their slopes."""
    slopes = estimate([slope(values) for values in values_by_seed])
    points = [value for values in values_by_seed for value in values.values()]
    num_points = sum(map(is_number, points))
    return Trend(slopes, p_value(slopes), num_points, len(points) - num_points)


def p_value(e: Estimate) -> float | None:
    """Return p of the two-sided t-test that a mean over seeds is 0. None without an interval."""
    if e.mean is None or not e.half_width:
        return None
    degrees = e.num - 1
    return float(2 * stats.t.sf(abs(e.mean) / (e.half_width / _quantile(degrees)), degrees))


def welch(values: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """Return the mean of `others` less that of `values`: Welch's unpaired t interval and test."""
    sides = [[float(value) for value in side if is_number(value)] for side in (values, others)]
    num = sum(map(len, sides))
    missing = len(values) + len(others) - num
    mean = _rounded(float(np.mean(sides[1]) - np.mean(sides[0]))) if all(sides) else None
    too_few = min(map(len, sides)) < 2
    if too_few or not any(map(_spread, sides)):
        return Difference(Estimate(mean, None if too_few else 0.0, num, missing), None)
    with warnings.catch_warnings():  # that one side has no spread is no loss of precision
        warnings.simplefilter("ignore", RuntimeWarning)
        test: Any = stats.ttest_ind(sides[1], sides[0], equal_var=False)
    low, high = test.confidence_interval(CONFIDENCE)
    return Difference(Estimate(mean, float(high - low) / 2, num, missing), float(test.pvalue))


def paired(values: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """Return `welch` of pairs: the paired t interval and test. An incomplete pair is left out."""
    pairs = zip(values, others, strict=True)
    e = estimate([b - a if is_number(a) and is_number(b) else None for a, b in pairs])
    e = e if e.mean is None else e._replace(mean=_rounded(e.mean))
    return Difference(e, p_value(e))


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion, `count` of `total` >= 1: in [0, 1]."""
    low, high = stats.binomtest(int(count), int(total)).proportion_ci(CONFIDENCE, "wilson")
    return min(float(low), count / total), max(float(high), count / total)  # rounding at 0 and 1


def newcombe(count: int, total: int, count2: int, total2: int) -> tuple[float, float]:
    """Return the interval of count / total - count2 / total2, of independent proportions.

    Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10).
    """
    p, p2 = count / total, count2 / total2
    (low, high), (low2, high2) = wilson(count, total), wilson(count2, total2)
    return p - p2 - math.hypot(p - low, high2 - p2), p - p2 + math.hypot(high - p, p2 - low2)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected by Holm's step-down for their number, in the order given.

    Of m values the i-th smallest (from 0) becomes (m - i) p, at least what a smaller one became,
    and at most 1. None stays None and does not count.
    """
    ascending = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for step, (p, i) in enumerate(ascending):
        adjusted[i] = least = max(least, min(1.0, (len(ascending) - step) * p))
    return adjusted


def decide(
    family: Sequence[tuple[Estimate, float | None]], up: str = GREW, down: str = SHRANK
) -> list[Decision]:
    """Return a verdict for each (estimate, p value): `up`, `down`, CANNOT_TELL, or `untested`."""
    adjusted = holm([p for _, p in family])
    return [Decision(_word(e, p, up, down), p) for (e, _), p in zip(family, adjusted, strict=True)]


def untested(e: Estimate) -> str:
    """Return why there is no test of a mean: NO_TREND (no mean), ONE_SEED or NO_SPREAD."""
    if e.mean is None:
        return NO_TREND
    return ONE_SEED if e.half_width is None else NO_SPREAD


def _word(e: Estimate, p: float | None, up: str, down: str) -> str:
    if e.mean is None or p is None:
        return untested(e)
    if p >= 1 - CONFIDENCE:
        return CANNOT_TELL
    return up if e.mean > 0 else down


@functools.lru_cache  # a page needs the same few thousands of times
def _quantile(degrees: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees))


def _rounded(value: float) -> float:
    return 0.0 if abs(value) < NEGLIGIBLE else value


def _spread(values: Sequence[float]) -> bool:
    """Return whether seeds differ by more than rounding error."""
    return float(np.ptp(values)) >= NEGLIGIBLE

"""Means, intervals, trends and verdicts over seeds.

All intervals are two-sided 95 % Student-t intervals of a mean over seeds, mean ± t(0.975, n - 1) s / sqrt(n), with s the
standard deviation of the n seeds (n - 1 in its denominator). They are not clipped to a measure's range. Values that are
None, NaN or infinite are left out and counted.

Where all seeds give the same number there is neither an interval nor a test: a measure that is a fraction of few images
takes few values, and that two or three seeds meet in one of them by chance says nothing on how far chance reaches.

Verdicts come in families, and are taken at the 5 % level by Holm's step-down procedure ("A simple sequentially rejective
multiple test procedure", 1979): where nothing changes, the chance of one wrong verdict or more in a family is at most 5 %,
however the tests depend on each other. Intervals are not corrected.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

GREW, SHRANK, CANNOT_TELL = "grew", "shrank", "cannot tell"
HIGHER, LOWER = "higher", "lower"
ONE_SEED = f"{CANNOT_TELL} (one seed)"
NO_TREND = f"{CANNOT_TELL} (no trend)"
NO_SPREAD = f"{CANNOT_TELL} (no spread)"

# Nothing measured here moves by less than this a generation, nor differs by less between two seeds: that is rounding.
NEGLIGIBLE = 1e-12


class Estimate(NamedTuple):
    """A mean over seeds.

    mean: None if no seed has a value.
    half_width: of the 95 % interval; None if fewer than two seeds have a value, 0 if all that have one gave the same.
      There is no interval then, and low and high are None.
    num: seeds that have a value.  num_missing: seeds that have none.
    """

    mean: float | None
    half_width: float | None
    num: int
    num_missing: int

    @property
    def low(self) -> float | None:
        return self.mean - self.half_width if self.half_width else None

    @property
    def high(self) -> float | None:
        return self.mean + self.half_width if self.half_width else None


class Trend(NamedTuple):
    """How a measure moves over generations.

    slope: the mean over seeds of each seed's least-squares slope, in the measure's unit per generation.
    p: of the two-sided t-test that the slope is 0; None with fewer than two seeds or without spread.
    num_points: values (seed x generation) that went into the slopes.  num_points_missing: those that were left out.
    """

    slope: Estimate
    p: float | None
    num_points: int
    num_points_missing: int


class Difference(NamedTuple):
    """One mean over seeds less another: its 95 % interval and the p of "they are equal".

    num: seeds in all where each side has its own, pairs where they are paired.
    """

    estimate: Estimate
    p: float | None


class Decision(NamedTuple):
    """word: the verdict.  p: corrected by Holm for the family that it was taken in; None where there is no test."""

    word: str
    p: float | None


def estimate(values: Sequence[float | None]) -> Estimate:
    """Mean and 95 % t-interval of one value a seed; None and non-finite values are left out and counted."""
    present = [float(value) for value in values if is_number(value)]
    num, num_missing = len(present), len(values) - len(present)
    if num == 0:
        return Estimate(None, None, 0, num_missing)
    if num == 1:
        return Estimate(present[0], None, 1, num_missing)
    half_width = (
        _quantile(num - 1) * np.std(present, ddof=1) / math.sqrt(num) if _spread(present) else 0
    )
    return Estimate(float(np.mean(present)), float(half_width), num, num_missing)


def slope(values: Mapping[int, float | None]) -> float | None:
    """Least-squares slope of {generation: value} of one seed, per generation. None below two generations with a value."""
    present = {generation: value for generation, value in values.items() if is_number(value)}
    if len(present) < 2:
        return None
    x, y = np.array(list(present), float), np.array(list(present.values()), float)
    x -= x.mean()
    fitted = float(x @ (y - y.mean()) / (x @ x))
    return 0.0 if abs(fitted) < NEGLIGIBLE else fitted


def trend(values_by_seed: Sequence[Mapping[int, float | None]]) -> Trend:
    """Trend of one {generation: value} a seed. Every generation given, 0 to T where measured, weighs the same in the fit.

    One slope a seed, and the interval over those: generations of one seed depend on each other, seeds do not.
    """
    slopes = estimate([slope(values) for values in values_by_seed])
    points = [value for values in values_by_seed for value in values.values()]
    num_points = sum(map(is_number, points))
    return Trend(slopes, p_value(slopes), num_points, len(points) - num_points)


def p_value(e: Estimate) -> float | None:
    """Of the two-sided t-test that a mean over seeds is 0, with n - 1 degrees of freedom. None without an interval."""
    if not e.half_width:
        return None
    return _two_sided(e.mean, e.half_width / _quantile(e.num - 1), e.num - 1)


def welch(values: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """The mean of `others` less that of `values`, one value a seed: Welch's unpaired t interval and test.

    Neither exists where one side has fewer than two values, or none has any spread. Degrees of freedom by Welch and
    Satterthwaite.
    """
    sides = [[float(value) for value in side if is_number(value)] for side in (values, others)]
    num = sum(map(len, sides))
    missing = len(values) + len(others) - num
    if not all(sides):
        return Difference(Estimate(None, None, num, missing), None)
    mean = float(np.mean(sides[1]) - np.mean(sides[0]))
    mean = 0.0 if abs(mean) < NEGLIGIBLE else mean
    if min(map(len, sides)) < 2:
        return Difference(Estimate(mean, None, num, missing), None)
    if not any(map(_spread, sides)):
        return Difference(Estimate(mean, 0.0, num, missing), None)
    squares = [np.var(side, ddof=1) / len(side) for side in sides]
    error = math.sqrt(sum(squares))
    degrees = error**4 / sum(
        square**2 / (len(side) - 1) for square, side in zip(squares, sides, strict=True)
    )
    half_width = float(_quantile(degrees) * error)
    return Difference(Estimate(mean, half_width, num, missing), _two_sided(mean, error, degrees))


def paired(values: Sequence[float | None], others: Sequence[float | None]) -> Difference:
    """The mean of `others` less that of `values`, two values a seed in one order: the paired t interval and test.

    A pair that lacks a value is left out and counted as missing. Neither exists with fewer than two pairs, or where all
    differ alike.
    """
    pairs = zip(values, others, strict=True)
    e = estimate([b - a if is_number(a) and is_number(b) else None for a, b in pairs])
    if e.mean is not None and abs(e.mean) < NEGLIGIBLE:
        e = e._replace(mean=0.0)
    return Difference(e, p_value(e))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected by Holm's step-down for their number, in the order given.

    Of m values the i-th smallest (from 0) becomes (m - i) p, at least what a smaller one became, and at most 1. None
    stays None and does not count.
    """
    order = sorted((i for i, p in enumerate(p_values) if p is not None), key=lambda i: p_values[i])
    adjusted: list[float | None] = [None] * len(p_values)
    reached = 0.0
    for step, i in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - step) * p_values[i]))
        adjusted[i] = reached
    return adjusted


def decide(
    family: Sequence[tuple[Estimate, float | None]], up: str = GREW, down: str = SHRANK
) -> list[Decision]:
    """A verdict for each (estimate, p value) of a family: `up`, `down` or CANNOT_TELL by the sign of its mean.

    Where there is no test, the verdict says why (see `untested`), and the others do not pay for it.
    """
    adjusted = holm([p for _, p in family])
    return [Decision(_word(e, p, up, down), p) for (e, _), p in zip(family, adjusted, strict=True)]


def errors_needed(num_seeds: int, num_verdicts: int) -> float:
    """How many standard errors a slope of `num_seeds` >= 2 seeds must be away from 0 to be the first of a family decided."""
    return float(stats.t.isf((1 - CONFIDENCE) / 2 / num_verdicts, num_seeds - 1))


def untested(e: Estimate) -> str:
    """Why there is no test of a mean over seeds: NO_SPREAD, ONE_SEED, or NO_TREND where there is no mean either."""
    if e.mean is None:
        return NO_TREND
    return ONE_SEED if e.half_width is None else NO_SPREAD


def _word(e: Estimate, p: float | None, up: str, down: str) -> str:
    if p is None:
        return untested(e)
    if p >= 1 - CONFIDENCE:
        return CANNOT_TELL
    return up if e.mean > 0 else down


@functools.lru_cache  # a page asks for the same few thousands of times
def _quantile(degrees: float) -> float:
    return stats.t.ppf((1 + CONFIDENCE) / 2, degrees)


def _spread(values: Sequence[float]) -> bool:
    """Whether seeds differ at all, by more than rounding error."""
    return float(np.ptp(values)) >= NEGLIGIBLE


def _two_sided(mean: float, error: float, degrees: float) -> float:
    return float(2 * stats.t.sf(abs(mean) / error, degrees))


def is_number(value) -> bool:
    """Whether `value` is a finite number (not None, NaN or infinite)."""
    return value is not None and math.isfinite(value)

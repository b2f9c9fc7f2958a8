"""Means, intervals and trends over seeds.

All intervals are two-sided 95 % Student-t intervals of a mean over seeds, mean ± t(0.975, n - 1) s / sqrt(n), with s the
standard deviation of the n seeds (n - 1 in its denominator). They are not clipped to a measure's range. Values that are
None, NaN or infinite are left out and counted.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

GREW, SHRANK, CANNOT_TELL = "grew", "shrank", "cannot tell"
ONE_SEED = f"{CANNOT_TELL} (one seed)"
NO_TREND = f"{CANNOT_TELL} (no trend)"

# A measure that never moves has a slope of rounding error, the same for every seed: an interval of width 0 beside 0,
# which would read as a sure trend. Nothing measured here moves by less than this a generation.
NEGLIGIBLE_SLOPE = 1e-12


class Estimate(NamedTuple):
    """A mean over seeds.

    mean: None if no seed has a value.
    half_width: of the 95 % interval; None if fewer than two seeds have a value, for then there is no interval.
    num: seeds that have a value.  num_missing: seeds that have none.
    """

    mean: float | None
    half_width: float | None
    num: int
    num_missing: int

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width


class Trend(NamedTuple):
    """How a measure moves over generations.

    slope: the mean over seeds of each seed's least-squares slope, in the measure's unit per generation.
    verdict: GREW, SHRANK, CANNOT_TELL, ONE_SEED or NO_TREND.
    num_points: values (seed x generation) that went into the slopes.  num_points_missing: those that were left out.
    """

    slope: Estimate
    verdict: str
    num_points: int
    num_points_missing: int


def estimate(values: Sequence[float | None]) -> Estimate:
    """Mean and 95 % t-interval of one value a seed; None and non-finite values are left out and counted."""
    present = [float(value) for value in values if is_number(value)]
    num, num_missing = len(present), len(values) - len(present)
    if num == 0:
        return Estimate(None, None, 0, num_missing)
    if num == 1:
        return Estimate(present[0], None, 1, num_missing)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, num - 1)
    half_width = quantile * np.std(present, ddof=1) / math.sqrt(num)
    return Estimate(float(np.mean(present)), float(half_width), num, num_missing)


def slope(values: Mapping[int, float | None]) -> float | None:
    """Least-squares slope of {generation: value} of one seed, per generation. None below two generations with a value."""
    present = {generation: value for generation, value in values.items() if is_number(value)}
    if len(present) < 2:
        return None
    x, y = np.array(list(present), float), np.array(list(present.values()), float)
    x -= x.mean()
    fitted = float(x @ (y - y.mean()) / (x @ x))
    return 0.0 if abs(fitted) < NEGLIGIBLE_SLOPE else fitted


def trend(values_by_seed: Sequence[Mapping[int, float | None]]) -> Trend:
    """Trend of one {generation: value} a seed. Every generation given, 0 to T where measured, weighs the same in the fit.

    One slope a seed, and the interval over those: generations of one seed depend on each other, seeds do not.
    """
    slopes = estimate([slope(values) for values in values_by_seed])
    points = [value for values in values_by_seed for value in values.values()]
    num_points = sum(map(is_number, points))
    return Trend(slopes, verdict(slopes), num_points, len(points) - num_points)


def verdict(slopes: Estimate) -> str:
    """GREW if the interval of the slope lies above 0, SHRANK if below, CANNOT_TELL if it holds 0 or does not exist."""
    if slopes.num == 0:
        return NO_TREND
    if slopes.half_width is None:
        return ONE_SEED
    if slopes.low > 0:
        return GREW
    return SHRANK if slopes.high < 0 else CANNOT_TELL


def is_number(value) -> bool:
    """Whether `value` is a finite number (not None, NaN or infinite)."""
    return value is not None and math.isfinite(value)

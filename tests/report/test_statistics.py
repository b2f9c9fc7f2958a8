import math

import numpy as np
import pytest
from scipy import stats

from jaxloop.report import statistics
from jaxloop.report.statistics import CANNOT_TELL, GREW, NO_TREND, ONE_SEED, SHRANK, Estimate


@pytest.mark.parametrize("num", [2, 3, 5, 30])
def test_interval_is_scipys_t_interval(num):
    values = np.random.default_rng(num).normal(0.9, 0.05, num)
    found = statistics.estimate(list(values))
    low, high = stats.t.interval(0.95, num - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([found.mean, found.low, found.high], [values.mean(), low, high], rtol=1e-12)
    assert (found.num, found.num_missing) == (num, 0)


def test_interval_of_three_seeds_by_hand():
    # s = 1, t(0.975, 2) = 4.302653 (any printed table), half-width = 4.302653 / sqrt(3)
    assert statistics.estimate([1.0, 2.0, 3.0]).half_width == pytest.approx(2.484138, abs=1e-6)


def test_missing_values_are_left_out_and_counted():
    found = statistics.estimate([0.5, None, math.nan, 0.7, math.inf])
    assert found == statistics.estimate([0.5, 0.7])._replace(num_missing=3)


def test_one_seed_has_a_mean_and_no_interval():
    assert statistics.estimate([0.5]) == Estimate(0.5, None, 1, 0)
    assert statistics.estimate([0.5, None]).low is None


def test_no_value_has_no_mean():
    assert statistics.estimate([None, math.nan]) == Estimate(None, None, 0, 2)


def test_slope_is_numpys_least_squares():
    generations, values = [0, 1, 2, 4, 7], [0.1, 0.4, 0.2, 0.9, 0.5]
    expected = np.polyfit(generations, values, 1)[0]
    assert statistics.slope(dict(zip(generations, values, strict=True))) == pytest.approx(expected, rel=1e-12)


def test_slope_leaves_out_missing_generations():
    assert statistics.slope({0: 1.0, 1: None, 2: 3.0, 3: math.nan}) == pytest.approx(1.0)
    assert statistics.slope({0: 1.0, 1: None}) is None
    assert statistics.slope({}) is None


def test_trend_is_the_interval_of_one_slope_a_seed():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4, 6)) + 0.5 * np.arange(6)
    found = statistics.trend([dict(enumerate(row)) for row in y])
    slopes = [stats.linregress(np.arange(6), row).slope for row in y]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(slopes), scale=stats.sem(slopes))
    np.testing.assert_allclose([found.slope.mean, found.slope.low, found.slope.high], [np.mean(slopes), low, high])
    assert (found.num_points, found.num_points_missing) == (24, 0)


def test_trend_counts_points_and_seeds_that_are_left_out():
    found = statistics.trend([{0: 0.1, 1: 0.2, 2: None}, {0: 0.1, 1: 0.4}, {0: 0.1, 1: math.nan}])
    assert (found.num_points, found.num_points_missing) == (5, 2)
    assert (found.slope.num, found.slope.num_missing) == (2, 1)
    assert found.slope.mean == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ([0.10, 0.11, 0.12], GREW),
        ([-0.10, -0.11, -0.12], SHRANK),
        ([0.10, -0.11, 0.12], CANNOT_TELL),
        ([0.1, 0.5], CANNOT_TELL),  # both up, but t(0.975, 1) = 12.7
        ([0.0, 0.0], CANNOT_TELL),
        ([0.1], ONE_SEED),
        ([0.1, None], ONE_SEED),
        ([None, None], NO_TREND),
    ],
)
def test_verdict(slopes, expected):
    assert statistics.verdict(statistics.estimate(slopes)) == expected


def test_an_interval_that_touches_zero_cannot_tell():
    assert statistics.verdict(Estimate(0.5, 0.5, 3, 0)) == CANNOT_TELL
    assert statistics.verdict(Estimate(-0.5, 0.5, 3, 0)) == CANNOT_TELL


@pytest.mark.parametrize("value", [0.1, 0.7, 0.95, 1 / 3, 123.456])
def test_rounding_error_is_no_trend(value):
    noisy = [value, np.nextafter(value, 0), value, np.nextafter(value, 1e9), np.nextafter(value, 1e9)]
    found = statistics.trend([dict(enumerate(noisy))] * 3)
    assert found.verdict == CANNOT_TELL

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from jaxloop import statistics
from jaxloop.statistics import (
    CANNOT_TELL,
    GREW,
    HIGHER,
    LOWER,
    NO_SPREAD,
    NO_TREND,
    ONE_SEED,
    SHRANK,
    Estimate,
    newcombe,
    wilson,
)


@pytest.mark.parametrize("num", [2, 3, 5, 30])
def test_interval_is_scipys_t_interval(num):
    values = np.random.default_rng(num).normal(0.9, 0.05, num)
    result = statistics.estimate(list(values))
    low, high = stats.t.interval(0.95, num - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose(
        [result.mean, result.low, result.high], [values.mean(), low, high], rtol=1e-12
    )
    assert (result.num, result.num_missing) == (num, 0)


def test_interval_of_three_seeds_by_hand():
    # s = 1, t(0.975, 2) = 4.302653 (any printed table), half-width = 4.302653 / sqrt(3)
    assert statistics.estimate([1.0, 2.0, 3.0]).half_width == pytest.approx(2.484138, abs=1e-6)


def test_missing_values_are_left_out_and_counted():
    result = statistics.estimate([0.5, None, math.nan, 0.7, math.inf])
    assert result == statistics.estimate([0.5, 0.7])._replace(num_missing=3)


def test_one_seed_has_a_mean_and_no_interval():
    assert statistics.estimate([0.5]) == Estimate(0.5, None, 1, 0)
    assert statistics.estimate([0.5, None]).low is None


def test_no_value_has_no_mean():
    assert statistics.estimate([None, math.nan]) == Estimate(None, None, 0, 2)


def test_slope_is_numpys_least_squares():
    generations, values = [0, 1, 2, 4, 7], [0.1, 0.4, 0.2, 0.9, 0.5]
    expected = np.polyfit(generations, values, 1)[0]
    assert statistics.slope(dict(zip(generations, values, strict=True))) == pytest.approx(
        expected, rel=1e-12
    )


def test_slope_leaves_out_missing_generations():
    assert statistics.slope({0: 1.0, 1: None, 2: 3.0, 3: math.nan}) == pytest.approx(1.0)
    assert statistics.slope({0: 1.0, 1: None}) is None
    assert statistics.slope({}) is None


def test_trend_is_the_interval_of_one_slope_a_seed():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4, 6)) + 0.5 * np.arange(6)
    result = statistics.trend([dict(enumerate(row)) for row in y])
    slopes = [stats.linregress(np.arange(6), row).slope for row in y]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(slopes), scale=stats.sem(slopes))
    np.testing.assert_allclose(
        [result.slope.mean, result.slope.low, result.slope.high], [np.mean(slopes), low, high]
    )
    assert (result.num_points, result.num_points_missing) == (24, 0)


def test_trend_counts_points_and_seeds_that_are_left_out():
    result = statistics.trend([{0: 0.1, 1: 0.2, 2: None}, {0: 0.1, 1: 0.4}, {0: 0.1, 1: math.nan}])
    assert (result.num_points, result.num_points_missing) == (5, 2)
    assert (result.slope.num, result.slope.num_missing) == (2, 1)
    assert result.slope.mean == pytest.approx(0.2)


def alone(values):
    """The verdict of a family of one."""
    e = statistics.estimate(values)
    return statistics.decide([(e, statistics.p_value(e))])[0].word


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ([0.10, 0.11, 0.12], GREW),
        ([-0.10, -0.11, -0.12], SHRANK),
        ([0.10, -0.11, 0.12], CANNOT_TELL),
        ([0.1, 0.5], CANNOT_TELL),  # both up, but t(0.975, 1) = 12.7
        ([0.0, 0.0], NO_SPREAD),
        ([0.1, 0.1], NO_SPREAD),
        ([0.1, 0.1, None], NO_SPREAD),
        ([0.1, 0.1 + 1e-15, 0.1 - 1e-15], NO_SPREAD),  # rounding error is no spread
        ([0.1, 0.1, 0.1 + 1e-5], GREW),
        ([0.1], ONE_SEED),
        ([0.1, None], ONE_SEED),
        ([None, None], NO_TREND),
    ],
)
def test_verdict_alone(slopes, expected):
    assert alone(slopes) == expected


def test_p_value_is_scipys_and_agrees_with_the_interval():
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = rng.normal(0.5, 1, int(rng.integers(2, 7)))
        e = statistics.estimate(list(values))
        p = statistics.p_value(e)
        assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9)
        assert (p < 0.05) == (e.low > 0 or e.high < 0)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_seeds_have_neither_interval_nor_test(value):
    e = statistics.estimate([value] * 3)
    assert (e.mean, e.half_width, e.low, e.high) == (pytest.approx(value), 0, None, None)
    assert statistics.p_value(e) is None and statistics.p_value(Estimate(value, None, 1, 0)) is None


def test_what_has_no_spread_is_in_no_family():
    e, same = statistics.estimate([0.10, 0.12]), statistics.estimate([0.1, 0.1])
    decided = statistics.decide([(same, None)] * 50 + [(e, 0.03)])
    assert [d.word for d in decided] == [NO_SPREAD] * 50 + [GREW] and decided[-1].p == 0.03


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_fractions_of_few_images_give_no_false_verdicts(num_seeds):
    """Two seeds of ten images often meet in one fraction, which would be a sure verdict."""
    rng, families, wrong, met = np.random.default_rng(0), 150, 0, 0
    for _ in range(families):
        counts = rng.binomial(10, 0.3, (2, 12, num_seeds)) / 10
        result = [statistics.paired(list(a), list(b)) for a, b in zip(*counts, strict=True)]
        met += any(d.estimate.half_width == 0 and d.estimate.mean for d in result)
        wrong += any(d.word in (GREW, SHRANK) for d in statistics.decide(result))
    # At most 5 %, of 150 at most three standard errors more: 0.10. Meetings are more frequent.
    assert wrong / families < 0.10 and met / families > 0.15


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04: times 4, 3, 2, 1 is .04 .06 .06 .04, and the last may not fall.
    assert statistics.holm([0.04, 0.01, None, 0.03, 0.02]) == pytest.approx(
        [0.06, 0.04, None, 0.06, 0.06]
    )
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0]
    assert statistics.holm([None, 0.03]) == [None, 0.03] and statistics.holm([]) == []


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(0)
    for level in (0.01, 0.05, 0.2):
        for _ in range(100):
            p = rng.beta(0.3, 2, 8)
            order, rejected = np.argsort(p), set()
            for step, i in enumerate(order):  # Holm, 1979: stop at the first that is too large
                if p[i] > level / (len(p) - step):
                    break
                rejected.add(i)
            adjusted = np.array(statistics.holm(list(p)))
            assert set(np.flatnonzero(adjusted <= level)) == rejected
            assert np.all(np.diff(adjusted[order]) >= 0) and np.all(
                (p <= adjusted) & (adjusted <= 1)
            )


def test_a_family_is_corrected_together():
    e = statistics.estimate([0.10, 0.11, 0.12])  # p = 0.0027
    nothing = statistics.estimate([0.1, -0.1, 0.0])
    p, p_nothing = statistics.p_value(e), statistics.p_value(nothing)
    first = [statistics.decide([(e, p), *[(nothing, p_nothing)] * n])[0].word for n in (17, 18)]
    assert first == [GREW, CANNOT_TELL]
    assert statistics.decide([(Estimate(None, None, 0, 3), None)] * 50 + [(e, p)])[-1].p == p


@pytest.mark.parametrize("sizes", [(3, 3), (2, 7), (5, 3)])
def test_welch_is_scipys(sizes):
    rng = np.random.default_rng(sum(sizes))
    a, b = rng.normal(0, 1, sizes[0]), rng.normal(1, 3, sizes[1])
    result = statistics.welch([*a, None], list(b))
    expected = stats.ttest_ind(b, a, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    e, want = result.estimate, [b.mean() - a.mean(), low, high, expected.pvalue]
    np.testing.assert_allclose([e.mean, e.low, e.high, result.p], want, rtol=1e-9)
    assert (result.estimate.num, result.estimate.num_missing) == (sum(sizes), 1)


def test_welch_without_spread_or_without_enough_seeds():
    assert statistics.welch([0.5, 0.5], [0.75, 0.75]) == (Estimate(0.25, 0.0, 4, 0), None)
    assert statistics.welch([0.5, 0.5], [0.5, 0.5]) == (Estimate(0.0, 0.0, 4, 0), None)
    assert statistics.welch([0.5, 0.5], [0.7, 0.8]).p == pytest.approx(
        stats.ttest_1samp([0.2, 0.3], 0).pvalue
    )
    assert statistics.welch([0.5], [0.75, 0.8]) == (
        Estimate(pytest.approx(0.275), None, 3, 0),
        None,
    )
    assert statistics.welch([None], [0.75, 0.8]) == (Estimate(None, None, 2, 1), None)
    family = [
        statistics.welch([0.5, 0.5], [0.7, 0.7]),
        statistics.welch([0.5, 0.501], [0.7, 0.701]),
    ]
    assert [d.word for d in statistics.decide(family, HIGHER, LOWER)] == [NO_SPREAD, HIGHER]


@pytest.mark.parametrize("num", [2, 3, 10])
def test_paired_is_scipys(num):
    rng = np.random.default_rng(num)
    a = rng.normal(0, 5, num)  # seeds differ by far more than the sides do
    b = a + rng.normal(0.5, 0.2, num)
    result = statistics.paired([*a, None, 1.0], [*b, 2.0, math.nan])
    expected = stats.ttest_rel(b, a)
    low, high = expected.confidence_interval(0.95)
    e, want = result.estimate, [(b - a).mean(), low, high, expected.pvalue]
    np.testing.assert_allclose([e.mean, e.low, e.high, result.p], want, rtol=1e-9)
    assert (result.estimate.num, result.estimate.num_missing) == (num, 2)


def test_paired_without_spread_or_without_enough_pairs():
    # 0.3 - 0.1 and 0.8 - 0.6 differ by rounding alone, which is no spread.
    assert statistics.paired([0.1, 0.6], [0.3, 0.8]) == (
        Estimate(pytest.approx(0.2), 0.0, 2, 0),
        None,
    )
    assert statistics.paired([0.1, 0.6], [0.1, 0.6]) == (Estimate(0.0, 0.0, 2, 0), None)
    assert statistics.paired([0.1, None], [0.3, 0.8]) == (
        Estimate(pytest.approx(0.2), None, 1, 1),
        None,
    )
    assert statistics.paired([None], [0.5]) == (Estimate(None, None, 0, 1), None)
    with pytest.raises(ValueError):
        statistics.paired([0.1, 0.2], [0.3])


@pytest.mark.parametrize("value", [0.1, 0.7, 0.95, 1 / 3, 123.456])
def test_rounding_error_is_no_trend(value):
    above = np.nextafter(value, 1e9)
    noisy = [value, np.nextafter(value, 0), value, above, above]
    result = statistics.trend([dict(enumerate(noisy))] * 3)
    assert result.slope.mean == 0 and result.p is None
    assert statistics.untested(result.slope) == NO_SPREAD


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_wilson_is_its_formula_at_the_one_confidence(monkeypatch, confidence):
    monkeypatch.setattr(statistics, "CONFIDENCE", confidence)
    z = stats.norm.ppf((1 + confidence) / 2)
    for total in (1, 2, 7, 50, 1000):
        for count in {0, 1, total // 3, total - 1, total}:
            p, weight = count / total, z**2 / total
            half_width = math.sqrt(weight * (p * (1 - p) + weight / 4))
            ends = [(p + weight / 2 + sign * half_width) / (1 + weight) for sign in (-1, 1)]
            low, high = wilson(np.int32(count), np.int32(total))
            np.testing.assert_allclose((low, high), ends, rtol=1e-12, atol=1e-15)
            assert 0 <= low <= p <= high <= 1


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998, table II, method 10, to its four digits.
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_is_the_published_one(counts, low, high):
    np.testing.assert_allclose(newcombe(*counts), (low, high), atol=5.1e-5)
    np.testing.assert_allclose(newcombe(*counts[2:], *counts[:2]), (-high, -low), atol=5.1e-5)


def test_newcombe_covers_at_its_level():
    """Exactly, over all outcomes of 12 and 15; Newcombe 1998: a mean of 0.95, minima near it."""
    outcomes = {(h, f): newcombe(h, 12, f, 15) for h in range(13) for f in range(16)}
    covered = []
    for p, q in itertools.product((0.2, 0.5, 0.8), (0.1, 0.4, 0.7)):
        inside = [k for k, (low, high) in outcomes.items() if low <= p - q <= high]
        h, f = np.array(inside).T
        covered.append(np.sum(stats.binom.pmf(h, 12, p) * stats.binom.pmf(f, 15, q)))
    assert 0.94 < np.mean(covered) < 0.97 and min(covered) > 0.92

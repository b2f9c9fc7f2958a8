"""The Fréchet distance against scipy's matrix square root, closed forms, and high precision.

Tolerance 1e-8 relative, unless said otherwise: all in float64, where the trace of the root of a
product of well-conditioned matrices is good to about 1e-12; scipy's root of a nonsymmetric product
loses a few digits more.
"""

import functools
import math

import numpy as np
import pytest
import scipy.linalg

from jaxloop.metrics import frechet, moments
from jaxloop.metrics.frechet import by_class, frechet_distance, from_moments


def pair(seed, n, m, d, shift=0.1):
    """Two sets with unlike covariances and means; spectra fall as those of real networks' features
    do."""
    rng = np.random.default_rng(seed)
    scale = np.exp(-np.arange(d) / (0.3 * d))
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return rng.normal(size=(n, d)) * scale, rng.normal(size=(m, d)) @ turn * scale[::-1] + shift


def textbook(a, b):
    """Eq. (1) as it is printed."""
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T))
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        np.cov(a.T) + np.cov(b.T) - 2 * np.real(root)
    )


def through_moments(a, b):
    return from_moments(
        moments.from_batch(a.astype(np.float32)), moments.from_batch(b.astype(np.float32))
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m", "d"), [(60, 60, 4), (200, 90, 16), (80, 300, 24)])
def test_equals_the_textbook_with_more_images_than_features(seed, n, m, d):
    a, b = pair(seed, n, m, d)
    want = textbook(a, b)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-8)
    assert through_moments(a, b) == pytest.approx(want, rel=1e-5)  # moments are float32


def gram_truth(a, b):
    """The truth with fewer images than features, along another road: the root of the [n n] matrix
    (A B^T)(A B^T)^T."""
    a, b = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (a, b))
    cross = a @ b.T
    root = np.sqrt(np.clip(np.linalg.eigvalsh(cross @ cross.T), 0, None))
    return np.sum(a**2) + np.sum(b**2) - 2 * root.sum()


@pytest.mark.parametrize(
    ("n", "m", "d"), [(20, 20, 64), (20, 100, 64), (100, 20, 64), (64, 65, 64), (64, 64, 64)]
)
def test_exact_when_features_outnumber_images(n, m, d):
    """Tolerance 1e-6: an eigenvalue that is 0 comes out as 1e-16, and the root of that, 1e-8, is
    the reference's error."""
    a, b = pair(1, n, m, d)
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + gram_truth(a, b)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-6)
    assert through_moments(a, b) == pytest.approx(
        want, rel=1e-3
    )  # float32 moments of a singular covariance


def test_float32_features_with_fewer_images_than_features():
    """The case where float32 arithmetic is off by three percent: we compute in float64 whatever
    comes in."""
    a, b = pair(3, 50, 50, 128)
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + gram_truth(a, b)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(
        want, rel=1e-6
    )


def test_one_feature_has_a_closed_form():
    """In one dimension the distance is (mean gap)^2 + (gap of standard deviations)^2."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (300, 1)), rng.normal(2, 3, (200, 1))
    want = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-10)


def test_gaussians_with_commuting_covariances():
    """Whitened samples have exactly the moments we ask for: |mu|^2 + the squared gaps of the
    standard deviations."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 6))
    white = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    one, two, mean = np.arange(1.0, 7), np.array([2.0, 2, 2, 5, 5, 5]), np.linspace(0, 1, 6)
    want = np.sum(mean**2) + np.sum((one - two) ** 2)
    assert frechet_distance(white * one, white[::-1] * two + mean) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize(("n", "d"), [(100, 8), (20, 64)])
def test_identical_sets_are_at_zero_and_never_below(n, d):
    """1e-10 of the trace: rounding only."""
    for seed in range(10):
        a, _ = pair(seed, n, n, d)
        distance = frechet_distance(a, a[::-1])
        assert 0 <= distance < 1e-10 * np.trace(np.cov(a.T))
        assert 0 <= through_moments(a, a) < 1e-10 * np.trace(np.cov(a.T))


def test_symmetric_and_blind_to_order():
    a, b = pair(0, 50, 70, 12)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a[::-1]), rel=1e-10)


def test_shift_adds_its_square():
    a, _ = pair(0, 100, 100, 8)
    assert frechet_distance(a, a + 3.0) == pytest.approx(8 * 9.0, rel=1e-10)


@pytest.mark.parametrize("n", [30, 4])
def test_constant_feature(n):
    """A constant feature makes S singular; it adds the square of its gap and nothing else."""
    a, b = pair(2, n, n, 6)
    with_constant = [
        np.concatenate([x, np.full((n, 1), value)], axis=1) for x, value in ((a, 5.0), (b, 7.0))
    ]
    assert frechet_distance(*with_constant) == pytest.approx(
        frechet_distance(a, b) + 4.0, rel=1e-10
    )


def diagonal_pair(scale_a, scale_b, gap):
    """Two sets of n > d images with exactly the covariances diag(scale^2) and means that differ by
    `gap`."""
    d = len(scale_a)
    x = np.random.default_rng(5).normal(size=(3 * d, d))
    white = np.linalg.qr(x - x.mean(0))[0] * math.sqrt(3 * d - 1)
    return white * scale_a, white @ np.linalg.qr(np.random.default_rng(6).normal(size=(d, d)))[
        0
    ] * scale_b + gap


@pytest.mark.parametrize(
    ("scale_a", "scale_b"),
    [
        (np.ones(32), np.full(32, 2.0)),
        (
            10.0 ** -np.linspace(0, 7, 32),
            2 * 10.0 ** -np.linspace(0, 7, 32),
        ),  # variances over 14 decades
        (10.0 ** -np.linspace(0, 7, 32), 10.0 ** -np.linspace(7, 0, 32)),
        (np.r_[np.ones(16), np.zeros(16)], np.r_[np.zeros(8), np.ones(24)]),  # neither of full rank
    ],
)
@pytest.mark.parametrize("gap", [0.0, 1.0])
def test_diagonal_covariances_have_a_closed_form(scale_a, scale_b, gap):
    """Every direction adds its gaps squared. Here the printed formula, by a matrix root, loses
    digits or fails."""
    want = len(scale_a) * gap**2 + np.sum((scale_a - scale_b) ** 2)
    assert frechet_distance(*diagonal_pair(scale_a, scale_b, gap)) == pytest.approx(want, rel=1e-8)


def test_nearly_equal_sets_are_told_apart():
    """1e-4 wider, over 12 decades of variance in a turned basis: roots near 0 might hide it, so
    their bound refuses."""
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(32, 32)))
    scale = 10.0 ** -np.linspace(0, 6, 32)
    a, b = (x @ turn for x in diagonal_pair(scale, 1.0001 * scale, 0.0))
    assert frechet_distance(a, b) == pytest.approx(1e-8 * np.sum(scale**2), rel=1e-6)
    one, two = np.cov(a.T), np.cov(b.T)
    assert frechet._by_covariances(np.trace(one + two), one, two) is None
    assert (
        frechet._by_covariances(np.trace(one + 4 * two), one, 4 * two) is not None
    )  # that is far apart


def test_far_means_with_tiny_variances():
    """The means decide, and equal tiny covariances add nothing: 1e-12 relative to the gap
    squared."""
    a, b = diagonal_pair(np.full(8, 1e-6), np.full(8, 1e-6), 100.0)
    assert frechet_distance(a, b) == pytest.approx(8e4, rel=1e-12)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_both_roads_agree_far_better_than_the_bound_that_is_let_pass(power, monkeypatch):
    """1e-8, TOLERANCE being 1e-3: by covariances, forced where the bound would refuse it (power 2),
    against by factors."""
    rng = np.random.default_rng(power)
    turn, _ = np.linalg.qr(rng.normal(size=(64, 64)))
    a, b = (rng.normal(size=(300, 64)) * np.arange(1.0, 65) ** -power @ turn for _ in range(2))
    monkeypatch.setattr(frechet, "TOLERANCE", -1.0)
    by_factors = frechet_distance(a, b)
    monkeypatch.setattr(frechet, "_by_factors", None)  # calling it would raise
    monkeypatch.setattr(frechet, "TOLERANCE", math.inf)
    assert frechet_distance(a, b) == pytest.approx(by_factors, rel=1e-8)


@pytest.mark.parametrize(("offset", "tolerance"), [(0, 1e-6), (100, 1e-4), (1000, 5e-4)])
def test_float32_moments_with_more_images_than_features(offset, tolerance):
    """Variances over three decades. A mean of 1,000 deviations is held to 6e-5 of one by float32,
    and merging adds as much: that moves this distance, mostly a gap of means of 0.1, by 2e-4."""
    rng = np.random.default_rng(0)
    scale = np.arange(1.0, 33) ** -1
    turn, _ = np.linalg.qr(rng.normal(size=(32, 32)))
    a, b = ((wider * rng.normal(size=(2000, 32)) * scale) @ turn + offset for wider in (1, 1.3))
    a, b = a.astype(np.float32), (b + 0.1).astype(np.float32)
    gathered = []
    for x in (a, b):
        parts = [moments.from_batch(part) for part in np.split(x, 4)]
        gathered.append(functools.reduce(moments.merge, parts))
    assert from_moments(*gathered) == pytest.approx(frechet_distance(a, b), rel=tolerance)


def test_constant_sets():
    """Every image the same: the covariances are 0 and the means decide."""
    assert frechet_distance(np.zeros((3, 2)), np.ones((5, 2))) == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_is_nan(n):
    a, b = pair(0, 10, 10, 4)
    assert math.isnan(frechet_distance(a[:n], b)) and math.isnan(frechet_distance(b, a[:n]))
    assert math.isnan(through_moments(a[:n], b)) and math.isnan(through_moments(b, a[:n]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_nan(value):
    a, b = pair(0, 10, 10, 4)
    a[3, 2] = value
    assert math.isnan(frechet_distance(a, b)) and math.isnan(frechet_distance(b, a))
    assert math.isnan(through_moments(a, b))


def test_by_class_is_the_distance_within_each_class():
    """Class 2 has one image on one side, class 3 none; an image of class 7 is in no class."""
    a, b = pair(0, 30, 26, 5)
    label_a, label_b = np.array([0, 1] * 13 + [2, 2, 2, 7]), np.array([1] * 10 + [0] * 15 + [2])
    got = by_class(a, label_a, b, label_b, 4)
    assert got.dtype == np.float64 and got.shape == (4,)
    for c in (0, 1):
        assert got[c] == frechet_distance(a[label_a == c], b[label_b == c]) > 0
    assert np.isnan(got[2:]).all()


def test_refusals():
    with pytest.raises(ValueError, match="^label_b must have shape"):
        by_class(np.zeros((3, 2)), np.zeros(3, int), np.zeros((4, 2)), np.zeros(3, int), 1)
    with pytest.raises(ValueError, match="^features_b must be"):
        frechet_distance(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="differ in d"):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="moments differ in d"):
        from_moments(moments.empty(2), moments.empty(3))

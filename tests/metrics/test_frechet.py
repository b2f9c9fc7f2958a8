"""The Fréchet distance against scipy's matrix square root, closed forms, and high precision.

Tolerance 1e-8 relative, unless said otherwise: all in float64, where the trace of the root of a product of well-conditioned
matrices is good to about 1e-12; scipy's root of a nonsymmetric product loses a few digits more.
"""

import math

import numpy as np
import pytest
import scipy.linalg

from jaxloop.metrics import moments
from jaxloop.metrics.frechet import frechet_distance, from_moments


def pair(seed, n, m, d, shift=0.1):
    """Two sets with unlike covariances and means; spectra fall as those of real networks' features do."""
    rng = np.random.default_rng(seed)
    scale = np.exp(-np.arange(d) / (0.3 * d))
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return rng.normal(size=(n, d)) * scale, rng.normal(size=(m, d)) @ turn * scale[::-1] + shift


def textbook(a, b):
    """Eq. (1) as it is printed."""
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T))
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * np.real(root))


def through_moments(a, b):
    return from_moments(moments.from_batch(a.astype(np.float32)), moments.from_batch(b.astype(np.float32)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m", "d"), [(60, 60, 4), (200, 90, 16), (80, 300, 24)])
def test_equals_the_textbook_with_more_images_than_features(seed, n, m, d):
    a, b = pair(seed, n, m, d)
    want = textbook(a, b)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-8)
    assert through_moments(a, b) == pytest.approx(want, rel=1e-5)  # moments are float32


def gram_truth(a, b):
    """The truth with fewer images than features, along another road: the root of the [n n] matrix (A B^T)(A B^T)^T."""
    a, b = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (a, b))
    cross = a @ b.T
    root = np.sqrt(np.clip(np.linalg.eigvalsh(cross @ cross.T), 0, None))
    return np.sum(a**2) + np.sum(b**2) - 2 * root.sum()


@pytest.mark.parametrize(("n", "m", "d"), [(20, 20, 64), (20, 100, 64), (100, 20, 64), (64, 65, 64)])
def test_exact_when_features_outnumber_images(n, m, d):
    """Tolerance 1e-6: an eigenvalue that is 0 comes out as 1e-16, and the root of that, 1e-8, is the reference's error."""
    a, b = pair(1, n, m, d)
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + gram_truth(a, b)
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-6)
    assert through_moments(a, b) == pytest.approx(want, rel=1e-3)  # float32 moments of a singular covariance


def test_float32_features_with_fewer_images_than_features():
    """The case where float32 arithmetic is off by three percent: we compute in float64 whatever comes in."""
    a, b = pair(3, 50, 50, 128)
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + gram_truth(a, b)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(want, rel=1e-6)


def test_one_feature_has_a_closed_form():
    """In one dimension the distance is (mean gap)^2 + (gap of standard deviations)^2."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (300, 1)), rng.normal(2, 3, (200, 1))
    want = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-10)


def test_gaussians_with_commuting_covariances():
    """Whitened samples have exactly the moments we ask for: |mu|^2 + the squared gaps of the standard deviations."""
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
    with_constant = [np.concatenate([x, np.full((n, 1), value)], axis=1) for x, value in ((a, 5.0), (b, 7.0))]
    assert frechet_distance(*with_constant) == pytest.approx(frechet_distance(a, b) + 4.0, rel=1e-10)


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


def test_refusals():
    with pytest.raises(ValueError, match="^features_b must be"):
        frechet_distance(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="differ in d"):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="number of features"):
        from_moments(moments.empty(2), moments.empty(3))

"""Precision, recall, density and coverage against their definitions by direct differences in
float64, prdc and torch-fidelity.

Everything is a count over n or m, so comparisons are exact up to the last division (1e-12), on ties
and copies too.
"""

import math
import warnings

import numpy as np
import pytest

from jaxloop.metrics import neighbours as N
from jaxloop.metrics.neighbours import prdc
from tests.classifiers.oracles import libraries


def squared(x, y):
    return np.sum((x.astype(np.float64)[:, None] - y.astype(np.float64)[None]) ** 2, axis=2)


def radius(x, k):
    """Squared distance to the k-th other point."""
    distance = squared(x, x)
    np.fill_diagonal(distance, np.inf)
    return np.sort(distance, axis=1)[:, k - 1]


def by_definition(real, generated, k=3, k_density=5):
    """NaN where there is no k-th neighbour."""
    nan, distance = math.nan, squared(real, generated)
    (n, m), out = distance.shape, []
    out.append((distance <= radius(real, k)[:, None]).any(axis=0).mean() if n > k else nan)
    out.append((distance <= radius(generated, k)[None]).any(axis=1).mean() if m > k else nan)
    deep = distance < radius(real, k_density)[:, None] if n > k_density else np.full((n, m), nan)
    out.append(deep.sum() / (k_density * m))
    out.append(deep.any(axis=1).mean() if n > k_density else nan)
    return out


def same(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-12)


def pair(seed, n, m, d, spread=0.8, offset=0.0):
    rng = np.random.default_rng(seed)
    real, generated = rng.normal(size=(n, d)), 0.2 + spread * rng.normal(size=(m, d))
    return (real + offset).astype(np.float32), (generated + offset).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks, the last one padded."""
    monkeypatch.setattr(N, "BLOCK", 32)
    N._count.clear_cache()
    yield
    N._count.clear_cache()


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize(("n", "m", "d"), [(70, 55, 2), (55, 96, 40)])
def test_equals_the_definition(n, m, d, offset, small_blocks):
    real, generated = pair(0, n, m, d, offset=offset)
    got = prdc(real, generated)
    same(got, by_definition(real, generated))
    assert all(0 < x < 1 for x in (got.precision, got.recall, got.coverage)) or d == 40


def test_equal_sets():
    """Every image lies in its own ball; of the others exactly k - 1 are nearer than the k-th: a
    density of 1."""
    real, _ = pair(2, 60, 1, 12)
    same(prdc(real, real[::-1]), [1, 1, 1, 1])


def test_ties_on_a_grid_and_copies(small_blocks):
    """All distances are small integers' roots, so that nearly every radius is met exactly; every
    third point is a copy."""
    rng = np.random.default_rng(0)
    real, generated = (rng.integers(0, 4, (n, 3)).astype(np.float32) for n in (90, 75))
    want = by_definition(real, generated)
    same(prdc(real, generated), want)
    same(
        prdc(real * 0.1 + 700, generated * 0.1 + 700),
        by_definition(real * 0.1 + 700, generated * 0.1 + 700),
    )
    assert 0 < want[3] < 1


def test_rows_of_padding_are_no_images(small_blocks):
    """A generated image in the middle of everything, where padding is, and no real one near it.
    Integers, so the middle is 0."""
    i = np.arange(1, 21, dtype=np.float32)
    real = np.stack([np.r_[100 + i, -100 - i], np.zeros(40)], axis=1)
    generated = np.stack([np.zeros(41), np.r_[1000 + i, 0, -1000 - i]], axis=1)
    got = prdc(real, generated)
    same(got, by_definition(real, generated))
    assert got.precision == 0


def test_a_collapsed_set():
    """Every generated image the same: real ones around it, and one on it. Closed balls of radius 0
    hold the copies."""
    real, _ = pair(3, 50, 1, 4)
    generated = np.repeat(real[:1], 20, axis=0)
    got = prdc(real, generated)
    same(got, by_definition(real, generated))
    assert got.precision == 1 and got.recall == pytest.approx(1 / 50) and 0 < got.coverage < 0.2


def test_alike_images_far_from_the_mean_are_told_apart():
    """Two clusters, 1e4 times as far apart as wide: in float32 the Gram matrix would see each
    cluster as one point."""
    rng = np.random.default_rng(4)
    centre = 50 * np.sign(rng.normal(size=(2, 8)))
    real, generated = (
        (centre[np.arange(40) % 2] + 5e-3 * rng.normal(size=(40, 8))).astype(np.float32)
        for _ in range(2)
    )
    want = by_definition(real, generated)
    same(prdc(real, generated), want)
    assert 0.2 < want[0] < 1 and 0.2 < want[3] < 1


def test_sets_that_are_far_apart_share_nothing():
    real, generated = pair(5, 30, 30, 3)
    same(prdc(real, generated + 100), [0, 0, 0, 0])


def test_equals_prdc():
    """Its balls are open throughout and its distances float64 for float64 features: exactly the
    same where nothing ties."""
    package = pytest.importorskip("prdc")
    real, generated = (x.astype(np.float64) for x in pair(6, 80, 60, 5))
    near, far = (package.compute_prdc(real, generated, nearest_k=k) for k in (3, 5))
    want = near["precision"], near["recall"], far["density"], far["coverage"]
    same(prdc(real, generated), want)


def test_equals_torch_fidelity():
    """Its balls are closed, as ours; 1e-6, as it answers in float32. For float32 features it may
    differ by a count."""
    torch, *_ = libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch_fidelity")
        from torch_fidelity.metric_prc import prc_features_to_metric
    real, generated = pair(7, 80, 60, 5)
    sides = (torch.from_numpy(x.astype(np.float64)) for x in (generated, real))
    want = prc_features_to_metric(
        *sides, prc_neighborhood=3, prc_batch_size=50, save_cpu_ram=False, verbose=False
    )
    got = prdc(real, generated)
    np.testing.assert_allclose(
        (got.precision, got.recall), (want["precision"], want["recall"]), rtol=1e-6
    )


@pytest.mark.parametrize(("n", "m"), [(3, 9), (5, 9), (6, 3), (4, 4), (9, 1), (1, 1)])
def test_too_few_for_a_kth_neighbour_is_nan(n, m):
    real, generated = pair(8, n, m, 2)
    same(prdc(real, generated), by_definition(real, generated))


@pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0), (0, 0)])
def test_no_image_is_nan(n, m):
    assert np.isnan(prdc(*pair(9, n, m, 2))).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_nan(value):
    real, generated = pair(9, 9, 9, 2)
    generated[3, 1] = value
    assert np.isnan(prdc(real, generated)).all() and np.isnan(prdc(generated, real)).all()


def test_refusals():
    a = np.zeros((3, 2))
    with pytest.raises(ValueError, match="^real and generated must be"):
        prdc(a, np.zeros((3, 4)))

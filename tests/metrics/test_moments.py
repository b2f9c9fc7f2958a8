"""Moments against float64 NumPy.

Tolerance 2e-5 of the largest entry: float32 sums of up to some hundreds of terms lose about sqrt(n)
x 6e-8, and merging adds a few roundings more.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxloop import devices
from jaxloop.metrics import moments as M


def features(seed, n=211, d=5, offset=0.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset).astype(np.float32)


def covariance(moments):
    return np.asarray(moments.m2) / (int(moments.count) - 1)


def close(got, want):
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * max(1.0, np.abs(want).max()))


def assert_same(a, b):
    assert int(a.count) == int(b.count)
    close(a.mean, b.mean)
    close(a.m2, b.m2)


@pytest.mark.parametrize("seed", range(5))
def test_one_batch_equals_numpy(seed):
    x = features(seed)
    got = M.from_batch(x)
    assert int(got.count) == len(x)
    close(got.mean, x.astype(np.float64).mean(axis=0))
    close(covariance(got), np.cov(x.astype(np.float64).T))


@pytest.mark.parametrize("seed", range(3))
def test_batches_merge_to_the_whole_in_any_order(seed):
    x = features(seed)
    a, b, c = M.from_batch(x[:3]), M.from_batch(x[3:90]), M.from_batch(x[90:])
    left, right, turned = (
        M.merge(M.merge(a, b), c),
        M.merge(a, M.merge(b, c)),
        M.merge(c, M.merge(b, a)),
    )
    assert_same(left, right)
    assert_same(left, turned)
    close(left.mean, x.astype(np.float64).mean(axis=0))
    close(covariance(left), np.cov(x.astype(np.float64).T))


def test_a_large_mean_does_not_eat_the_digits():
    """E[xx] - E[x]E[x] in float32 is off by more than the covariance itself here; centred sums are
    not.

    The features carry rounding of 3e-5 each (float32 at 1,000), the same in both computations, so
    the tolerance stays.
    """
    x = features(0, offset=1000.0)
    want = np.cov(x.astype(np.float64).T)
    got = M.merge(M.from_batch(x[:100]), M.from_batch(x[100:]))
    np.testing.assert_allclose(covariance(got), want, rtol=0, atol=5e-4 * np.abs(want).max())
    naive = x.T @ x / np.float32(len(x)) - np.outer(x.mean(axis=0), x.mean(axis=0))
    assert np.abs(naive - want).max() > 0.01 * np.abs(want).max()


def test_the_mean_of_many_large_features_is_good_to_its_last_digit():
    """6e-5 is float32's step at 1,000; the rounding of a plain sum is more than twice that."""
    x = features(0, n=4000, d=64, offset=1000.0)
    assert np.abs(M.from_batch(x).mean - x.astype(np.float64).mean(axis=0)).max() < 6.2e-5


def test_the_order_of_many_batches_does_not_matter():
    x = features(4, n=240, offset=10.0)
    parts = [M.from_batch(part) for part in np.split(x, 12)]
    for seed in range(3):
        total = M.empty(5)
        for i in np.random.default_rng(seed).permutation(12):
            total = M.merge(total, parts[i])
        assert_same(total, M.from_batch(x))


def test_rows_spread_over_devices_give_the_same():
    """One reduction over eight devices, each with an eighth of the rows."""
    mesh = devices.make_mesh(1)
    assert mesh.shape[devices.DATA] == 8
    x = features(3, n=208, offset=10.0)
    spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec(devices.DATA)))
    assert len(spread.sharding.device_set) == 8 and spread.addressable_shards[0].data.shape == (
        26,
        5,
    )
    assert_same(M.from_batch(spread), M.from_batch(x))


def test_large_counts_do_not_overflow():
    """Two halves of 100,000 each: the product of the counts is beyond int32. Closed form, so no
    such array is made."""
    half = M.Moments(jnp.int32(100_000), jnp.zeros(1), jnp.zeros((1, 1)))
    other = half._replace(mean=jnp.full(1, 2.0))
    got = M.merge(half, other)
    close(got.mean, [1.0])
    close(
        covariance(got), [[200_000 / 199_999]]
    )  # half the values 0, half 2: squares about the mean sum to n


def test_empty_is_neutral():
    a = M.from_batch(features(1))
    for got in (
        M.merge(M.empty(5), a),
        M.merge(a, M.empty(5)),
        M.merge(a, M.from_batch(np.zeros((0, 5), np.float32))),
    ):
        for one, two in zip(got, a, strict=True):
            np.testing.assert_array_equal(one, two)
    assert int(M.merge(M.empty(5), M.empty(5)).count) == 0
    assert jnp.isfinite(M.merge(M.empty(5), M.empty(5)).mean).all()


def test_vmap_equals_one_by_one():
    x = np.stack([features(seed, n=30) for seed in range(3)])
    together = jax.vmap(M.from_batch)(x)
    for seed in range(3):
        assert_same(jax.tree.map(lambda v, s=seed: v[s], together), M.from_batch(x[seed]))


def test_refusals():
    with pytest.raises(ValueError, match="^features must be"):
        M.from_batch(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="differ in d"):
        M.merge(M.empty(2), M.empty(3))

"""Resampled counts against resampled images, and intervals against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import bootstrap, counts, fairness

L, G, N, RESAMPLES = 3, 2, 400, 2000


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    label = rng.integers(0, L, N)
    group = np.where(rng.random(N) < 0.05, -1, (rng.random(N) < 0.3).astype(int))
    correct = rng.random(N) < 0.9 - 0.2 * group
    return tuple(jnp.asarray(x) for x in (correct, label, group))


@pytest.fixture(scope="module")
def counted(images):
    return counts.count(*images, L, G)


def test_a_resample_has_as_many_images_and_only_kinds_that_exist(counted):
    empty = counted._replace(correct=counted.correct.at[1].set(0), total=counted.total.at[1].set(0))
    some = empty._replace(all_total=empty.total.sum() + 7, all_correct=empty.correct.sum() + 7)
    drawn = bootstrap.resample(jax.random.key(1), some, RESAMPLES)
    assert (drawn.all_total == some.all_total).all()
    assert (drawn.total[:, 1] == 0).all()  # a class without an image stays without one
    assert (drawn.correct <= drawn.total).all()
    assert (
        drawn.all_total - drawn.total.sum((1, 2)) == drawn.all_correct - drawn.correct.sum((1, 2))
    ).all()  # no unknown is wrong
    # Mean of a multinomial cell: n p, standard error sqrt(n p (1 - p) / resamples); 5 of them for
    # 12 cells.
    error = 5 * np.sqrt(np.asarray(some.total) / RESAMPLES)
    assert (np.abs(np.asarray(drawn.total).mean(0) - np.asarray(some.total)) <= error).all()


def test_same_distribution_as_resampling_images_one_by_one(images, counted):
    """Quantiles of 2,000 resamples each way; their own standard error is about 2 % of the
    interval's width (10 allowed)."""
    index = jnp.asarray(np.random.default_rng(1).integers(0, N, (RESAMPLES, N)))
    measure = jax.jit(
        jax.vmap(lambda i: fairness.from_counts(counts.count(*(x[i] for x in images), L, G)))
    )
    measured = fairness.from_counts(counted)
    want = {
        name: np.clip(
            2 * np.asarray(measured[name])[None] - np.quantile(values, [0.975, 0.025], axis=0),
            -np.inf if name.startswith("di") else 0, 1,
        )
        for name, values in measure(index).items()
    }  # fmt: skip
    got = bootstrap.intervals(jax.random.key(0), counted, RESAMPLES)
    assert got.keys() == want.keys()
    for name, (low, high) in want.items():
        low, high = np.minimum(low, measured[name]), np.maximum(high, measured[name])
        assert (np.abs(got[name] - np.stack([low, high])) <= 0.1 * (high - low) + 1e-6).all(), name


def test_accuracy_has_the_width_of_a_binomial(counted):
    accuracy = float(counted.all_correct / counted.all_total)
    low, high = bootstrap.intervals(jax.random.key(2), counted, RESAMPLES)["accuracy"]
    want = 2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / N)
    assert low < accuracy < high and abs(high - low - want) < 0.1 * want


def test_covers_the_true_accuracy_as_often_as_it_says():
    """200 test sets of one classifier: about 95 % of their intervals hold its true accuracy
    (binomial error 1.5 %, 3 allowed)."""
    right = np.random.default_rng(3).binomial(N, 0.8, 200)

    def one(key, k):
        counted = counts.Counts(k[None, None], jnp.full((1, 1), N), k, jnp.int32(N))
        return bootstrap.intervals(key, counted, 500)["accuracy"]

    split = jax.random.split(jax.random.key(0), 200)
    low, high = jax.vmap(one)(split, jnp.asarray(right, jnp.int32)).T
    assert 0.905 <= ((low <= 0.8) & (high >= 0.8)).mean() <= 0.995


def test_a_classifier_without_bias_is_not_said_to_have_some():
    """MD of three groups of equal accuracy: its interval starts at 0 in about nine of ten test sets
    (plain quantiles: in none).

    200 test sets: the binomial error of the share is 2 %, of which 2.5 are allowed.
    """
    right = np.random.default_rng(4).binomial(200, 0.9, (200, 1, 3)).astype(np.int32)
    total = jnp.full((1, 3), 200)

    def one(key, k):
        return bootstrap.intervals(key, counts.Counts(k, total, k.sum(), total.sum()), 500)["md"]

    low, high = jax.vmap(one)(jax.random.split(jax.random.key(0), 200), jnp.asarray(right)).T
    assert (low == 0).mean() >= 0.85
    assert (high > 0).mean() >= 0.95  # all but where the three are equal to the image


def test_no_interval_where_resamples_often_lack_the_value():
    cells = jnp.array(
        [[40, 1]], jnp.int32
    )  # the one image of group 1 is missing in a third of the resamples
    result = bootstrap.intervals(
        jax.random.key(0), counts.Counts(cells, cells, jnp.int32(41), jnp.int32(41)), 500
    )
    assert np.isnan(result["meo"]).all() and np.isnan(result["group_accuracy"][:, 1]).all()
    np.testing.assert_array_equal(result["accuracy"], [1, 1])
    np.testing.assert_array_equal(result["group_accuracy"][:, 0], [1, 1])


def test_the_same_key_gives_the_same_interval_and_no_image_gives_none(counted):
    once, again = (bootstrap.intervals(jax.random.key(5), counted, 500) for _ in range(2))
    assert all(np.array_equal(once[name], again[name], equal_nan=True) for name in once)
    nothing = bootstrap.intervals(jax.random.key(5), counts.empty(L, G), 500)
    assert all(np.isnan(value).all() for value in nothing.values())

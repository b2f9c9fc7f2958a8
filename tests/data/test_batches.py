"""Batches as index vectors over real + queue."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.data import batches
from jaxloop.data.source import InMemory
from jaxloop.types import Samples


def random_samples(n, seed):
    rng = np.random.default_rng(seed)
    return Samples(
        jnp.asarray(rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)),
        jnp.asarray(rng.integers(0, 10, n, dtype=np.int32)),
        jnp.asarray(rng.integers(-1, 3, n, dtype=np.int32)),
    )


@pytest.mark.parametrize(
    "valid", [[True] * 9, [True] * 5 + [False] * 4, [False, True, True, False, True], [False] * 3]
)
def test_order_has_the_valid_indices_in_front(valid):
    valid = np.array(valid)
    order = np.asarray(batches.epoch_order(jax.random.key(0), jnp.asarray(valid)))
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order[: valid.sum()]), np.flatnonzero(valid))
    np.testing.assert_array_equal(np.sort(order), np.arange(len(valid)))


def test_order_is_uniform():
    valid = jnp.array([True, False, True, True, False, True])
    trials = 4_000
    orders = jax.vmap(batches.epoch_order, in_axes=(0, None))(
        jax.random.split(jax.random.key(0), trials), valid
    )
    _, counts = np.unique(np.asarray(orders)[:, :4], axis=0, return_counts=True)
    assert len(counts) == 24  # every order of the four valid ones
    # Chi-squared with 23 degrees of freedom: above 57 once in 10,000.
    assert np.sum((counts - trials / 24) ** 2 / (trials / 24)) < 57


@pytest.mark.parametrize("num", [1, 3, 7, 12, 13, 40])
def test_an_epoch_goes_through_what_there_is_evenly(num):
    """Three batches of four of `num` images: none comes more than once oftener than another."""
    valid = jnp.arange(50) % 50 >= 50 - num
    order = batches.epoch_order(jax.random.key(num), valid)
    index = np.concatenate([batches.batch_of(order, valid.sum(), i, 4) for i in jnp.arange(3)])
    times = np.bincount(index, minlength=50)
    assert times.sum() == 12 and times[: 50 - num].sum() == 0
    assert times[50 - num :].min() == 12 // num and times.max() == -(-12 // num)


def test_a_batch_of_nothing_stays_in_bounds():
    order = batches.epoch_order(jax.random.key(0), jnp.zeros(5, bool))
    assert 0 <= np.asarray(batches.batch_of(order, jnp.int32(0), jnp.int32(1), 4)).min() < 5


def test_nothing_is_traced_again_as_the_queue_fills():
    traces = []
    real, queue = random_samples(20, 0), random_samples(12, 1)

    @jax.jit
    def first_batch(key, size):
        traces.append(size)
        valid = jnp.arange(32) < 20 + size
        order = batches.epoch_order(key, valid)
        return batches.take(InMemory.from_samples(real), queue, order[:8]), batches.num_batches(
            jnp.sum(valid, dtype=jnp.int32), 8
        )

    counts = [int(first_batch(jax.random.key(0), jnp.int32(size))[1]) for size in (0, 3, 4, 12)]
    assert counts == [2, 2, 3, 4]
    assert len(traces) == 1


def test_take_equals_indexing_the_concatenation():
    real, queue = random_samples(20, 0), random_samples(12, 1)
    index = jnp.asarray(np.random.default_rng(2).permutation(32).astype(np.int32))
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b])[index], real, queue)
    for take in (batches.take, jax.jit(batches.take)):
        taken = take(InMemory.from_samples(real), queue, index)
        for field, expected in zip(taken, both, strict=True):
            assert field.dtype == expected.dtype
            np.testing.assert_array_equal(field, expected)


def test_take_from_a_queue_without_slots():
    real, queue = random_samples(5, 0), random_samples(0, 1)
    np.testing.assert_array_equal(
        batches.take(InMemory.from_samples(real), queue, jnp.array([4, 0], jnp.int32)).label,
        real.label[jnp.array([4, 0])],
    )


def test_take_runs_for_all_seeds_over_one_real_set():
    real, queues = (
        random_samples(5, 0),
        jax.tree.map(lambda *x: jnp.stack(x), *(random_samples(3, s) for s in (1, 2))),
    )
    index = jnp.array([[0, 5, 7], [6, 1, 1]], jnp.int32)
    source = InMemory.from_samples(real)
    taken = jax.vmap(batches.take, in_axes=(None, 0, 0))(source, queues, index)
    np.testing.assert_array_equal(
        taken.label[0], jnp.stack([real.label[0], queues.label[0, 0], queues.label[0, 2]])
    )
    np.testing.assert_array_equal(
        taken.label[1], jnp.stack([queues.label[1, 1], real.label[1], real.label[1]])
    )


def test_num_batches_leaves_the_incomplete_one_out():
    assert [batches.num_batches(count, 8) for count in (7, 8, 23, 24)] == [0, 1, 2, 3]

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import devices


def one(own, shared):
    seed, weights = own
    noise = jax.random.normal(jax.random.key(seed), weights.shape)
    return jnp.tanh(weights @ weights + noise) * shared, weights.sum()


def arguments(seeds):
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 5)), jnp.float32)
    return (jnp.asarray(seeds, jnp.int32), weights[jnp.asarray(seeds)])


def test_together_equals_alone_bit_for_bit_in_the_loop():
    run = devices.over_seeds(one, devices.make_mesh(3, jax.devices()[:1]), how="loop")
    together = run(arguments([0, 1, 2]), jnp.float32(2))
    for seed in range(3):
        alone = run(arguments([seed]), jnp.float32(2))
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[seed]), alone, together)  # noqa: B023


@pytest.mark.parametrize("num_devices", [1, 2, 3, 8])
def test_vmapped_and_spread_equals_the_loop(num_devices):
    loop = devices.over_seeds(one, devices.make_mesh(3, jax.devices()[:1]), how="loop")
    vmap = devices.over_seeds(one, devices.make_mesh(3, jax.devices()[:num_devices]), how="vmap")
    own = arguments([0, 1, 2])
    # float32: a batched product may add in another order
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        loop(own, jnp.float32(2)),
        vmap(own, jnp.float32(2)),
    )


def test_mesh_spreads_seeds_where_they_divide():
    assert dict(devices.make_mesh(2).shape) == {"seed": 2, "data": 4}
    assert dict(devices.make_mesh(3).shape) == {"seed": 1, "data": 8}
    assert dict(devices.make_mesh(3, jax.devices()[:1]).shape) == {"seed": 1, "data": 1}


def test_stack_is_undone_by_unstack():
    trees = [{"a": jnp.full((2,), float(i)), "b": jnp.int32(i)} for i in range(3)]
    back = devices.unstack(devices.stack(trees))
    jax.tree.map(np.testing.assert_array_equal, trees, back)


@pytest.mark.parametrize("length", [1, 4, 10])
def test_in_batches_equals_whole(length):
    x = jnp.arange(length * 3, dtype=jnp.float32).reshape(length, 3)
    got = jax.jit(lambda x: devices.in_batches(lambda a: (a * 2, a.sum(axis=1)), 4, x))(x)
    np.testing.assert_array_equal(got[0], x * 2)
    np.testing.assert_array_equal(got[1], x.sum(axis=1))


def test_unknown_way_is_refused():
    with pytest.raises(ValueError, match="loop, vmap"):
        devices.over_seeds(one, devices.make_mesh(1), how="both")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import devices

ONE = jax.devices()[:1]


def one(state, inputs, factor):
    (seed,) = inputs
    noise = jax.random.normal(jax.random.key(seed), state.shape)
    return jnp.tanh(state @ state + noise) * factor, state.sum()


def outputs(values, how="in_turn", num_devices=1):
    weights = np.random.default_rng(0).normal(size=(3, 5, 5)).astype(np.float32)[list(values)]
    seeds = devices.lay_out(values, how, jax.devices()[:num_devices])
    state = devices.put_seeds(seeds, weights)
    inputs = devices.put_seeds(seeds, (np.asarray(values, np.int32),))
    return devices.to_host(devices.over_seeds(one, seeds)(state, inputs, jnp.float32(2)))


def test_together_equals_alone_bit_for_bit_in_turn():
    together = outputs((0, 1, 2))
    for seed in range(3):
        jax.tree.map(np.testing.assert_array_equal, outputs((seed,))[0], together[seed])


@pytest.mark.parametrize("num_devices", [1, 2, 3, 8])
@pytest.mark.filterwarnings("ignore:Some donated buffers were not usable")
def test_vmapped_and_spread_equals_in_turn(num_devices):
    # float32: a batched product may add in another order
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        outputs((0, 1, 2)),
        outputs((0, 1, 2), "together", num_devices),
    )


def test_layouts():
    assert dict(devices.make_mesh(2).shape) == {"seed": 2, "data": 4}
    assert dict(devices.make_mesh(3).shape) == {"seed": 1, "data": 8}
    assert devices.lay_out((0, 1), "auto").together is False  # CPUs
    assert dict(devices.lay_out((0, 1), "auto").mesh.shape) == {"seed": 1, "data": 8}
    assert dict(devices.lay_out((0, 1), "together").mesh.shape) == {"seed": 2, "data": 4}


@pytest.mark.parametrize("how", ["in_turn", "together"])
def test_stacked_on_host_undoes_put_seeds_and_is_a_copy(how):
    stacked = {"a": np.arange(6.0, dtype=np.float32).reshape(3, 2), "b": np.arange(3)}
    seeded = devices.put_seeds(devices.lay_out((0, 1, 2), how, ONE), stacked)
    back = devices.stacked_on_host(seeded)
    jax.tree.map(np.testing.assert_array_equal, back, stacked)
    assert all(x.flags.owndata for x in jax.tree.leaves(back))
    joined = devices.join(devices.select(seeded, lambda t: t["a"]), None, seeded)
    assert jax.tree.structure(joined) is not None
    for a, nothing, tree in devices.to_host(joined):
        assert nothing is None and np.array_equal(a, tree["a"])


def test_compute_dtype():
    mesh = devices.make_mesh(1, ONE)
    assert devices.compute_dtype("auto", mesh) == jnp.float32  # a CPU
    assert devices.compute_dtype("bfloat16", mesh) == jnp.bfloat16


@pytest.mark.parametrize("length", [1, 4, 10])
def test_in_batches_equals_whole(length):
    x = jnp.arange(length * 3, dtype=jnp.float32).reshape(length, 3)
    got = jax.jit(lambda x: devices.in_batches(lambda a: (a * 2, a.sum(axis=1)), 4, x))(x)
    np.testing.assert_array_equal(got[0], x * 2)
    np.testing.assert_array_equal(got[1], x.sum(axis=1))


def test_an_option_that_xla_lacks_is_left_out(monkeypatch):
    assert devices._cpu_options.__wrapped__() is not None  # the one of `compiled` exists
    jit = jax.jit
    unknown = lambda f, compiler_options: jit(f, compiler_options={"xla_no_such_option": False})  # noqa: E731
    monkeypatch.setattr(jax, "jit", unknown)
    assert devices._cpu_options.__wrapped__() is None

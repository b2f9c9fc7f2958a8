import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy import stats

from jaxloop import generators
from jaxloop.errors import InputError
from jaxloop.generators import dcgan
from jaxloop.ops.convolution import UpConv
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.types import Samples
from tests.conftest import hasty

SIZE, CLASSES = 16, 3
FIRST = jnp.int32(1)
SMALL = {"dcgan": {"width": 4, "latent": 8}, "edm": {"width": 8}, "flow": {"width": 8}}


def batch(n: int = 32) -> Samples:
    draw = np.random.default_rng(0)
    return Samples(
        jnp.asarray(draw.integers(0, 256, (n, SIZE, SIZE, 3)), jnp.uint8),
        jnp.asarray(np.arange(n) % CLASSES, jnp.int32),
        jnp.asarray(draw.integers(0, 3, n), jnp.int32),
    )


def create(name, size=SIZE, **fields):
    kind, _ = generators.GENERATORS[name]
    return generators.create(kind(name=name, **fields), CLASSES, size, 1000, jnp.float32)


# Those that learn; tests/generators/test_resample.py has the control. Traced once for all tests.
@pytest.fixture(params=SMALL, scope="module")
def generator(request):
    made = create(request.param, **SMALL[request.param])
    return made._replace(**{f: hasty(getattr(made, f)) for f in ("init", "update", "sample")})


def test_samples_are_pictures_of_the_asked_number(generator):
    state, sample = generator.init(jax.random.key(0), FIRST), generator.sample
    label = jnp.asarray([0, 1, 2, 2, 1], jnp.int32)
    image = sample(jax.random.key(1), (), state, label)
    assert image.shape == (5, SIZE, SIZE, 3) and image.dtype == jnp.uint8
    np.testing.assert_array_equal(image, sample(jax.random.key(1), (), state, label))
    assert not np.array_equal(image, sample(jax.random.key(2), (), state, label))
    assert not np.array_equal(image[2], image[3])  # one label, two pictures


def test_an_update_changes_the_state_keeps_its_shape_and_is_a_function(generator):
    state, update = generator.init(jax.random.key(0), FIRST), generator.update
    new, signals = update(jax.random.key(1), (), state, batch())
    assert jax.tree.map(lambda x: (x.shape, x.dtype), new) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True)
    )
    assert signals and all(bool(jnp.isfinite(s)) for s in signals.values())
    assert all(name.count("/") == 1 for name in signals)
    jax.tree.map(
        np.testing.assert_array_equal, new, update(jax.random.key(1), (), state, batch())[0]
    )


def test_the_group_is_not_seen(generator):
    state, real, update = generator.init(jax.random.key(0), FIRST), batch(), generator.update
    other = real._replace(group=(real.group + 1) % 3)
    jax.tree.map(
        np.testing.assert_array_equal,
        update(jax.random.key(1), (), state, real),
        update(jax.random.key(1), (), state, other),
    )


# By each generator's own field; guidance is shown on known densities in test_diffusion.
BIASED = {
    "dcgan": {"truncation": 0.3},
    "edm": {"guidance": 3.0},
    "flow": {"guidance": 3.0},
    "resample": {"minority": 0.5},
    "stable_diffusion": {"guidance": 3.0},
}


def test_every_generator_can_bias_its_sampling():
    assert BIASED.keys() == generators.GENERATORS.keys()
    for name, fields in BIASED.items():
        kind, _ = generators.GENERATORS[name]
        (field,) = fields
        assert "sampling bias" in kind.__dataclass_fields__[field].metadata["doc"]


def test_sampling_can_be_biased_towards_typical_images():
    """Pictures of a class come nearer to each other. The state does not know of it."""
    generator = create("dcgan", **SMALL["dcgan"])
    biased = create("dcgan", **SMALL["dcgan"], **BIASED["dcgan"])
    state, label = jax.jit(generator.init)(jax.random.key(0), FIRST), jnp.ones(64, jnp.int32)
    spread = [
        np.asarray(g.sample(jax.random.key(1), (), state, label), float).std(axis=0).mean()
        for g in (generator, biased)
    ]
    assert spread[1] < 0.6 * spread[0]  # the latent's own deviation falls to 0.17 of what it was


def test_truncated_latents_equal_scipys_distribution():
    z = np.asarray(dcgan.latent(jax.random.key(0), (100, 100), 0.7)).ravel()
    assert np.abs(z).max() <= 0.7
    assert stats.kstest(z, stats.truncnorm(-0.7, 0.7).cdf).pvalue > 1e-3
    whole = np.asarray(dcgan.latent(jax.random.key(0), (100, 100), 0.0)).ravel()
    assert stats.kstest(whole, stats.norm.cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_learns_the_classes(name):
    """Red, green and blue squares: after some hundred small steps the label decides the colour."""
    steps = 1000 if name == "dcgan" else 300
    label = jnp.asarray(np.arange(192) % CLASSES, jnp.int32)
    color = jnp.eye(3, dtype=jnp.uint8)[label] * jnp.uint8(255)
    generator = create(name, **SMALL[name])
    image = jnp.zeros((192, SIZE, SIZE, 3), jnp.uint8).at[:, 4:12, 4:12].set(color[:, None, None])

    def body(i, state):
        key = jax.random.fold_in(jax.random.key(1), i)
        chosen = jax.random.randint(key, (32,), 0, 192)
        batch = Samples(image[chosen], label[chosen], label[chosen])
        return generator.update(key, (), state, batch)[0]

    state = jax.jit(lambda s: lax.fori_loop(0, steps, body, s))(
        generator.init(jax.random.key(0), FIRST)
    )
    image = generator.sample(jax.random.key(2), (), state, label)
    light = np.asarray(image, np.float64).sum(axis=(1, 2))
    assert (light.argmax(axis=1) == np.asarray(label)).mean() > 0.9


def test_a_size_that_it_cannot_make_is_refused():
    with pytest.raises(InputError, match="config.data.image_size=17"):
        create("dcgan", size=17)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [(8, (4, 1)), (12, (6, 1)), (16, (4, 2)), (28, (7, 2)), (32, (4, 3)), (64, (4, 4))],
)
def test_plan(size, wanted):
    base, doublings = dcgan.plan(size)
    assert (base, doublings) == wanted and base * 2**doublings == size


def test_up_convolution_equals_the_transposed_one():
    """Against the definition: an image with zeros between its pixels, convolved with the 4x4
    kernel."""
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 5, 6, 3)), jnp.float32)
    module = UpConv(4)
    variables = module.init(jax.random.key(0), x)
    variables["params"]["bias"] = jnp.asarray(draw.normal(size=4), jnp.float32)
    kernel = variables["params"]["kernel"].reshape(
        2, 2, 3, 2, 2, 4
    )  # tap row, tap column, in, parity row, parity column, out
    # Output 2i + a sees inputs i + a - 1 + t with tap t, and so meets entry 2t + a of the kernel on
    # the spread image.
    whole = np.zeros((4, 4, 3, 4), np.float32)
    for tap_row, tap_column, row, column in np.ndindex(2, 2, 2, 2):
        whole[2 * tap_row + row, 2 * tap_column + column] = kernel[
            tap_row, tap_column, :, row, column
        ]
    wanted = lax.conv_general_dilated(
        x,
        jnp.asarray(whole),
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    # 12 products of order one, added in another order
    np.testing.assert_allclose(
        module.apply(variables, x),
        wanted + variables["params"]["bias"][None, None, None],
        atol=1e-5,
        rtol=1e-5,
    )


def test_pixels():
    every = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(to_pixels(to_unit(every)), every)
    np.testing.assert_array_equal(to_pixels(jnp.asarray([-3.0, 3.0])), [0, 255])

"""Diffusion: its samplers and objective against what is known of Gaussian data."""

from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import generators
from jaxloop.errors import InputError
from jaxloop.generators import diffusion
from jaxloop.generators.diffusion import SIGMA_DATA, SIGMA_MAX
from jaxloop.generators.unet import fold, unfold
from jaxloop.ops.pixels import to_unit
from jaxloop.types import Samples
from tests.conftest import hasty

MEAN, DEVIATION = 0.2, 0.1


def gaussian(x, sigma, mean=MEAN):
    """The exact denoiser of normal pixels."""
    data, noise = DEVIATION**2, sigma**2
    return (data * x + noise * mean) / (data + noise)


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [("euler", 400, 0.04), ("heun", 48, 0.02), ("dpm", 48, 0.02)]
)
def test_samplers_follow_the_probability_flow(sampler, steps, tolerance):
    """Of normal data the flow scales x - mean from the deviation at SIGMA_MAX to the data's.

    The tolerance is the discretisation's, of the data's deviation: first order needs more steps.
    """
    x = SIGMA_MAX * jnp.linspace(-2.0, 2.0, 41)
    levels = diffusion.noise_levels(steps)
    assert levels[0] == pytest.approx(SIGMA_MAX) and levels[-1] == 0
    assert (np.diff(levels) < 0).all() and len(levels) == steps + 1
    ends = diffusion.SAMPLERS[sampler](gaussian, x, levels)
    exact = MEAN + (x - MEAN) * DEVIATION / np.hypot(DEVIATION, SIGMA_MAX)
    assert np.abs(ends - exact).max() < tolerance * DEVIATION


def test_higher_order_needs_fewer_steps():
    x = jnp.full(1, SIGMA_MAX)
    exact = MEAN + (x - MEAN) * DEVIATION / np.hypot(DEVIATION, SIGMA_MAX)
    error = {
        name: float(abs(sampler(gaussian, x, diffusion.noise_levels(24)) - exact)[0])
        for name, sampler in diffusion.SAMPLERS.items()
    }
    assert error["dpm"] < error["euler"] / 3 and error["heun"] < error["euler"] / 3


class Known(NamedTuple):
    """A network whose denoiser is that of normal pixels: mean 0.2 label, 0 without a class."""

    name: str
    num_classes: int = 3

    def apply(self, params, x, noise, label):
        sigma = jnp.exp(4 * noise) if self.name == "edm" else noise / (1 - noise)
        c_skip, c_out, c_in, _ = diffusion.coefficients(self.name, sigma)
        by = diffusion._by
        image = by(1 / c_in, x)
        mean = jnp.where(label == self.num_classes, 0.0, 0.2 * label.astype(jnp.float32))
        weight = DEVIATION**2 / (DEVIATION**2 + sigma**2)
        clean = by(weight, image) + by(1 - weight, jnp.broadcast_to(by(mean, 1.0), image.shape))
        return by(1 / c_out, clean - by(c_skip, image))


def known(name: str, **fields) -> diffusion.Diffusion:
    config = diffusion.Config(name=name, sampling_steps=40, **fields)
    return diffusion.Diffusion(Known(name), SimpleNamespace(), config, 8)


@pytest.mark.parametrize("name", ["edm", "flow"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_guidance_moves_the_mean_away_from_no_class(name, guidance):
    """Of normal data with equal deviations: mean_none + guidance (mean_class - mean_none)."""
    state, label = diffusion.State((), (), (), jnp.int32(0)), jnp.repeat(jnp.arange(3), 30)
    image = diffusion.sample(known(name, guidance=guidance), jax.random.key(0), (), state, label)
    assert image.dtype == jnp.uint8 and image.shape == (90, 8, 8, 3)
    by_class = np.asarray(to_unit(image)).reshape(3, -1)
    np.testing.assert_allclose(by_class.mean(1), guidance * 0.2 * np.arange(3), atol=0.01)
    np.testing.assert_allclose(by_class.std(1), DEVIATION, rtol=0.06)


def test_flow_predicts_the_velocity_of_the_straight_path():
    """The loss is the mean squared error of noise - image, at x_t = (1 - t) image + t noise."""
    draw = np.random.default_rng(0)
    image, noise = (jnp.asarray(draw.normal(size=(5, 8, 8, 3)), jnp.float32) for _ in "ab")
    t = jnp.asarray([0.1, 0.3, 0.5, 0.7, 0.9])
    generator = generators.create(
        diffusion.Config(name="flow", width=4), 3, 8, 10, jnp.dtype("float32")
    )
    model = generator.sample.args[0]
    params = jax.tree.map(
        lambda x: x + 0.1, hasty(generator.init)(jax.random.key(0), jnp.int32(1)).params
    )
    label = jnp.asarray([0, 1, 2, 3, 0])
    loss = diffusion.loss(model, params, image, noise, t / (1 - t), label)
    path = diffusion._by(1 - t, image) + diffusion._by(t, noise)
    velocity = model.network.apply(params, path, t, label)
    # float32: sums of 960 squares.
    np.testing.assert_allclose(loss, jnp.mean((velocity - (noise - image)) ** 2), rtol=1e-5)


def test_edm_scales_input_and_target_to_one():
    """Karras et al., section 5, for pixels of deviation SIGMA_DATA."""
    sigma = jnp.asarray([0.01, 0.1, 1.0, 10.0])
    c_skip, c_out, c_in, _ = diffusion.coefficients("edm", sigma)
    data, noise = SIGMA_DATA**2, sigma**2
    np.testing.assert_allclose(c_in**2 * (data + noise), 1, rtol=1e-5)
    target = ((1 - c_skip) ** 2 * data + c_skip**2 * noise) / c_out**2
    np.testing.assert_allclose(target, 1, rtol=1e-4)


@pytest.mark.parametrize("name", ["edm", "flow"])
@pytest.mark.parametrize(
    ("size", "fields"),
    [
        (16, {}), (28, {"patch": 1}), (28, {"patch": 2}),
        (32, {"mults": (1, 2, 2), "attention": (4,)}),
        (64, {"patch": 4, "mults": (1, 1, 2), "attention": (4, 8)}),
    ],
)  # fmt: skip
def test_sizes(name, size, fields):
    config = diffusion.Config(name=name, width=4, **fields)
    generator = generators.create(config, 3, size, 10, jnp.dtype("float32"))
    state = jax.eval_shape(generator.init, jax.random.key(0), jnp.int32(1))
    label = jax.ShapeDtypeStruct((2,), jnp.int32)
    image = jax.eval_shape(partial(generator.sample, jax.random.key(0), ()), state, label)
    assert image.shape == (2, size, size, 3) and image.dtype == jnp.uint8
    batch = Samples(image, label, label)
    after, signals = jax.eval_shape(generator.update, jax.random.key(0), (), state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert set(signals) == {"generator/loss", "generator/gradient_norm"}


def test_a_size_that_levels_do_not_divide_is_refused():
    config = diffusion.Config(name="edm", patch=2, mults=(1, 2, 2))
    with pytest.raises(InputError, match=r"config.data.image_size=28 .* multiple of 8"):
        generators.create(config, 3, 28, 10, jnp.dtype("float32"))


def test_attention_where_there_is_no_feature_map_is_refused_and_odd_channels_have_heads():
    with pytest.raises(InputError, match=r"config.generator.attention=.*\[8, 4\]"):
        generators.create(
            diffusion.Config(name="edm", attention=(16,)), 3, 16, 10, jnp.dtype("float32")
        )
    config = diffusion.Config(name="edm", width=16, mults=(1, 7), attention=(4,))
    generator = generators.create(config, 3, 16, 10, jnp.dtype("float32"))
    jax.eval_shape(generator.init, jax.random.key(0), jnp.int32(1))


def test_folding_is_undone_and_keeps_squares_together():
    x = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    folded = fold(x, 2)
    assert folded.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(folded[0, 1, 2].reshape(2, 2, 3), x[0, 2:4, 4:6])
    np.testing.assert_array_equal(unfold(folded, 2), x)


def test_bfloat16_computes_and_float32_keeps(standard_promotion):
    config = diffusion.Config(name="edm", width=8, attention=(4,))
    generator = generators.create(config, 3, 16, 10, jnp.dtype("bfloat16"))
    state = hasty(generator.init)(jax.random.key(0), jnp.int32(1))
    batch = Samples(
        jnp.zeros((4, 16, 16, 3), jnp.uint8), jnp.arange(4) % 3, jnp.zeros(4, jnp.int32)
    )
    text = str(jax.make_jaxpr(generator.update)(jax.random.key(0), (), state, batch))
    assert "bf16" in text
    kept = [x.dtype for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert set(kept) == {jnp.dtype("float32")}


def test_average_forgets_its_beginning_and_lags_behind():
    generator = generators.create(
        diffusion.Config(name="edm", width=4), 3, 16, 10, jnp.dtype("float32")
    )
    state = hasty(generator.init)(jax.random.key(0), jnp.int32(1))
    batch = Samples(jnp.full((4, 16, 16, 3), 200, jnp.uint8), jnp.arange(4) % 3, jnp.zeros(4, int))
    new, _ = hasty(generator.update)(jax.random.key(1), (), state, batch)
    for before, after, average in zip(
        *(jax.tree.leaves(t) for t in (state.params, new.params, new.average)), strict=True
    ):  # after one step the average is a tenth the old and nine tenths the new
        np.testing.assert_allclose(average, 0.1 * before + 0.9 * after, atol=1e-6)

"""The control that draws held-out images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny
from playing import play, same_state, seed_of
from scipy import stats

from jaxloop import generators
from jaxloop.data.colorize import biased
from jaxloop.errors import InputError
from jaxloop.generators import resample
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_devices, on_host
from jaxloop.run import build
from jaxloop.types import Samples

CONTROL = {
    "generator.name": "resample", "generator.width": None, "generator.latent": None,
    "generator.epochs": None, "filter.name": "none", "data.held_out": 0.5,
}  # fmt: skip
COUNT = np.array([[60, 30, 10], [5, 0, 45]])  # class x subgroup; two of the three occur in class 1


def held_out():
    """Image i has the value i in all its pixels."""
    cell = np.random.default_rng(0).permutation(np.repeat(np.arange(6), COUNT.ravel()))
    image = np.broadcast_to(
        np.arange(len(cell), dtype=np.uint8)[:, None, None, None], (150, 2, 2, 3)
    )
    return Samples(image, (cell // 3).astype(np.int32), (cell % 3).astype(np.int32))


def drawn(generation, minority, label):
    """Return which images were drawn, int [n]."""
    config = resample.Config(name="resample", minority=minority)
    generator = generators.create(config, 2, 2, 1, jnp.float32, held_out=held_out())
    state = jax.jit(generator.init)(jax.random.key(0), jnp.int32(generation))
    image = jax.jit(generator.sample)(jax.random.key(1), generator.constants, state, label)
    assert image.shape == (len(label), 2, 2, 3) and image.dtype == jnp.uint8
    return np.asarray(image)[:, 0, 0, 0]


@pytest.mark.parametrize("generation", [1, 4])
def test_it_draws_images_of_the_class_and_all_of_them(generation):
    label = np.arange(20_000) % 2
    index = drawn(generation, 0.9, jnp.asarray(label))
    np.testing.assert_array_equal(held_out().label[index], label)
    assert len(np.unique(index)) == 150


@pytest.mark.parametrize(("minority", "generation"), [(1.0, 3), (0.5, 1), (0.5, 3), (0.8, 2)])
def test_minorities_shrink_by_their_factor_each_generation(minority, generation):
    n, factor = 20_000, minority**generation
    for label, counts in enumerate(COUNT):
        group = held_out().group[drawn(generation, minority, jnp.full(n, label))]
        wanted = factor * counts / counts.sum()
        commonest = counts.argmax()
        wanted[commonest] += 1 - wanted.sum()
        for times, share in zip(np.bincount(group, minlength=3), wanted, strict=True):
            assert stats.binomtest(int(times), n, share).pvalue > 1e-4


def test_images_of_a_subgroup_are_drawn_equally_often():
    times = np.bincount(drawn(1, 1.0, jnp.zeros(60_000, int)), minlength=150)
    assert stats.chisquare(times[held_out().label == 0]).pvalue > 1e-4


def test_it_learns_nothing():
    config = resample.Config(name="resample", minority=0.5)
    generator = generators.create(config, 2, 2, 1, jnp.float32, held_out=held_out())
    state = generator.init(jax.random.key(0), jnp.int32(2))
    assert state == 0.25
    assert generator.update(jax.random.key(0), generator.constants, state, held_out()) == (
        state,
        {},
    )


def test_unknown_subgroups_are_one_of_their_own():
    samples = held_out()
    unknown = samples._replace(group=np.where(samples.group == 2, -1, samples.group))
    np.testing.assert_array_equal(resample.in_cells(unknown, 2).count, np.roll(COUNT, 1, axis=1))


@pytest.fixture(scope="module")
def experiment():
    spec = tiny(**CONTROL, **{"generator.minority": 0.1, "data.color": biased(10)})
    return build.build(spec, devices=jax.devices()[:1])[0]


@pytest.mark.slow
def test_in_the_loop_it_draws_what_nothing_else_is_trained_on(experiment):
    state, records = play(experiment)
    constants = experiment.constants
    pictures = [
        {image.tobytes() for image in np.asarray(images)}
        for images in (constants.generator.image, constants.train.image, constants.validation.image)
    ]
    for i in range(2):
        _, *_ = one_seed = seed_of(state, i)
        samples = one_seed[state._fields.index("samples") - 1]
        assert {image.tobytes() for image in np.asarray(samples.image)} <= pictures[0]
        count = np.asarray(constants.generator.count)
        group = np.asarray(samples.group)
        assert (group == count.argmax(axis=1)[np.asarray(samples.label)]).mean() > 0.98  # 0.998
    assert not pictures[0] & pictures[1] and not pictures[0] & pictures[2]
    diverged = [r["value"] for r in records if r["metric"] == "diverged"]
    assert diverged and not any(diverged)
    assert not [r for r in records if r["subject"] == "generator" and r["metric"] == "loss"]


def test_chunks_and_resumption_change_no_bit(experiment):
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    begin = on_devices(advance.initial(experiment, built), experiment.seeds)
    begin = begin._replace(cursor=begin.cursor._replace(generation=1))

    def sampled(count: int, resumed: bool):
        state = on_devices(on_host(begin), experiment.seeds)
        while state.cursor.stage < 2:
            state = advance.step(built, seeds, state, count)
            if resumed:
                state = on_devices(on_host(state), experiment.seeds)
        return state

    same_state(sampled(10**6, False), sampled(1, True))


def test_it_is_refused_without_held_out_images():
    with pytest.raises(InputError, match="config.data.held_out=0.0 .* generator.name is resample"):
        tiny(**{**CONTROL, "data.held_out": 0.0})
    with pytest.raises(InputError, match="config.generator.max_steps=5"):
        tiny(**CONTROL, **{"generator.max_steps": 5})

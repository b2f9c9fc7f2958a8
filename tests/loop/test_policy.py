"""What a generation trains on: as masks, and through the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.loop import policy
from jaxloop.loop.stages import compile_stages
from jaxloop.run import build as setup
from tests.conftest import tiny
from tests.loop.playing import play

REAL, KEPT = 50, 12
STAGES = ("generator", "classifier")


def used(loop, stage, generation, size, seed=0, capacity=60) -> tuple[np.ndarray, np.ndarray]:
    """(of the real images, of the queue's slots) with `size` images in the queue; checks `count` on the way."""
    valid = jnp.arange(capacity) < size
    mask = np.asarray(
        policy.trained_on(loop, jnp.int32(seed), stage, jnp.int32(generation), REAL, valid)
    )
    assert mask.shape == (REAL + capacity,) and mask.sum() == policy.count(
        loop, stage, generation, REAL, size
    )
    assert not mask[REAL:][size:].any()
    return mask[:REAL], mask[REAL:]


@pytest.mark.parametrize("name", ["fifo", "replace", "accumulate"])
@pytest.mark.parametrize("stage", STAGES)
def test_all_real_images_and_the_whole_queue(name, stage):
    for generation, size in ((0, 0), (1, 0), (1, 12), (5, 60)):
        real, queue = used(config.Loop(policy=name), stage, generation, size)
        assert real.all() and queue.sum() == size


def test_fully_synthetic_has_real_images_only_at_its_founding():
    loop = config.Loop(real="none")
    assert used(loop, "classifier", 0, 0)[0].all() and used(loop, "generator", 1, 0)[0].all()
    for stage, generation in (
        ("classifier", 1),
        ("generator", 2),
        ("classifier", 2),
        ("generator", 7),
    ):
        real, queue = used(loop, stage, generation, 12)
        assert not real.any() and queue.sum() == 12


def test_fresh_data_are_new_until_all_were_used():
    loop = config.Loop(real="fresh", fresh=0.2)
    given = [used(loop, "classifier", generation, 0)[0] for generation in range(10)]
    assert [mask.sum() for mask in given] == [10] * 10
    assert (np.sum(given[:5], axis=0) == 1).all() and (np.sum(given[5:], axis=0) == 1).all()
    np.testing.assert_array_equal(
        given[3], used(loop, "generator", 3, 12)[0]
    )  # a generation has one share
    assert not np.array_equal(given[0], used(loop, "classifier", 0, 0, seed=1)[0])
    assert not np.array_equal(np.flatnonzero(given[0]), np.arange(10))  # a random one


def test_fresh_share_that_does_not_divide_goes_round():
    loop = config.Loop(real="fresh", fresh=0.3)
    times = np.sum([used(loop, "classifier", generation, 0)[0] for generation in range(10)], axis=0)
    assert times.tolist() == [3] * REAL  # 10 x 15 images, dealt evenly over 50
    assert used(config.Loop(real="fresh", fresh=1.0), "classifier", 4, 0)[0].all()


def test_subsample_is_of_the_size_of_the_real_set_and_uniform_over_the_pool():
    loop = config.Loop(policy="accumulate_subsample")
    assert used(loop, "generator", 1, 0)[0].all()  # no more than it needs is there
    times = np.zeros(REAL + 60)
    for generation in range(2, 402):
        real, queue = used(loop, "classifier", generation, 60)
        assert real.sum() + queue.sum() == REAL
        times += np.concatenate([real, queue])
    # 400 draws with chance 50/110: a count beyond 5 standard deviations among 110 has a chance below 1e-4
    chance = REAL / (REAL + 60)
    assert np.abs(times - 400 * chance).max() < 5 * np.sqrt(400 * chance * (1 - chance))
    classifier, generator = (np.concatenate(used(loop, stage, 2, 60)) for stage in STAGES)
    assert not np.array_equal(classifier, generator)


def test_room_in_the_queue():
    held = {
        name: policy.generations_held(config.Loop(policy=name, generations=7, capacity=3))
        for name in ("fifo", "replace", "accumulate", "accumulate_subsample")
    }
    assert held == {"fifo": 3, "replace": 1, "accumulate": 7, "accumulate_subsample": 7}


def test_batches_larger_than_any_generation_trains_on_are_refused_before_work():
    with pytest.raises(
        InputError,
        match=r"config.generator.batch_size=500 .* at most the 390 images .*loop.real is none",
    ):
        setup.build(
            tiny(**{"loop.real": "none", "generator.batch_size": 500}), devices=jax.devices()[:1]
        )
    with pytest.raises(
        InputError, match=r"config.generator.batch_size=128 .* at most the 65 images"
    ):
        setup.build(tiny(**{"loop.real": "fresh", "loop.fresh": 0.05}), devices=jax.devices()[:1])
    with pytest.raises(InputError, match=r"config.loop.fresh=0.0005 .* 2 or more of 1293"):
        setup.build(tiny(**{"loop.real": "fresh", "loop.fresh": 0.0005}), devices=jax.devices()[:1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "real", "born"),
    [
        ("replace", "none", [3]),
        ("accumulate", "fixed", [1, 2, 3]),
        ("accumulate_subsample", "fresh", [1, 2, 3]),
    ],
)
def test_through_the_loop_with_one_trace(name, real, born):
    """Nothing is traced after generation 1, the queue holds the policy's generations, and the seeds' numbers differ."""
    changes = {
        "loop.policy": name,
        "loop.real": real,
        "loop.generations": 3,
        "classifiers": ("lenet",),
    }
    parts = setup.build(tiny(**changes, **{"generator.batch_size": 64}), devices=jax.devices()[:1])[
        0
    ]
    compiled, steps_of_first = compile_stages(parts), 2
    state, _ = play(parts, compiled, steps=1)
    while state.cursor.generation < steps_of_first:
        state, _ = play(parts, compiled, state, steps=1)
    traced = compiled.traces()
    state, records = play(parts, compiled, state)
    assert compiled.traces() == traced
    for i in range(len(parts.spec.seeds)):
        held = np.asarray(state.queue.born[i])
        assert np.unique(held[held >= 0]).tolist() == born
        assert int(state.queue.size[i]) == parts.kept * len(born) == parts.capacity
    accuracy = {
        r["seed"]: r["value"] for r in records if r["metric"] == "accuracy" and r["generation"] == 3
    }
    assert accuracy.keys() == {0, 1} and accuracy[0] != accuracy[1]


@pytest.mark.slow
def test_a_fully_synthetic_loop_whose_generators_diverge_has_nothing_and_says_so():
    changes = {
        "loop.real": "none",
        "generator.learning_rate": 1e30,
        "classifiers": ("lenet",),
        "measure.bootstrap": 0,
    }
    spec = tiny(**changes, **{"seeds": (0,), "generator.epochs": 1, "classifier.epochs": 1})
    state, records = play(setup.build(spec, devices=jax.devices()[:1])[0])
    assert state.cursor.generation == 3 and int(state.queue.size[0]) == 0
    value = {
        (r["generation"], r["subject"], r["metric"]): r["value"]
        for r in records
        if not {"class", "group"} & r.keys()
    }
    for generation in (1, 2):
        assert (
            value[generation, "generator", "diverged"]
            == value[generation, "lenet", "diverged"]
            == 1.0
        )
        assert value[generation, "lenet", "accuracy"] is None
        assert "nothing to train on" in value[generation, "lenet", "accuracy_note"]
        assert "nothing to train on" in value[generation, "generator", "label_agreement_note"]
    assert value[0, "lenet", "diverged"] == 0.0

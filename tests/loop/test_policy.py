"""What a generation trains on: as masks, and through the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import data
from jaxloop.errors import InputError
from jaxloop.loop import policy, stages
from jaxloop.loop.state import on_host
from jaxloop.run.build import build
from jaxloop.spec import Loop
from jaxloop.types import Samples
from tests.conftest import tiny
from tests.playing import play

REAL, KEPT = 50, 12
STAGES = ("generator", "classifier")


def used(loop, stage, generation, size, seed=0, capacity=60) -> tuple[np.ndarray, np.ndarray]:
    """(of the real images, of the queue's slots) with `size` images in the queue; checks `count` on
    the way."""
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
        real, queue = used(Loop(policy=name), stage, generation, size)
        assert real.all() and queue.sum() == size


def test_fully_synthetic_has_real_images_only_at_its_founding():
    loop = Loop(real="none")
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
    loop = Loop(real="fresh", fresh=0.2)
    given = [used(loop, "classifier", generation, 0)[0] for generation in range(10)]
    assert [mask.sum() for mask in given] == [10] * 10
    assert (np.sum(given[:5], axis=0) == 1).all() and (np.sum(given[5:], axis=0) == 1).all()
    np.testing.assert_array_equal(
        given[3], used(loop, "generator", 3, 12)[0]
    )  # a generation has one share
    assert not np.array_equal(given[0], used(loop, "classifier", 0, 0, seed=1)[0])
    assert not np.array_equal(np.flatnonzero(given[0]), np.arange(10))  # a random one


def test_fresh_share_that_does_not_divide_goes_round():
    loop = Loop(real="fresh", fresh=0.3)
    times = np.sum([used(loop, "classifier", generation, 0)[0] for generation in range(10)], axis=0)
    assert times.tolist() == [3] * REAL  # 10 x 15 images, dealt evenly over 50
    assert used(Loop(real="fresh", fresh=1.0), "classifier", 4, 0)[0].all()


def test_subsample_is_of_the_size_of_the_real_set_and_uniform_over_the_pool():
    loop = Loop(policy="accumulate_subsample")
    assert used(loop, "generator", 1, 0)[0].all()  # no more than it needs is there
    times = np.zeros(REAL + 60)
    for generation in range(2, 402):
        real, queue = used(loop, "classifier", generation, 60)
        assert real.sum() + queue.sum() == REAL
        times += np.concatenate([real, queue])
    # 400 draws with chance 50/110: a count beyond 5 standard deviations among 110 has a chance
    # below 1e-4
    chance = REAL / (REAL + 60)
    assert np.abs(times - 400 * chance).max() < 5 * np.sqrt(400 * chance * (1 - chance))
    classifier, generator = (np.concatenate(used(loop, stage, 2, 60)) for stage in STAGES)
    assert not np.array_equal(classifier, generator)


def test_room_in_the_queue():
    held = {
        name: policy.generations_held(Loop(policy=name, generations=7, capacity=3))
        for name in ("fifo", "replace", "accumulate", "accumulate_subsample")
    }
    assert held == {"fifo": 3, "replace": 1, "accumulate": 7, "accumulate_subsample": 7}


def test_batches_larger_than_any_generation_trains_on_are_refused_before_work():
    with pytest.raises(
        InputError,
        match=r"config.generator.batch_size=500 .* at most the 390 images .*loop.real is none",
    ):
        build(tiny(**{"loop.real": "none", "generator.batch_size": 500}), devices=jax.devices()[:1])
    with pytest.raises(
        InputError, match=r"config.generator.batch_size=128 .* at most the 65 images"
    ):
        build(tiny(**{"loop.real": "fresh", "loop.fresh": 0.05}), devices=jax.devices()[:1])
    with pytest.raises(InputError, match=r"config.loop.fresh=0.0005 .* 2 or more of 1293"):
        build(tiny(**{"loop.real": "fresh", "loop.fresh": 0.0005}), devices=jax.devices()[:1])


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
    """Nothing is traced after generation 1, the queue holds the policy's generations, and the
    seeds' numbers differ."""
    changes = {
        "loop.policy": name,
        "loop.real": real,
        "loop.generations": 3,
        "classifiers": ("lenet",),
        "measure.evaluators": ("classification",),
    }
    spec = tiny(**changes, **{"generator.batch_size": 64})
    experiment = build(spec, devices=jax.devices()[:1])[0]
    built = stages.build(experiment)
    state, _ = play(experiment, built, calls=1, evaluate=[])
    while state.cursor.generation < 2:
        state, _ = play(experiment, built, state, calls=1, evaluate=[])
    traced = stages.num_traces(built)
    state, log = play(experiment, built, state)
    assert stages.num_traces(built) == traced
    queue = on_host(state).queue
    for held, size in zip(queue.born, queue.size, strict=True):
        assert np.unique(held[held >= 0]).tolist() == born
        assert size == experiment.num_kept * len(born) == experiment.capacity
    accuracy = {
        r["seed"]: r["value"]
        for r in log
        if r["metric"] == "accuracy" and r["generation"] == 3 and "rank" not in r
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
    state, log = play(build(spec, devices=jax.devices()[:1])[0])
    assert state.cursor.generation == 3 and int(on_host(state).queue.size[0]) == 0
    plain = [r for r in log if not {"class", "group", "epoch", "rank"} & r.keys()]
    row = {(r["generation"], r["subject"], r["metric"]): r for r in plain}
    for generation in (1, 2):
        for subject in ("generator", "lenet"):
            assert row[generation, subject, "diverged"]["value"] == 1.0
        assert row[generation, "lenet", "accuracy"]["reason"] == "classifier_diverged"
        assert row[generation, "generator", "label_agreement"]["reason"] == "generator_diverged"
    assert row[0, "lenet", "diverged"]["value"] == 0.0


def unequal(monkeypatch, keep):
    """Take most images of class 3 away from the digits: those for which keep(label, group) holds
    stay."""
    load = data.SOURCES["digits"]

    def fewer(spec):
        dataset = load(spec)
        stays = keep(dataset.train.label, dataset.train.group)
        return dataset._replace(train=Samples(*(field[stays] for field in dataset.train)))

    monkeypatch.setitem(data.SOURCES, "digits", fewer)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "ratio"), [("even", 1.0), ("as_real", 1 / 3)])
def test_class_shares_of_what_is_kept(monkeypatch, classes, ratio):
    every_third = lambda label, _: (label != 3) | (np.arange(len(label)) % 3 == 0)  # noqa: E731
    unequal(monkeypatch, every_third)
    changes = {"classifiers": ("lenet",), "measure.evaluators": ("classification",)}
    changes |= {"loop.classes": classes, "loop.generations": 1, "generator.epochs": 1}
    spec = tiny(**changes)
    experiment = build(spec, devices=jax.devices()[:1])[0]
    state = on_host(play(experiment, evaluate=[])[0])
    real = np.bincount(np.asarray(experiment.constants.train.label))
    for label, born in zip(state.queue.samples.label, state.queue.born, strict=True):
        kept = np.bincount(label[born == 1], minlength=10)
        assert kept.tolist() == list(experiment.kept_by_class)
        assert kept.sum() == experiment.num_kept == pytest.approx(0.3 * real.sum(), abs=10)
        # Whole images: of about 13.
        assert kept[3] / np.delete(kept, 3).mean() == pytest.approx(ratio, rel=0.15)


def test_a_subgroup_without_training_images_is_refused_or_said(monkeypatch):
    unequal(monkeypatch, lambda label, group: (label != 3) | (group != 1))
    says = r"config.data.empty_cells='refuse' .*: green of class 3"
    with pytest.raises(InputError, match=says):
        build(tiny(), devices=jax.devices()[:1])
    described = build(tiny(**{"data.empty_cells": "allow"}), devices=jax.devices()[:1])[1]
    said = "Subgroups with test images and no training image (1): green of class 3."
    assert described["data"]["notes"][-1] == said

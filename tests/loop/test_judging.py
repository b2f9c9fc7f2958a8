"""The judges: of subgroups, on real digits whose colours the loop is not told; and of labels."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest

from jaxloop import config, data, keys, records
from jaxloop.data import colorize, digits
from jaxloop.errors import InputError
from jaxloop.evaluators import filtering, subgroups
from jaxloop.loop import advance, judging, stages
from jaxloop.loop.state import Selection, on_host
from jaxloop.metrics import mixture
from jaxloop.run import build, player
from jaxloop.types import UNKNOWN_GROUP, Samples
from tests.conftest import tiny
from tests.playing import play, same, same_state

ONE_DEVICE = jax.devices()[:1]
CHANGES = {"data.name": "hidden", "classifier.epochs": 6, "loop.generations": 1, "seeds": (0,)}
CHANGES |= {"classifiers": ("lenet",)}


def hidden(c):
    """Digits of biased colours, whose subgroup is not read off the pixels."""
    color = colorize.colors_of("biased", num_classes=10)
    return digits.load(dataclasses.replace(c, color=color))._replace(image_group=None)


def judged(**changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(data.SOURCES, "hidden", hidden)
        spec = tiny(**CHANGES | {"measure.judge": "lenet"} | changes)
        return build.build(spec, devices=ONE_DEVICE)[0]


@pytest.fixture(scope="module")
def experiment():
    return judged()


@pytest.fixture(scope="module")
def played(experiment):
    return play(experiment)


def test_a_judge_measures_and_changes_nothing(experiment, played):
    without = experiment._replace(judge=None)
    state, log = play(without)
    same(state.predictions, played[0].predictions)
    same(state.samples, played[0].samples)

    def others(log):
        of_subgroups = ("subgroup_share", "unknown_share", "drop_rate", "subgroup_accuracy")
        return [r for r in log if r["metric"] not in of_subgroups]

    assert others(log) == others(played[1])


def test_it_is_trained_once_and_in_any_chunks(experiment, played):
    chunked, log = play(experiment, count=5)
    same_state(chunked, played[0])
    assert log == played[1]
    first = play(experiment, calls=4)[0]  # lenet, two judges, measure
    assert first.cursor.generation == 1
    same(first.judge, played[0].judge)


def test_its_accuracy_and_its_estimates_are_in_the_records(played):
    log = played[1]
    own = [r for r in log if r["subject"] == "judge"]
    overall = [r for r in own if "class" not in r]
    assert {r["generation"] for r in own} == {0} and overall[0]["value"] > 0.9
    assert len(own) == 1 + 30
    estimates = [r for r in log if r["subject"] == "generator" and r["metric"] == "subgroup_share"]
    assert len(estimates) == 3 + 30 + 3
    for r in estimates:
        low, high = r["interval"]
        assert r["caveat"] == "estimated" and 0 <= low <= high <= 1
    by_rarity = [r["value"] for r in estimates if "rarity" in r]
    assert sum(by_rarity) == pytest.approx(1, abs=1e-5)
    rates = [r for r in log if r["metric"] == "drop_rate" and {"group", "rarity"} & r.keys()]
    assert rates and all(r["caveat"] == "estimated" for r in rates if r["value"] is not None)
    assert not any(r["metric"] == "unknown_share" for r in log if r["generation"])


def test_shares_that_are_known_come_back(experiment, played):
    """Real test images stand for generated ones: their subgroups are known. 0.03 is three standard
    errors of a share over 900 images, judged with an accuracy above 0.9."""
    test, draw = experiment.constants.test, np.random.default_rng(0)
    label = np.arange(experiment.num_generated, dtype=np.int32) % 10
    group = draw.choice(3, len(label), p=[0.7, 0.2, 0.1]).astype(np.int32)
    pick = [
        draw.choice(np.flatnonzero((test.label == c) & (test.group == g)))
        for c, g in zip(label, group, strict=True)
    ]
    unknown = np.full(len(label), UNKNOWN_GROUP, np.int32)
    samples = Samples(np.asarray(test.image)[pick], label, unknown)
    kept = draw.random(len(label)) < np.where(group == 2, 0.4, 0.9)
    selection = Selection((), {}, np.bool_(False), kept, ())
    state = played[0]._replace(samples=[samples], selection=[selection])
    (counts,) = subgroups.Judging(experiment).count(state)
    for got, mask, key in ((counts.total, np.ones_like(kept), 0), (counts.dropped, ~kept, 1)):
        wanted = np.bincount(group[mask], minlength=3)
        np.testing.assert_allclose(got.sum(axis=0)[:3], wanted, atol=0.03 * len(label))
        low, high = np.quantile(counts.resampled[:, key].sum(axis=1)[:, :3], [0.005, 0.995], axis=0)
        assert (low <= wanted).all() and (wanted <= high).all(), (low, wanted, high)
    assert counts.total.sum() == pytest.approx(len(label), rel=1e-5)


def test_a_judge_that_cannot_tell_is_recorded_as_such(monkeypatch, experiment, played):
    monkeypatch.setattr(mixture, "SMALLEST", 2.0)  # no matrix of rates has such singular values
    state = played[0]._replace(cursor=played[0].cursor._replace(generation=1))
    log = filtering.create(experiment)(state)
    shares = [r for r in log if r["metric"] == "subgroup_share"]
    assert shares and all((r["value"], r["reason"]) == (None, "judge_unable") for r in shares)
    before = {records.key(r): r for r in played[1]}
    for r in log:  # what no judge is needed for is as before
        if r["metric"] != "subgroup_share" and not {"group", "rarity"} & r.keys():
            assert r == before[records.key(r)]


def test_the_arm_of_random_choices_has_the_same_judge(tmp_path, experiment):
    state = play(experiment, calls=3, evaluate=[])[0]  # generation 0
    ended = state._replace(cursor=state.cursor._replace(generation=0))
    chance = build.arm("random", experiment, {})[0]
    arm = player.Run(tmp_path, chance, stages.build(chance), [])
    (tmp_path / "predictions").mkdir()
    player._fork(state, ended, [], arm)
    with contextlib.closing(player._checkpoints(arm)) as checkpoints:
        forked = checkpoints.latest(advance.initial(chance, arm.stages)).state
    same(forked.judge, on_host(state).judge)


@pytest.mark.slow
def test_seeds_together_have_judges_too():
    changes = {"seeds": (0, 1), "loop.generations": 0, "devices.seeds": "together"}
    log = play(judged(**changes))[1]
    own = [r for r in log if r["subject"] == "judge" and "class" not in r]
    assert [r["seed"] for r in own] == [0, 1] and min(r["value"] for r in own) > 0.9


def test_refusals():
    with pytest.raises(InputError, match=r"config.measure.judge='resnet' .* lenet"):
        tiny(**{"measure.judge": "resnet"})
    with pytest.raises(InputError, match=r"config.measure.judge='lenet' .* pixels tell the subgro"):
        build.build(tiny(**{"measure.judge": "lenet"}), devices=ONE_DEVICE)


@pytest.mark.parametrize(
    ("split", "group", "why"),
    [
        ("test", 0, "class 7 has a subgroup without test images"),
        ("train", 0, "class 7 has a subgroup without training images"),
        ("train", -1, "has no subgroup"),
        ("test", -1, "has no subgroup"),
    ],
)
def test_a_judge_whose_errors_cannot_be_measured_is_refused(monkeypatch, split, group, why):
    def lacking(c):
        dataset = hidden(c)
        samples = getattr(dataset, split)
        changed = np.where(samples.label == 7, np.int32(group), samples.group)
        return dataset._replace(**{split: samples._replace(group=changed)})

    monkeypatch.setitem(data.SOURCES, "lacking", lacking)
    with pytest.raises(InputError, match=f"config.measure.judge='lenet' .* {why}"):
        changes = {"data.name": "lacking", "measure.judge": "lenet", "data.empty_cells": "allow"}
        build.build(tiny(**changes), devices=ONE_DEVICE)


def test_it_is_off_by_default():
    assert config.resolve(config.default()).measure.judge == ""


def test_the_judge_of_labels_sees_every_class_in_all_colours_alike():
    spec = tiny(**{"data.color": colorize.colors_of("biased", 10), "seeds": (0,)})
    experiment = build.build(spec, devices=ONE_DEVICE)[0]
    real, key = experiment.constants.train, keys.stage_key(keys.root_key(0), "x", 0)
    seen = judging._evenly_colored(experiment, real, key)
    np.testing.assert_array_equal(experiment.image_group(seen.image), seen.group)
    np.testing.assert_array_equal(seen.image.max(axis=-1), real.image.max(axis=-1))
    shares = np.bincount(np.asarray(seen.group)) / len(seen.label)
    biased = np.asarray(real.group) == np.asarray(real.label) % 3
    assert biased.mean() > 0.7
    even = (np.asarray(seen.group) == np.asarray(seen.label) % 3).mean()
    # A third, within four binomial errors of 1,290 images.
    assert np.abs(np.append(shares, even) - 1 / 3).max() < 4 * np.sqrt(2 / 9 / len(seen.label))

"""Seeds that come later: those that are there stay, and new ones give what they give alone."""

import json

import numpy as np
import pytest

from jaxloop import records
from jaxloop.analysis.run_folder import load
from jaxloop.errors import InputError, Interrupted
from jaxloop.evaluators import classification
from jaxloop.predictions import PENDING
from jaxloop.run import driver, player
from tests.conftest import tiny
from tests.run import test_arms

SMALL = {**test_arms.SMALL, "arms": ("no_loop",)}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sharding info not provided"),
    pytest.mark.usefixtures("one_device"),
]


def left_by(path) -> dict:
    """Return what a run and its arms leave: records by what they are of, files by their bytes."""
    left: dict = test_arms.left_by(path)
    for log in [name for name in left if name.endswith("records.jsonl")]:
        del left[log]
        left |= {(log, records.key(r)): r for r in records.read(path / log)}
    return left


def test_a_run_with_more_seeds_trains_only_the_new_ones(tmp_path, monkeypatch):
    at_once, grown = tmp_path / "at_once", tmp_path / "grown"
    driver.run(tiny(**SMALL, seeds=(3, 0, 1)), at_once)
    driver.run(tiny(**SMALL, seeds=(3,)), grown)
    first = left_by(grown)
    trained, chunk = [], player.Player._chunk

    def interrupted(playing, stage, state, votes):
        trained.append((playing.arm.label, stage.name))
        if trained.count(("no_loop, seeds 0, 1", "classifier/lenet")) == 1:
            playing.flag.number = 2
        return chunk(playing, stage, state, votes)

    monkeypatch.setattr(player.Player, "_chunk", interrupted)
    with pytest.raises(Interrupted):
        driver.run(tiny(**SMALL, seeds=(0, 1, 3)), grown)
    partly = load(grown)
    assert partly.seeds == partly.arms["no_loop"].seeds == [3, 0, 1]
    assert (partly.arms["no_loop"].predictions[1]["lenet"][1:] == PENDING).all()
    again = classification.again(grown / "arms" / "no_loop")
    assert {r["seed"] for r in again if r["generation"] == 1} == {3}
    driver.run(tiny(**SMALL, seeds=(0, 1, 3)), grown)
    assert {label for label, _ in trained} == {"seeds 0, 1", "no_loop, seeds 0, 1"}
    ours, theirs = left_by(grown), left_by(at_once)
    assert ours.keys() == theirs.keys() and [k for k in ours if ours[k] != theirs[k]] == []
    same = {k for k in first if "predictions" not in k}
    assert len(same) > 100 and all(ours[k] == first[k] for k in same)
    with pytest.raises(InputError, match="config.seeds"):
        driver.run(tiny(**SMALL, seeds=(0, 1)), grown)


def test_seeds_are_added_until_the_interval_is_narrow(tmp_path, monkeypatch):
    """From one seed, which has no interval, to the three that are allowed."""
    spec = tiny(**SMALL, **{"seeds": (1,), "answer.width": 1e-6, "answer.max_seeds": 3})
    driver.run(spec, tmp_path)
    run = load(tmp_path)
    assert run.seeds == run.arms["no_loop"].seeds == [1, 0, 2]
    assert run.predictions[1]["lenet"].min() >= 0
    answers = json.loads((tmp_path / "report.json").read_text())["answers"]
    assert answers[0]["num_seeds"] == 3 and answers[0]["interval"][0] is not None
    monkeypatch.setattr(player.Player, "_chunk", None)  # nothing is left to train
    driver.run(spec, tmp_path)
    np.testing.assert_array_equal(
        load(tmp_path).predictions[1]["lenet"], run.predictions[1]["lenet"]
    )


def test_a_wide_interval_that_is_asked_for_adds_nothing(tmp_path):
    driver.run(tiny(**SMALL, **{"seeds": (0, 1), "answer.width": 1.0}), tmp_path)
    assert load(tmp_path).seeds == [0, 1]

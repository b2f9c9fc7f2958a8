"""The answers of whole workdirs whose predictions are simulated with a known change of bias."""

import json

import numpy as np
import pytest

from benchmarks import verdicts
from jaxloop.analysis import answers, power, run_folder
from jaxloop.report import headline, page

SEEDS = list(range(5))


def write_predictions(folder, right, label, group):
    """Write right or wrong [S T n] as the predictions of one classifier."""
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    for path in (folder / "predictions").iterdir():
        path.unlink()
    for g in range(right.shape[1]):
        predicted = np.where(right[:, g] > 0, label, (label + 1) % 10)
        np.savez(folder / f"predictions/g{g:02d}.npz", label=label, group=group, lenet=predicted)


@pytest.fixture
def make(make_workdir, tmp_path):
    def run(arm=True, balanced=False, seeds=SEEDS, **setting):
        """Return a workdir of six generations, one classifier, ten classes and three subgroups."""
        chosen = verdicts.Setting("", **setting)
        label, group, side = verdicts.test_set(chosen)
        rng = np.random.default_rng(1)
        right = verdicts.simulated(rng, chosen, len(seeds), label, group, side)
        cells = np.full((10, 3), 10)
        if not balanced:
            cells[np.arange(10), np.arange(10) % 3] = 80
        rows = [
            {"seed": s, "generation": g, "subject": "lenet", "metric": "accuracy", "value": 0.9}
            for s in seeds
            for g in range(6)
        ]
        changes = {
            "classifiers": ["lenet"], "seeds": list(seeds), "arms": ["no_loop"] if arm else [],
            "loop": {"generations": 5, "capacity": 3, "mix": 0.2, "policy": "fifo"},
        }  # fmt: skip
        folder = make_workdir(rows, **changes)
        places = [(folder, 0)]
        if arm:
            (folder / "arms/no_loop").mkdir(parents=True)
            for name in ("config.json", "records.jsonl"):
                (folder / "arms/no_loop" / name).write_bytes((folder / name).read_bytes())
            places.append((folder / "arms/no_loop", 1))
        for place, index in places:
            config = json.loads((place / "config.json").read_text())
            names = {"class_names": [str(c) for c in range(10)], "group_names": ["r", "g", "b"]}
            config["data"] |= names | {"train_cells": cells.tolist()}
            (place / "config.json").write_text(json.dumps(config))
            write_predictions(place, right[index], label, group)
        return folder

    return run


def test_a_planted_change_grew_with_its_number(make):
    folder = make(change=0.1)
    run = run_folder.load(folder)
    effect, trend, *_ = answers.answers(run)
    assert effect.asked.primary and effect.asked.measure == answers.ALIGNMENT
    assert effect.verdict.word == "grew" and effect.asked.generations == (3, 5)
    low, high = effect.asked.change.interval()
    assert low < 0.1 < high and trend.verdict.word == "cannot_tell"
    said = headline.answer(run).headline
    number = f"{effect.asked.change.estimate:.3f}"
    assert said[-1] == (
        f"Generated data raised bias of lenet by {number} [{low:.3f}, {high:.3f}] (alignment gap)."
    )


def test_falling_accuracy_is_said_and_is_no_bias(make):
    run = run_folder.load(make(**verdicts.FALLS))
    said = headline.answer(run).headline
    (accuracy,) = answers.accuracies(run)
    assert accuracy.first == pytest.approx(0.955, abs=0.02) and accuracy.since.p() < 0.001
    assert said[0].startswith("Accuracy of lenet fell from 0.9")
    assert not [a for a in answers.answers(run) if a.verdict.word in ("grew", "shrank")]
    assert said[-1].startswith("Cannot tell whether generated data change bias of lenet: ")
    assert "This run could tell a change of 0.0" in said[-1] and "seeds" in said[-1]


def test_no_change_is_said_where_it_can_be(make):
    run = run_folder.load(make(cell=100))
    effect = answers.answers(run)[0]
    assert effect.verdict.word == "no_change"
    said = headline.answer(run).headline[-1]
    assert said.startswith("Generated data changed bias of lenet by no more than 0.02 (two one")


def test_balanced_data_are_asked_for_the_rank_gap(make):
    run = run_folder.load(make(balanced=True))
    found = answers.answers(run)
    assert {a.asked.measure for a in found} == {answers.RANK}
    assert [a.asked.primary for a in found] == [True, True, False]


def test_without_the_arm_there_is_the_slope_alone(make):
    run = run_folder.load(make(arm=False))
    assert {a.asked.question for a in answers.answers(run)} == {"slope"}
    assert not any(a.asked.primary for a in answers.answers(run))
    said = headline.answer(run)
    assert "no arm without the loop (config.arms=no_loop)" in said.headline[-1]


def test_an_arm_that_is_behind_cuts_both(make):
    folder = make(change=0.1)
    (folder / "arms/no_loop/predictions/g05.npz").unlink()
    effect, trend, slope, *_ = answers.answers(run_folder.load(folder))
    assert effect.asked.generations == trend.asked.generations == (3, 4)
    assert slope.asked.generations == (0, 5)


def test_one_seed_has_an_estimate_and_no_verdict(make):
    run = run_folder.load(make(seeds=[3], change=0.1))
    effect = answers.answers(run)[0]
    assert effect.verdict.word == "cannot_tell" and effect.asked.change.interval() == (None, None)
    assert "one seed gives no interval" in headline.answer(run).headline[-1]


def test_report_json_has_the_answers(make):
    folder = make(change=0.1)
    page.write(folder)
    report = json.loads((folder / "report.json").read_text())
    effect = report["answers"][0]
    assert effect["classifier"] == "lenet" and effect["question"] == "effect"
    assert effect["verdict"] == "grew" and effect["primary"] is True
    low, high = effect["interval"]
    assert low < effect["estimate"] < high and 0 <= effect["p"] < 0.05
    assert 0.01 < effect["smallest_detectable"] < 0.15
    assert {a["question"] for a in report["answers"]} == {"effect", "trend", "slope"}
    assert {a["verdict"] for a in report["answers"]} <= {
        "grew",
        "shrank",
        "no_change",
        "cannot_tell",
    }
    slopes = [a for a in report["answers"] if a["question"] == "slope"]
    assert slopes and not any(a["primary"] for a in slopes)


def test_answers_need_the_predictions_alone(make):
    folder = make(change=0.1)
    before = headline.answer(run_folder.load(folder)).answers
    log = folder / "records.jsonl"
    log.write_text(log.read_text().replace('"value": 0.9', '"value": 0.1'))
    assert headline.answer(run_folder.load(folder)).answers == before


def test_power_plans_the_next_run(make, capsys):
    folder = make(change=0.05)
    assert power.main([str(folder), "--change", "0.03"]) == 0
    text = capsys.readouterr().out
    assert "lenet, alignment_gap" in text and "To tell 0.03: " in text
    assert power.main([str(make(arm=False))]) == 2
    assert "allowed: a run with the arm no_loop" in capsys.readouterr().err
    assert power.main([str(folder), "--change", "0"]) == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda x: x | {"lenet": np.full_like(x["lenet"], -1)}, "no seed has a value"),
        (lambda x: x | {"group": np.full_like(x["group"], -1)}, "nor as many of every subgroup"),
    ],
)
def test_what_has_no_value_is_said_and_is_no_error(make, spoil, says):
    folder = make()
    for path in folder.rglob("predictions/*.npz"):
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **spoil(arrays))
    assert says in headline.answer(run_folder.load(folder)).headline[-1]
    page.write(folder)


def test_a_seed_that_is_added_and_not_measured_yet_spoils_nothing(make):
    """Its arm may be a seed ahead: config.json of the arms is written first."""
    folder = make(change=0.1)
    before = answers.answers(run_folder.load(folder))
    for place in (folder / "arms/no_loop", folder):
        config = json.loads((place / "config.json").read_text())
        config["config"]["seeds"].append(9)
        (place / "config.json").write_text(json.dumps(config))
        run = run_folder.load(folder)
        assert run.seeds == run.arms["no_loop"].seeds
        after = answers.answers(run)
        for a, b in zip(before, after, strict=True):
            assert a.verdict == b.verdict
            assert a.asked.change._replace(num_missing=0) == b.asked.change._replace(num_missing=0)
        assert not any("nan" in sentence for sentence in headline.answer(run).headline)


def test_accuracy_is_said_of_the_seeds_that_it_is_tested_in(make):
    folder = make(**verdicts.FALLS)
    path = folder / "predictions/g05.npz"
    arrays = dict(np.load(path))
    arrays["lenet"][3] = -1  # diverged in the last generation
    np.savez(path, **arrays)
    (lost,) = answers.accuracies(run_folder.load(folder))
    assert lost.last - lost.first == pytest.approx(lost.since.estimate)

import json
import math

import numpy as np
import pytest

from jaxloop import statistics
from jaxloop.analysis.measures import BIASES, Name
from jaxloop.analysis.results import Point
from jaxloop.report import json_export, page
from jaxloop.statistics import Decision, Difference, Estimate

PARAMETERS = ("class", "group", "rank", "rarity", "network", "ablation")


def report_of(folder):
    page.write(folder)
    return json.loads((folder / "report.json").read_text())


def test_report_json_is_the_statistics(make_workdir, full_log):
    place = {"subject": "lenet", "metric": "di", "generation": 2, "seed": 1}
    log = [r | {"value": None} if place.items() <= r.items() else r for r in full_log]
    report = report_of(make_workdir(log))

    def key(entry):
        return entry["subject"], entry["metric"], *map(entry.get, PARAMETERS)

    series = {}
    for r in (r for r in log if "epoch" not in r):
        series.setdefault(key(r), {}).setdefault(r["generation"], {})[r["seed"]] = r["value"]
    assert len(report["means"]) == sum(map(len, series.values()))
    for entry in report["means"]:
        values = series[key(entry)][entry["generation"]].values()
        expected = statistics.estimate(list(values))
        found = entry["mean"], entry["half_width"], entry["num_seeds"]
        assert found == (expected.mean, expected.half_width or None, expected.num)
    assert len(report["trends"]) == len(series)
    for entry in report["trends"]:
        slopes = []
        for seed in (0, 1, 2):
            points = [(g, by_seed[seed]) for g, by_seed in series[key(entry)].items()
                      if by_seed[seed] is not None]  # fmt: skip
            slopes.append(np.polyfit(*zip(*points, strict=True), 1)[0])
        assert entry["slope"]["mean"] == pytest.approx(np.mean(slopes), abs=1e-12)
        assert (entry["verdict"] is None) == ("class" in entry or entry["metric"] == "diverged")
    answers = report["answers"]
    assert {a["question"] for a in answers} == {"slope"}  # this run has no arm without the loop
    assert not any(a["primary"] for a in answers)
    assert {(g["arm"], g["generation"]) for g in report["gaps"]} == {("loop", g) for g in range(5)}
    diversity = next(t for t in report["trends"] if t["metric"] == "within_class_diversity")
    assert diversity["verdict"] == "cannot tell (no spread)"
    assert diversity["p"] is diversity["p_adjusted"] is None
    assert {diversity["slope"][part] for part in ("half_width", "low", "high")} == {None}


def test_what_records_carry_is_in_the_json(make_workdir, full_log):
    where = {"generation": 2, "seed": 1}
    carried = {"md": {"interval": [0.1, 0.2]}, "frechet_distance": {"features": {"n": 9}}}
    log = [r | carried.get(r["metric"], {}) if where.items() <= r.items() else r for r in full_log]
    report = report_of(make_workdir(log))
    assert report["within_seed"] == [
        {"subject": subject, "metric": "md", "low": 0.1, "high": 0.2} | where
        for subject in ("lenet", "alexnet")
    ]
    name = {"subject": "generator", "metric": "frechet_distance", "network": "lenet"}
    assert report["features"] == [name | {"n": 9} | where]


def test_training_signals_are_in_the_json_by_epoch(make_workdir, full_log):
    place = {"subject": "lenet", "metric": "loss", "split": "validation", "generation": 1}
    log = [r | {"value": None} if place.items() <= r.items() and r["epoch"] == 2 else r
           for r in full_log if r.get("epoch") != 3 or r["seed"] == 0]  # fmt: skip
    signals = report_of(make_workdir(log))["training"]
    # Two classifiers with three signals in five generations, two networks with two in four.
    assert len(signals) == 2 * 3 * 5 + 2 * 2 * 4
    lacking = next(signal for signal in signals if place.items() <= signal.items())
    first, last = (1.5 * np.mean([1 / e + 0.1 + 0.01 * seed for seed in seeds])
                   for e, seeds in ((1, (0, 1, 2)), (3, (0,))))  # fmt: skip
    means = [pytest.approx(first), None, pytest.approx(last)]
    assert lacking == place | {"epoch": [1, 2, 3], "mean": means, "num_seeds": [3, 0, 1]}
    norm = {"subject": "discriminator", "metric": "gradient_norm", "split": "training"}
    entries = [signal for signal in signals if norm.items() <= signal.items()]
    assert [entry["generation"] for entry in entries] == [1, 2, 3, 4]


def test_one_encoder_for_all_values():
    e = Estimate(0.5, 0.0, 3, 1)
    as_json = {"mean": 0.5, "half_width": None, "num_seeds": 3, "num_seeds_missing": 1}
    as_json |= {"low": None, "high": None}
    assert json_export.plain(e) == as_json
    assert json_export.plain(Point(4, e)) == {"generation": 4} | as_json
    assert json_export.plain(Difference(e, 0.1)) == {"difference": as_json, "p": 0.1}
    assert json_export.plain(Decision("", None)) == {"verdict": None, "p_adjusted": None}
    name = json_export.plain(Name("lenet", "accuracy", 0, rank=1))
    assert name == {"subject": "lenet", "metric": "accuracy", "class": 0, "rank": 1}
    assert json_export.plain(BIASES[2]) == {
        "title": "worst-subgroup error", "metric": "accuracy", "rank": 1, "complement": True,
    }  # fmt: skip
    values = [np.float64(0.5), np.int64(2), math.nan, math.inf, (1, "a"), {"x": None}]
    assert json_export.plain(values) == [0.5, 2, None, None, [1, "a"], {"x": None}]

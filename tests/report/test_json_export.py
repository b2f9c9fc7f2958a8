import json

import numpy as np
import pytest

from jaxloop import statistics
from jaxloop.report import page


def changed(log, value, **where):
    """The log with `value` in every record that `where` fits."""
    return [
        r | {"value": value} if all(r.get(k) == v for k, v in where.items()) else r for r in log
    ]


def test_report_json_is_the_statistics(make_workdir, full_log):
    folder = make_workdir(
        changed(full_log, None, subject="lenet", metric="di", generation=2, seed=1)
    )
    page.write(folder)
    report = json.loads((folder / "report.json").read_text())
    by_name = {}
    for r in records_of(folder):
        of = (r["subject"], r["metric"], r.get("class"), r.get("group"))
        by_name.setdefault(of, {}).setdefault(r["generation"], {})[r["seed"]] = r["value"]
    assert len(report["means"]) == sum(len(series) for series in by_name.values())
    for entry in report["means"]:
        of = (entry["subject"], entry["metric"], entry.get("class"), entry.get("group"))
        expected = statistics.estimate(list(by_name[of][entry["generation"]].values()))
        assert (entry["mean"], entry["half_width"], entry["num_seeds"]) == (
            expected.mean,
            expected.half_width or None,
            expected.num,
        )
    assert len(report["trends"]) == len(by_name)
    for entry in report["trends"]:
        series = by_name[entry["subject"], entry["metric"], entry.get("class"), entry.get("group")]
        slopes = []
        for seed in (0, 1, 2):
            points = [
                (g, by_seed[seed]) for g, by_seed in series.items() if by_seed[seed] is not None
            ]
            slopes.append(np.polyfit(*zip(*points, strict=True), 1)[0])
        assert entry["slope"]["mean"] == pytest.approx(np.mean(slopes), abs=1e-12)
        assert (entry["verdict"] is None) == ("class" in entry or entry["metric"] == "diverged")
    assert [v["verdict"] for v in report["verdicts"]] == ["grew"] * 4 + ["cannot tell"] * 4
    assert [v["p_adjusted"] for v in report["verdicts"]] == statistics.holm(
        [v["p"] for v in report["verdicts"]]
    )
    assert report["run"]["git_commit"] == "c0ffee" and len(report["timing"]) == 3
    diversity = next(
        entry for entry in report["trends"] if entry["metric"] == "within_class_diversity"
    )
    assert (diversity["verdict"], diversity["p"], diversity["p_adjusted"]) == (
        "cannot tell (no spread)",
        None,
        None,
    )
    assert (
        diversity["slope"]["half_width"],
        diversity["slope"]["low"],
        diversity["slope"]["high"],
    ) == (None, None, None)


def records_of(folder):
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def test_what_records_carry_is_in_the_json(make_workdir, full_log):
    log = [
        r | {"interval": [0.1, 0.2]}
        if (r["metric"], r["seed"], r["generation"]) == ("md", 1, 2)
        else r
        for r in full_log
    ]
    log = [
        r | {"features": {"n": 9}}
        if (r["metric"], r["seed"], r["generation"]) == ("fd_lenet", 1, 2)
        else r
        for r in log
    ]
    folder = make_workdir(log)
    page.write(folder)
    report = json.loads((folder / "report.json").read_text())
    where = {"generation": 2, "seed": 1}
    assert report["within_seed"] == [
        {"subject": subject, "metric": "md", "low": 0.1, "high": 0.2} | where
        for subject in ("lenet", "alexnet")
    ]
    assert report["features"] == [{"subject": "generator", "metric": "fd_lenet", "n": 9} | where]

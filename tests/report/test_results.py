import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from jaxloop.errors import InputError
from jaxloop.report import page, results, statistics, workdir
from jaxloop.report.workdir import Name


def changed(log, value, **where):
    """The log with `value` in every record that `where` fits."""
    return [r | {"value": value} if all(r.get(k) == v for k, v in where.items()) else r for r in log]


def test_verdicts_against_scipy(make_workdir, bias_of):
    found = {(v.subject, v.bias.metric): v for v in results.verdicts(workdir.load(make_workdir()))}
    scale = {"meo": 1, "md": 1, "acc_rank_1": 2}
    assert set(found) == {(s, m) for s in ("lenet", "alexnet") for m in scale}
    for (subject, metric), v in found.items():
        slopes = [
            stats.linregress(range(5), [scale[metric] * bias_of(subject, seed, g) for g in range(5)]).slope
            for seed in (0, 1, 2)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
        np.testing.assert_allclose([v.trend.slope.mean, v.trend.slope.low, v.trend.slope.high],
                                   [np.mean(slopes), low, high], atol=1e-12)  # fmt: skip
        assert v.trend.verdict == ("grew" if subject == "lenet" else "cannot tell")
        assert (v.first.generation, v.last.generation) == (0, 4)


@pytest.mark.parametrize(
    ("lenet", "alexnet", "headline"),
    [
        (1, 1, "Yes: bias grew in 6 of 6 comparisons."),
        (1, 0, "In part: bias grew in 3 of 6 comparisons; in 3 the trend cannot be told from no change."),
        (1, -1, "Mixed: of 6 comparisons, bias grew in 3 and shrank in 3."),
        (-1, 0, "No growth seen: bias shrank in 3 of 6 comparisons; in 3 the trend cannot be told from no change."),
        (0, 0, "Cannot tell: in none of 6 comparisons can the trend be told from no change."),
    ],
)
def test_headline(make_workdir, full_log, lenet, alexnet, headline):
    log = []
    for r in full_log:
        if r["metric"] in ("meo", "md", "acc_rank_1"):
            towards = {"lenet": lenet, "alexnet": alexnet}[r["subject"]] * (1 if r["metric"] == "md" else -1)
            r = r | {"value": 0.5 + towards * 0.01 * r["generation"] * (1 + 0.1 * r["seed"])}
        log.append(r)
    assert results.answer(workdir.load(make_workdir(log))).headline == headline


def test_sentence_for_each_classifier(make_workdir):
    assert results.answer(workdir.load(make_workdir())).sentences == [
        "lenet: mean gap (1 − MEO), largest gap (MD) and worst-subgroup error grew.",
        "alexnet: cannot tell, for any of 3 measures of bias.",
    ]


def test_sentence_of_mixed_verdicts(make_workdir, full_log):
    log = [r | {"value": 0.5 + 0.01 * r["generation"]} if (r["subject"], r["metric"]) == ("alexnet", "meo") else r
           for r in full_log]  # fmt: skip
    assert results.answer(workdir.load(make_workdir(log))).sentences[1] == (
        "alexnet: mean gap (1 − MEO) shrank; cannot tell for largest gap (MD) and worst-subgroup error."
    )


def test_a_finished_run_misses_only_the_grids_that_it_has_not(make_workdir):
    assert results.missing(workdir.load(make_workdir())) == [
        "Sample grids: none for generations 1, 2, 3 and 4 (seed 2)."
    ]


def test_unfinished_run_says_so_and_fits_what_is_there(make_workdir, full_log, bias_of):
    # Killed in generation 3: its generator is measured, its classifiers are not, but for lenet's first seed.
    log = [r for r in full_log if r["generation"] < 3 or (r["generation"] == 3 and r["subject"] == "generator")]
    log += [r for r in full_log if (r["generation"], r["subject"], r["seed"]) == (3, "lenet", 0)]
    run = workdir.load(make_workdir(log))
    said = results.missing(run)
    assert said[0].startswith("The run is unfinished: generation 3 of 4 is the last one measured.")
    assert "lenet: not measured in generation 3 (seeds 1 and 2)." in said
    assert "alexnet: not measured in generation 3 (seeds 0, 1 and 2)." in said
    found = results.trend(run, Name("lenet", "md"))
    assert (found.num_points, found.num_points_missing) == (10, 2)
    assert found.slope.mean == pytest.approx(0.021)
    assert results.curve(run, Name("lenet", "md"))[3].estimate == statistics.Estimate(
        bias_of("lenet", 0, 3), None, 1, 2
    )


def test_null_values_are_counted_and_their_notes_told(make_workdir, full_log):
    log = changed(full_log, None, subject="lenet", metric="di", generation=2)
    log = changed(log, None, subject="alexnet", metric="md", generation=1, seed=0)
    note = {"seed": 0, "generation": 2, "subject": "lenet", "metric": "di_note", "value": "the rate of blue is 0."}
    run = workdir.load(make_workdir([*log, note, note | {"seed": 1}, note | {"seed": 2}]))
    said = results.missing(run)
    assert "lenet, di: no value in generation 2 (seeds 0, 1 and 2) (the rate of blue is 0)." in said
    assert "alexnet, md: no value in generation 1 (seed 0) (no reason was recorded)." in said
    assert results.curve(run, Name("lenet", "di"))[2].estimate == statistics.Estimate(None, None, 0, 3)
    assert results.trend(run, Name("alexnet", "md")).num_points_missing == 1


def test_diverged(make_workdir, full_log):
    log = changed(full_log, 1, subject="alexnet", metric="diverged", generation=2, seed=1)
    run = workdir.load(make_workdir(log))
    assert results.diverged(run, "alexnet") == {2: [1]} and results.diverged(run, "lenet") == {}
    assert results.diverged_sentences(run)[0].startswith("alexnet diverged in generation 2 (seed 1)")


def test_report_json_is_the_statistics(make_workdir, full_log):
    folder = make_workdir(changed(full_log, None, subject="lenet", metric="di", generation=2, seed=1))
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
            expected.half_width,
            expected.num,
        )
    assert len(report["trends"]) == len(by_name)
    for entry in report["trends"]:
        series = by_name[entry["subject"], entry["metric"], entry.get("class"), entry.get("group")]
        slopes = []
        for seed in (0, 1, 2):
            points = [(g, by_seed[seed]) for g, by_seed in series.items() if by_seed[seed] is not None]
            slopes.append(np.polyfit(*zip(*points, strict=True), 1)[0])
        assert entry["slope"]["mean"] == pytest.approx(np.mean(slopes), abs=1e-12)
    assert [v["verdict"] for v in report["verdicts"]] == ["grew"] * 3 + ["cannot tell"] * 3
    assert report["run"]["git_commit"] == "c0ffee" and len(report["timing"]) == 3


def records_of(folder):
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"seed": 9}, "seed=9"),
        ({"generation": 5}, "generation=5"),
        ({"value": "0.97"}, "accuracy='0.97'"),
        ({"metric": "di_note", "value": 3}, "di_note=3"),
    ],
)
def test_records_that_do_not_belong_to_the_run_are_refused(make_workdir, full_log, record, named):
    with pytest.raises(InputError, match=named):
        workdir.load(make_workdir([*full_log, full_log[0] | record]))


def test_a_subgroup_has_its_own_name_in_each_class():
    run = SimpleNamespace(group_names=["subgroup 1", "subgroup 2"], subgroup_names=[["cat", "dog"], ["car"]])
    assert results.group_name(run, 1) == "subgroup 2"
    assert results.group_name(run, 1, 0) == "dog" and results.group_name(run, 0, 1) == "car"
    assert results.group_name(run, 1, 1) == "subgroup 2" and results.group_name(run, -1, 0) == "unknown"
    colored = SimpleNamespace(group_names=["red", "blue"], subgroup_names=[])
    assert results.group_name(colored, 1, 5) == "blue"

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from jaxloop import statistics
from jaxloop.analysis import results
from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis.run_folder import Name
from jaxloop.errors import InputError


def test_verdicts_against_scipy(make_workdir, bias_of):
    found = {(v.subject, v.bias.metric): v for v in results.verdicts(workdir.load(make_workdir()))}
    scale = {"meo": 1, "md": 1, "accuracy": 2, "di": 1.1}  # accuracy: of the worst subgroup
    assert set(found) == {(s, m) for s in ("lenet", "alexnet") for m in scale}
    for (subject, metric), v in found.items():
        slopes = [
            stats.linregress(
                range(5), [scale[metric] * bias_of(subject, seed, g) for g in range(5)]
            ).slope
            for seed in (0, 1, 2)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
        np.testing.assert_allclose([v.trend.slope.mean, v.trend.slope.low, v.trend.slope.high],
                                   [np.mean(slopes), low, high], atol=1e-12)  # fmt: skip
        assert v.trend.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue, abs=1e-12)
        assert v.decision.word == ("grew" if subject == "lenet" else "cannot tell")
        assert (v.first.generation, v.last.generation) == (0, 4)


def test_verdicts_of_a_run_are_one_family(make_workdir):
    found = results.verdicts(workdir.load(make_workdir()))
    assert [v.decision.p for v in found] == statistics.holm([v.trend.p for v in found])
    # All of lenet's have one p = 0.00076, which 8 tests make 0.006.
    assert (
        found[0].decision.p == pytest.approx(8 * found[0].trend.p, rel=1e-6)
        and found[0].decision.p < 0.05
    )


def test_trends_are_those_of_the_table_and_one_family(make_workdir):
    run = workdir.load(make_workdir())
    found = results.trends(run)
    assert set(found) == {n for n in run.names if n.class_ is None and n.metric != "diverged"}
    assert [d.p for _, d in found.values()] == statistics.holm([t.p for t, _ in found.values()])
    assert found[Name("lenet", "md")][1].p > found[Name("lenet", "md")][0].p


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"seed": 9}, "seed=9"),
        ({"generation": 5}, "generation=5"),
        ({"value": "0.97"}, "records.jsonl:"),
        ({"reason": "never heard of"}, "records.jsonl:"),
    ],
)
def test_records_that_do_not_belong_to_the_run_are_refused(make_workdir, full_log, record, named):
    with pytest.raises(InputError, match=named):
        workdir.load(make_workdir([*full_log, full_log[0] | record]))


def test_a_subgroup_has_its_own_name_in_each_class():
    run = SimpleNamespace(
        group_names=["subgroup 1", "subgroup 2"], subgroup_names=[["cat", "dog"], ["car"]]
    )
    assert results.group_name(run, 1) == "subgroup 2"
    assert results.group_name(run, 1, 0) == "dog" and results.group_name(run, 0, 1) == "car"
    assert (
        results.group_name(run, 1, 1) == "subgroup 2"
        and results.group_name(run, -1, 0) == "unknown"
    )
    colored = SimpleNamespace(group_names=["red", "blue"], subgroup_names=[])
    assert results.group_name(colored, 1, 5) == "blue"

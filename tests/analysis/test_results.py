from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from jaxloop import statistics
from jaxloop.analysis import results
from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis.run_folder import Name
from jaxloop.errors import InputError


def test_trends_against_scipy(make_workdir, bias_of):
    found = results.trends(workdir.load(make_workdir()))
    for subject in ("lenet", "alexnet"):
        trend, decision = found[Name(subject, "md")]
        slopes = [
            stats.linregress(range(5), [bias_of(subject, seed, g) for g in range(5)]).slope
            for seed in (0, 1, 2)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
        np.testing.assert_allclose([trend.slope.mean, trend.slope.low, trend.slope.high],
                                   [np.mean(slopes), low, high], atol=1e-12)  # fmt: skip
        assert trend.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue, abs=1e-12)
        assert decision.word == ("grew" if subject == "lenet" else "cannot tell")


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

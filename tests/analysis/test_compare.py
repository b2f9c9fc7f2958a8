import numpy as np
import pytest
from scipy import stats

from jaxloop import statistics
from jaxloop.analysis import compare
from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis.contrasts import LEVEL, SLOPE

BIASED = {"data": {"name": "digits", "color": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]}}


def shifted(log, subject="lenet", metric="md", by=0.2, grow=0.0, rank=None):
    key = (subject, metric, rank)
    return [
        r | {"value": r["value"] + by + grow * r["generation"]}
        if (r["subject"], r["metric"], r.get("rank")) == key
        else r
        for r in log
    ]


@pytest.fixture
def pair(make_workdir, full_log):
    return [
        workdir.load(make_workdir()),
        workdir.load(make_workdir(shifted(full_log, grow=0.05), **BIASED)),
    ]


def values(run, name):
    """[seed, generation], read from the records."""
    rows = run.rows(name).sort_values(["seed", "generation"])
    return rows.value.to_numpy().reshape(len(run.seeds), -1)


def test_differences_are_welchs_of_levels_and_slopes(pair):
    found = compare.compare(pair)
    assert len(found) == 2 * 5 * 2
    for c in found:
        sides = [values(run, c.name) for run in pair]
        sides = [1 - side if c.measure.complement else side for side in sides]
        if c.part == LEVEL:
            a, b = (side[:, -1] for side in sides)
        else:
            a, b = (np.polyfit(range(5), side.T, 1)[0] for side in sides)
        expected = stats.ttest_ind(b, a, equal_var=False)
        low, high = expected.confidence_interval(0.95)
        e = c.difference.estimate
        np.testing.assert_allclose([c.first.mean, c.other.mean, e.mean, e.low, e.high],
                                   [a.mean(), b.mean(), b.mean() - a.mean(), low, high],
                                   atol=1e-10)  # fmt: skip
        assert c.generation == 4


def test_runs_that_share_data_seeds_and_generation_0_are_compared_in_pairs(make_workdir, full_log):
    later = [
        r | {"value": r["value"] + 0.1 + 0.003 * r["seed"]}
        if r["generation"] and (r["subject"], r["metric"]) == ("lenet", "md")
        else r
        for r in full_log
    ]
    runs = [
        workdir.load(make_workdir()),
        workdir.load(make_workdir(later, filter={"name": "none"})),
    ]
    found = compare.compare(runs)
    assert all(c.paired for c in found)
    c = next(c for c in found if (c.subject, c.measure.metric, c.part) == ("lenet", "md", LEVEL))
    a, b = (values(run, c.name)[:, -1] for run in runs)
    assert c.difference.p == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert "paired" in next(iter(compare.tables(found).values()))[0].attrs["caption"]
    # Other data with the same records; other records of generation 0; other seeds.
    some = [r for r in later if r["seed"] < 2]
    for log, changes in ((later, BIASED), (shifted(later), {}), (some, {"seeds": [0, 1]})):
        others = [runs[0], workdir.load(make_workdir(log, **changes))]
        assert not any(c.paired for c in compare.compare(others))


def test_verdicts_are_one_family(pair):
    found = compare.compare(pair)
    assert [c.decision.p for c in found] == statistics.holm([c.difference.p for c in found])
    told = {
        (c.subject, c.measure.metric, c.part): c.decision.word
        for c in found
        if c.decision.word != "cannot tell"
    }
    assert told == {("lenet", "md", LEVEL): "higher", ("lenet", "md", SLOPE): "higher"}
    back = {
        (c.subject, c.measure.metric, c.part): c.decision.word for c in compare.compare(pair[::-1])
    }
    assert back["lenet", "md", LEVEL] == back["lenet", "md", SLOPE] == "lower"
    assert compare.sentences(found) == [
        "biased against unbiased: 2 of 20 differences can be told: lenet, largest gap (MD) "
        "higher; lenet, slope of largest "
        "gap (MD) higher. In the other 18 nothing can be told with 3 seeds a run."
    ]


def test_runs_are_compared_on_what_they_share(make_workdir, full_log):
    short = [
        r for r in full_log if r["generation"] <= 2 and r["seed"] != 2 and r["subject"] != "alexnet"
    ]
    runs = [
        workdir.load(make_workdir()),
        workdir.load(make_workdir(short, seeds=[0, 1], classifiers=["lenet", "vgg19"], **BIASED)),
    ]
    found = compare.compare(runs)
    assert {c.subject for c in found} == {"lenet"} and {c.generation for c in found} == {2}
    c = next(c for c in found if (c.measure.metric, c.part) == ("md", SLOPE))
    slopes = np.polyfit(range(3), values(runs[0], workdir.Name("lenet", "md"))[:, :3].T, 1)[0]
    assert c.first.mean == pytest.approx(slopes.mean()) and (c.first.num, c.other.num) == (3, 2)


def test_a_measure_that_one_run_lacks_is_left_out_and_told(make_workdir, full_log):
    log = [
        r | {"value": None} if r["metric"] == "di" else r for r in full_log if r["metric"] != "md"
    ]
    runs = [workdir.load(make_workdir()), workdir.load(make_workdir(log, **BIASED))]
    found = compare.compare(runs)
    assert {c.name[1:] for c in found if c.subject == "lenet"} == {
        workdir.Name("", "accuracy")[1:],
        workdir.Name("", "accuracy", rank=1)[1:],
        workdir.Name("", "meo")[1:],
    }
    assert compare.left_out(runs, found) == [
        "biased against unbiased: a run lacks values to compare largest gap (MD) and "
        "disparate-impact gap (1 − DI) of lenet "
        "and alexnet."
    ]


def test_one_seed_cannot_tell(make_workdir, full_log):
    log = [r for r in full_log if r["seed"] == 0]
    runs = [workdir.load(make_workdir()), workdir.load(make_workdir(log, seeds=[0], **BIASED))]
    found = compare.compare(runs)
    assert {c.decision.word for c in found} == {"cannot tell (one seed)"} and {
        c.difference.p for c in found
    } == {None}
    assert (
        "in none of 20 comparisons can a difference be told with 3 and 1 seeds."
        in compare.sentences(found)[0]
    )


def test_every_run_is_compared_with_the_first(pair, make_workdir, full_log):
    third = workdir.load(
        make_workdir(shifted(full_log, by=-0.04), filter={"name": "none"}, **BIASED)
    )
    found = compare.compare([*pair, third])
    first, second, last = dict.fromkeys([found[0].first_run, *[c.other_run for c in found]])
    assert list(compare.tables(found)) == [f"{second} against {first}", f"{last} against {first}"]
    table = compare.tables(found)[f"{second} against {first}"][0]
    row = table.set_index(["classifier", "measure"]).loc[("lenet", "largest gap (MD)")]
    # 0.05 + 4 x 0.021 = 0.134; with 0.2 + 4 x 0.05 more 0.534
    assert row.iloc[0] == "higher" and row.iloc[1:4].tolist() == pytest.approx([0.134, 0.534, 0.4])
    assert row["95% interval"][0] < 0.4 < row["95% interval"][1]
    assert "corrected for 40 verdicts" in table.attrs["caption"]


def test_many_differences_are_counted_not_listed(make_workdir, full_log):
    log = full_log
    for metric, rank, by in (
        ("md", None, 0.3),
        ("meo", None, -0.3),
        ("di", None, -0.3),
        ("accuracy", 1, -0.3),
        ("accuracy", None, -0.3),
    ):
        for subject in ("lenet", "alexnet"):
            log = shifted(log, subject, metric, by, rank=rank)
    said = compare.sentences(
        compare.compare([workdir.load(make_workdir()), workdir.load(make_workdir(log, **BIASED))])
    )
    assert "accuracy lower in 2" in said[0] and "bias higher in 8" in said[0]

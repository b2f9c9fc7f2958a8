import numpy as np
import pytest
from scipy import stats

from jaxloop.report import statistics, workdir
from jaxloop.report.audit import drops

SEEDS, GENERATIONS = 3, 4


def record(seed, generation, value, **of):
    return {"seed": seed, "generation": generation, "subject": "filter", "metric": "drop_rate", "value": value} | of


def rates(shift, spread, seed=7):
    """[generation, seed, class or all, group or all]: 0.1 overall, which each part is off by its `shift` on average."""
    noise = np.random.default_rng(seed).normal(0, spread, (GENERATIONS, SEEDS, 3, 3))
    noise[..., -1, -1] /= 10  # the whole is nearly fixed
    return 0.1 + noise + shift


def audited(make_workdir, full_log, table, **changes):
    rows = [r for r in full_log if r["subject"] != "filter"]
    for (g, seed, c, k), value in np.ndenumerate(table):
        of = ({"class": c} if c < 2 else {}) | ({"group": k} if k < 2 else {})
        rows.append(record(seed, g + 1, None if np.isnan(value) else float(value), **of))
    return workdir.load(make_workdir(rows, **changes))


PLANTED = np.zeros((3, 3))
PLANTED[2, 0], PLANTED[0, 1] = -0.04, 0.05  # of group 0; of group 1 within class 0


@pytest.fixture
def planted(make_workdir, full_log):
    table = rates(PLANTED, 0.002)
    return table, audited(make_workdir, full_log, table)


def test_rates_are_paired_with_the_whole_that_they_are_part_of(planted):
    table, run = planted
    by_seed = table.mean(0)
    e = drops.overall(run)
    assert e.mean == pytest.approx(by_seed[:, 2, 2].mean()) and e.num == SEEDS
    of = {r.name[2:]: r for r in (*drops.by_group(run), *drops.by_class(run), *drops.by_cell(run))}
    assert len(of) == 2 + 2 + 4
    for (class_, group), r in of.items():
        c, k = (2 if part is None else part for part in (class_, group))
        whole = by_seed[:, 2, 2] if 2 in (c, k) else by_seed[:, c, 2]
        expected = stats.ttest_rel(by_seed[:, c, k], whole)
        low, high = expected.confidence_interval(0.95)
        e = r.difference.estimate
        np.testing.assert_allclose([r.rate.mean, e.low, e.high, r.difference.p],
                                   [by_seed[:, c, k].mean(), low, high, expected.pvalue], rtol=1e-9)  # fmt: skip
        half = stats.t.interval(0.95, SEEDS - 1, 0, stats.sem(by_seed[:, c, k]))[1]
        assert r.rate.half_width == pytest.approx(half)


def test_planted_rates_are_told_and_others_are_not(planted):
    _, run = planted
    for found in (drops.by_group(run), drops.by_cell(run)):
        assert [r.decision.p for r in found] == statistics.holm([r.difference.p for r in found])
    assert [r.decision.word for r in drops.by_group(run)] == ["lower", "cannot tell"]
    assert [r.decision.word for r in drops.by_cell(run)] == ["cannot tell", "higher", "cannot tell", "cannot tell"]
    said = drops.sentences(run, drops.by_group(run))
    assert said[0].startswith("Asked to drop a share r = 0.1, the filter dropped 0.100 ±")
    assert said[2] == (
        "In 1 of 2 subgroups the drop rate is another than that of all images: red lower. In the other 1 it cannot be told "
        "with 3 seeds."
    )


def test_without_differences_none_is_told(make_workdir, full_log):
    run = audited(make_workdir, full_log, rates(0, 0.01))
    assert {r.decision.word for r in (*drops.by_group(run), *drops.by_cell(run))} == {"cannot tell"}
    assert drops.sentences(run, drops.by_group(run))[2] == (
        "In none of 2 subgroups can the drop rate be told from that of all images with 3 seeds."
    )


def test_rates_of_classes_are_tested_where_ranking_does_not_fix_them(make_workdir, full_log):
    shift = np.zeros((3, 3))
    shift[1, 2] = 0.06
    table = rates(shift, 0.002)
    over_all = audited(make_workdir, full_log, table, filter={"name": "clip", "drop": 0.1, "ranking": "all"})
    assert [r.decision.word for r in drops.by_class(over_all)] == ["cannot tell", "higher"]
    assert "verdict" in drops.class_table(over_all, drops.by_class(over_all)).columns
    within = audited(make_workdir, full_log, table, filter={"name": "clip", "drop": 0.1, "ranking": "class"})
    assert {r.decision for r in drops.by_class(within)} == {("", None)}
    shown = drops.class_table(within, drops.by_class(within))
    assert shown.columns == ["class", "drop rate"] and "verdict" not in shown.caption
    assert any("by design" in said for said in drops.sentences(within, []))
    assert not any("by design" in said for said in drops.sentences(over_all, []))


def test_a_generation_without_images_of_a_subgroup_is_left_out_of_both_sides(make_workdir, full_log):
    table = rates(PLANTED, 0.002)
    whole = table.copy()
    table[0, 1, 2, 0] = np.nan
    whole[0, 1, 2, 2] = np.nan
    run = audited(make_workdir, full_log, table)
    red = drops.by_group(run)[0]
    expected = stats.ttest_rel(np.nanmean(table[:, :, 2, 0], 0), np.nanmean(whole[:, :, 2, 2], 0))
    assert red.difference.p == pytest.approx(expected.pvalue) and red.rate.num == 3


def test_tables_stand_beside_what_was_asked_for(planted):
    table, run = planted
    shown = drops.group_table(run, drops.by_group(run))
    assert [row[0] for row in shown.rows] == ["all images", "asked for (r)", "red", "blue"]
    assert shown.rows[1][2] == "0.100" and shown.rows[2][1] == "lower"
    assert "averaged over generations 1 to 4" in shown.caption and "corrected for 2 verdicts (Holm)" in shown.caption
    cells = drops.cell_table(run, drops.by_cell(run))
    assert [row[:3] for row in cells.rows][1] == ["zero", "blue", "higher"]
    assert cells.rows[1][3].startswith(f"{table[:, :, 0, 1].mean():.3f} ±")


def test_subgroups_that_nobody_knows(make_workdir, full_log):
    log = [r | {"value": None} if r["subject"] == "filter" and "group" in r else r for r in full_log]
    run = workdir.load(make_workdir(log))
    assert drops.by_group(run) == [] and drops.group_table(run, []) is None and drops.cell_table(run, []) is None
    assert drops.sentences(run, [])[2].startswith("No drop rate by subgroup has a value")


def test_one_seed_has_rates_and_no_verdict(make_workdir, full_log):
    run = workdir.load(make_workdir([r for r in full_log if r["seed"] == 0], seeds=[0]))
    found = drops.by_group(run)
    assert [r.rate.mean for r in found] == pytest.approx([0.08, 0.12])
    assert {r.decision.word for r in found} == {"cannot tell (one seed)"}
    assert "one seed, so no interval" in drops.group_table(run, found).caption


def test_wilson_intervals_are_shown_seed_by_seed(make_workdir, full_log):
    log = [r | {"interval": [0.05, 0.15]} if r["subject"] == "filter" and "group" in r else r for r in full_log]
    table = drops.within_seed_table(workdir.load(make_workdir(log)))
    assert table.rows == [["red", *["0.080 [0.050, 0.150]"] * 3], ["blue", *["0.120 [0.050, 0.150]"] * 3]]
    assert "generation 4" in table.caption
    assert drops.within_seed_table(workdir.load(make_workdir())) is None

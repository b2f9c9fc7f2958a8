import re

import numpy as np
import pytest
from scipy import stats

from jaxloop import records, statistics
from jaxloop.analysis import drop_rates as drops
from jaxloop.analysis import run_folder as workdir
from jaxloop.report import page, rendering

SEEDS, GENERATIONS = 3, 4


def record(seed, generation, value, **of):
    return {
        "seed": seed,
        "generation": generation,
        "subject": "filter",
        "metric": "drop_rate",
        "value": value,
    } | of


def sentences(run, groups):
    """What the page says."""
    macro = rendering.ENVIRONMENT.get_template("words.html").module.dropped
    return re.findall("<li>(.*?)</li>", macro(run, drops.overall(run), groups))


def rates(shift, spread, seed=7):
    """[generation, seed, class or all, group or all]: 0.1 overall, which each part is off by its
    `shift` on average.
    """
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


def test_a_judges_estimates_are_told_and_not_tested(make_workdir, estimated_log):
    run = audited(make_workdir, estimated_log, rates(PLANTED, 0.002))
    groups = drops.by_group(run)
    assert len(groups) == 2 and {(r.difference.p, r.decision.word) for r in groups} == {(None, "")}
    assert list(drops.group_table(run, groups).columns) == ["subgroup", "drop rate", "seeds"]
    assert "are estimates of a judge, and are not tested" in sentences(run, groups)[-1]
    assert "cannot tell the subgroups" in " ".join(sentences(run, []))
    page.write(run.path)


def test_rates_are_paired_with_the_whole_that_they_are_part_of(planted):
    table, run = planted
    by_seed = table.mean(0)
    e = drops.overall(run)
    assert e.mean == pytest.approx(by_seed[:, 2, 2].mean()) and e.num == SEEDS
    of = {r.name[2:4]: r for r in (*drops.by_group(run), *drops.by_class(run), *drops.by_cell(run))}
    assert len(of) == 2 + 2 + 4
    for (class_, group), r in of.items():
        c, k = (2 if part is None else part for part in (class_, group))
        whole = by_seed[:, 2, 2] if 2 in (c, k) else by_seed[:, c, 2]
        expected = stats.ttest_rel(by_seed[:, c, k], whole)
        low, high = expected.confidence_interval(0.95)
        e = r.difference.estimate
        np.testing.assert_allclose(
            [r.rate.mean, e.low, e.high], [by_seed[:, c, k].mean(), low, high], rtol=1e-9
        )
        assert r.difference.p == (pytest.approx(expected.pvalue) if class_ is None else None)
        half = stats.t.interval(0.95, SEEDS - 1, 0, stats.sem(by_seed[:, c, k]))[1]
        assert r.rate.half_width == pytest.approx(half)


def test_planted_rates_are_told_and_others_are_not(planted):
    _, run = planted
    found = drops.by_group(run)
    assert [r.decision.p for r in found] == statistics.holm([r.difference.p for r in found])
    assert [r.decision.word for r in found] == ["lower", "cannot tell"]
    said = sentences(run, drops.by_group(run))
    assert said[0].startswith("Asked to drop a share r = 0.1, the filter dropped 0.100 ±")
    assert "r and rounding to whole images set this rate" in said[0]
    assert said[2] == (
        "In 1 of 2 subgroups the drop rate is another than that of all images: red lower. In the "
        "other 1 it cannot be told "
        "with 3 seeds."
    )


def test_minorities_that_names_hide_are_told_by_rarity(make_workdir, full_log):
    """Every class has another minority, which is dropped more often: by name nothing shows, by
    rarity it does.
    """
    table = rates(0, 0.002)
    run = audited(make_workdir, full_log, table)
    noise = np.random.default_rng(3).normal(0, 0.002, (2, GENERATIONS, SEEDS))
    rows = records.read(run.path / "records.jsonl") + [
        record(seed, g + 1, float(0.1 + value + (0.12, -0.06)[k]), rarity=k + 1)
        for (k, g, seed), value in np.ndenumerate(noise)
    ]
    run = workdir.load(make_workdir(rows))
    found = drops.by_group(run)
    assert [(r.name.rarity, r.decision.word) for r in found] == [
        (None, "cannot tell"), (None, "cannot tell"), (1, "higher"), (2, "lower")
    ]  # fmt: skip
    assert "rarest of its class higher; commonest of its class lower" in sentences(run, found)[2]
    assert drops.group_table(run, found).subgroup.tolist()[2:] == [
        "red", "blue", "rarest of its class", "commonest of its class"
    ]  # fmt: skip


def test_without_differences_none_is_told(make_workdir, full_log):
    run = audited(make_workdir, full_log, rates(0, 0.01))
    assert {r.decision.word for r in drops.by_group(run)} == {"cannot tell"}
    assert sentences(run, drops.by_group(run))[2] == (
        "In none of 2 subgroups can the drop rate be told from that of all images with 3 seeds."
    )


def test_rates_of_classes_are_tested_where_ranking_does_not_fix_them(make_workdir, full_log):
    shift = np.zeros((3, 3))
    shift[1, 2] = 0.06
    table = rates(shift, 0.002)
    over_all = audited(
        make_workdir, full_log, table, filter={"name": "clip", "drop": 0.1, "ranking": "all"}
    )
    assert [r.decision.word for r in drops.by_class(over_all)] == ["cannot tell", "higher"]
    assert "verdict" in drops.class_table(over_all, drops.by_class(over_all)).columns
    within = audited(
        make_workdir, full_log, table, filter={"name": "clip", "drop": 0.1, "ranking": "class"}
    )
    assert {r.decision for r in drops.by_class(within)} == {("", None)}
    shown = drops.class_table(within, drops.by_class(within))
    assert list(shown) == ["class", "drop rate"] and "verdict" not in shown.attrs["caption"]
    assert any("by design" in said for said in sentences(within, []))
    assert not any("by design" in said for said in sentences(over_all, []))


def test_a_generation_without_images_of_a_subgroup_is_left_out_of_both_sides(
    make_workdir, full_log
):
    table = rates(PLANTED, 0.002)
    whole = table.copy()
    table[0, 1, 2, 0] = np.nan
    whole[0, 1, 2, 2] = np.nan
    run = audited(make_workdir, full_log, table)
    red = drops.by_group(run)[0]
    expected = stats.ttest_rel(np.nanmean(table[:, :, 2, 0], 0), np.nanmean(whole[:, :, 2, 2], 0))
    assert red.difference.p == pytest.approx(expected.pvalue) and red.rate.num == 3


def test_subgroups_within_classes_have_rates_and_no_tests(planted):
    """They rest on few images: even where a difference is planted nothing is told of one."""
    table, run = planted
    found = drops.by_cell(run)
    assert {(r.decision, r.difference.p) for r in found} == {(("", None), None)} and len(found) == 4
    shown = drops.cell_table(run, found)
    assert list(shown) == ["class", "subgroup", "drop rate", "seeds"]
    assert "Exploratory" in shown.attrs["caption"] and "verdict" not in shown.attrs["caption"]
    rates = table.mean(0)[:, 0, 1]
    half = stats.t.interval(0.95, SEEDS - 1, 0, stats.sem(rates))[1]
    *words, rate, num = shown.iloc[1]
    assert (words, num) == (["zero", "blue"], 3)
    assert (rate.mean, rate.half_width) == pytest.approx((rates.mean(), half))


def test_rates_that_are_the_same_in_all_seeds_are_not_tested(make_workdir, full_log):
    """One image in twelve of a subgroup, in each of three seeds: chance does so, and it is no sure
    verdict.
    """
    table = rates(0, 0.002)
    table[:, :, 2, 2], table[:, :, 2, 0] = 0.1, 1 / 12
    run = audited(make_workdir, full_log, table)
    found = drops.by_group(run)
    assert [r.decision.word for r in found] == ["cannot tell (no spread)", "cannot tell"]
    assert found[1].decision.p == found[1].difference.p  # a family of one
    name, word, rate, gap, *others = drops.group_table(run, found).iloc[2]
    assert (name, word, others) == ("red", "cannot tell (no spread)", [(None, None), None, 3])
    assert (rate.mean, gap) == pytest.approx((1 / 12, 1 / 12 - 0.1))
    assert sentences(run, found)[2].endswith(
        "with 3 seeds. Not tested, since seeds show no spread: 1 of 2."
    )


def test_seeds_that_a_rate_rests_on_are_counted(make_workdir, full_log):
    table = rates(0, 0.002)
    table[:, 1, 2, 0] = np.nan
    run = audited(make_workdir, full_log, table)
    found = drops.by_group(run)
    assert drops.group_table(run, found).seeds.tolist() == [None, None, 2, 3]
    assert sentences(run, found)[2].endswith("from that of all images with 2 to 3 seeds.")
    table[:, :, 2, 0] = np.nan
    run = audited(make_workdir, full_log, table)
    assert "Of red no drop rate has a value." in sentences(run, drops.by_group(run))


def test_tables_stand_beside_what_was_asked_for(planted):
    _, run = planted
    shown = drops.group_table(run, drops.by_group(run))
    assert shown.subgroup.tolist() == ["all images", "asked for (r)", "red", "blue"]
    assert shown["drop rate"][1] == 0.1 and shown.verdict[2] == "lower"
    assert "averaged over generations 1 to 4" in shown.attrs["caption"]
    assert "corrected for 2 verdicts (Holm)" in shown.attrs["caption"]


def test_subgroups_that_nobody_knows(make_workdir, full_log):
    log = [
        r | {"value": None} if r["subject"] == "filter" and "group" in r else r for r in full_log
    ]
    run = workdir.load(make_workdir(log))
    assert (
        drops.by_group(run) == []
        and drops.group_table(run, []) is None
        and drops.cell_table(run, []) is None
    )
    assert sentences(run, [])[2].startswith("No drop rate by subgroup has a value")


def test_one_seed_has_rates_and_no_verdict(make_workdir, full_log):
    run = workdir.load(make_workdir([r for r in full_log if r["seed"] == 0], seeds=[0]))
    found = drops.by_group(run)
    assert [r.rate.mean for r in found] == pytest.approx([0.079, 0.119])
    assert {r.decision.word for r in found} == {"cannot tell (one seed)"}
    assert "one seed, so no interval" in drops.group_table(run, found).attrs["caption"]


def test_wilson_intervals_are_shown_seed_by_seed(make_workdir, full_log):
    log = [
        r | {"interval": [0.05, 0.15]} if r["subject"] == "filter" and "group" in r else r
        for r in full_log
    ]
    table = drops.within_seed_table(workdir.load(make_workdir(log)))
    assert table.subgroup.tolist() == ["red", "blue"]
    for row, rates in zip((0, 1), ((0.079, 0.08, 0.081), (0.119, 0.12, 0.121)), strict=True):
        for cell, rate in zip(table.iloc[row, 1:], rates, strict=True):
            assert cell == pytest.approx((rate, 0.05, 0.15))
    assert "generation 4" in table.attrs["caption"]
    wide = "slightly too wide, since the number dropped in all is fixed"
    assert wide in table.attrs["caption"]
    assert drops.within_seed_table(workdir.load(make_workdir())) is None

import json

import pytest

from jaxloop.analysis import run_folder as workdir
from jaxloop.report import layout, tables
from jaxloop.report.layout import Table
from jaxloop.statistics import estimate


def test_final_table_gives_mean_and_half_width_at_both_ends(make_workdir, bias_of):
    table = tables.final_table(workdir.load(make_workdir()))
    assert table.columns == ["classifier", "gen", "accuracy", "MEO", "DI", "MD", "worst subgroup"]
    assert [row[:2] for row in table.rows] == [
        ["lenet", "0"],
        ["lenet", "4"],
        ["alexnet", "0"],
        ["alexnet", "4"],
    ]
    expected = estimate([1 - bias_of("lenet", seed, 4) for seed in (0, 1, 2)])
    assert table.rows[1][3] == f"{expected.mean:.3f} ± {expected.half_width:.3f}" == "0.866 ± 0.010"


def test_generator_table_starts_at_generation_one(make_workdir):
    table = tables.generator_table(workdir.load(make_workdir()))
    assert table.columns == ["gen", "fd_lenet", "label agreement", "diversity"]
    assert [row[0] for row in table.rows] == ["1", "2", "3", "4"]
    assert table.rows[0][1:] == ["14.00 ± 2.48", "0.910 ± 0.025", "0.750"]


def test_missing_cells_are_dashes_and_one_seed_has_no_interval(make_workdir, full_log):
    for record in full_log:
        if record["metric"] == "di":
            record["value"] = None
    one_seed = [record for record in full_log if record["seed"] == 0]
    table = tables.final_table(workdir.load(make_workdir(one_seed, seeds=[0])))
    assert table.rows[0][2:5] == ["0.975", "0.950", "–"]
    assert "one seed, so no interval" in table.caption


def test_diverged_generation_is_marked(make_workdir, full_log):
    for record in full_log:
        if (record["subject"], record["metric"], record["generation"], record["seed"]) == (
            "alexnet",
            "diverged",
            4,
            2,
        ):
            record["value"] = 1
    table = tables.final_table(workdir.load(make_workdir(full_log)))
    assert [row[1] for row in table.rows] == ["0", "4", "0", "4†"]
    assert "† diverged" in table.caption


def test_full_table_has_a_row_for_every_measure(make_workdir, full_log):
    run = workdir.load(make_workdir())
    rows = tables.full_table(run).rows
    assert len(rows) == len(
        {(r["subject"], r["metric"], r.get("class"), r.get("group")) for r in full_log}
    )
    assert ["lenet", "group_accuracy", "one", "blue"] in [row[:4] for row in rows]


def test_text_is_aligned():
    text = layout.to_text(
        Table("caption", ["name", "x"], [["a", "1.0"], ["a", "10.0"], ["long name", "–"]])
    )
    assert text.splitlines() == [
        "caption", "name          x", "---------------", "a           1.0", "           10.0", "long name     –",
    ]  # fmt: skip


def test_markdown_escapes_bars():
    text = layout.to_markdown(Table("caption", ["name", "x"], [["a|b", "1"]]))
    assert text == "caption\n\n| name | x |\n| :--- | ---: |\n| a\\|b | 1 |"


def test_html_escapes_and_signs_verdicts():
    text = layout.to_html(
        Table("<c>", ["name", "verdict", "x"], [["<b>", "grew", "-1"]], num_words=2)
    )
    assert "<b>" not in text and "&lt;b&gt;" in text and "&lt;c&gt;" in text
    assert (
        '<span class="verdict grew">▲ grew</span>' in text and '<td class="number">−1</td>' in text
    )


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_summary_fits_a_terminal_and_says_the_verdicts(make_workdir, full_log, seeds):
    text = json.dumps([record for record in full_log if record["seed"] in seeds]).replace(
        "alexnet", "mobilenet_v3"
    )
    text = tables.summary(
        make_workdir(json.loads(text), seeds=seeds, classifiers=["lenet", "mobilenet_v3"])
    )
    assert max(map(len, text.splitlines())) < 100
    if seeds == [0]:
        assert text.count("cannot tell (one seed) ") >= 8
        assert "Cannot tell: one seed gives slopes (8 comparisons) but no interval." in text
    else:
        assert "In part: bias grew in 4 of 8 comparisons; in 4 the trend cannot be told" in text
        first = next(line for line in text.splitlines() if line.startswith("lenet  "))
        assert (
            " ".join(first.split())
            == "lenet mean gap (1 − MEO) grew +0.0210 [+0.0185, +0.0235] 0.006"
        )


def test_within_seed_table_is_of_both_ends_seed_by_seed(make_workdir, full_log):
    log = [r | {"interval": [r["value"] - 0.02, r["value"] + 0.01]} if r["metric"] in ("accuracy", "meo_per_class") else r
           for r in full_log]  # fmt: skip
    run = workdir.load(make_workdir(log))
    table = tables.within_seed_table(run)
    assert table.columns == ["classifier", "measure", "gen", "seed 0", "seed 1", "seed 2"]
    assert [row[:3] for row in table.rows] == [
        [s, "accuracy", g] for s in ("lenet", "alexnet") for g in ("0", "4")
    ]
    value = next(
        r["value"] for r in log if (r["metric"], r["seed"], r["generation"]) == ("accuracy", 2, 4)
    )
    assert table.rows[1][5] == f"{value:.3f} [{value - 0.02:.3f}, {value + 0.01:.3f}]"
    assert tables.within_seed_table(workdir.load(make_workdir())) is None


def test_feature_table_has_what_is_recorded(make_workdir, full_log):
    made = {"seed": 0, "generation": 1, "subject": "generator", "metric": "kid_clip", "value": 0.02}
    run = workdir.load(
        make_workdir([*full_log, made, made | {"metric": "density_clip", "value": 1.2}])
    )
    table = tables.feature_table(run)
    assert table.columns == ["gen", "kid_clip", "density_clip"] and table.rows[0] == [
        "1",
        "0.0200",
        "1.200",
    ]
    assert tables.feature_table(workdir.load(make_workdir())) is None


def test_trend_table_says_for_how_many_verdicts_p_is_corrected(make_workdir):
    table = tables.trend_table(workdir.load(make_workdir()))
    num = sum(row[table.columns.index("p")] != "–" for row in table.rows)
    assert f"corrected for {num} verdicts (Holm)" in table.caption and num >= 20
    same = next(row for row in table.rows if row[1] == "within_class_diversity")
    assert same[3] == "cannot tell (no spread)" and same[5:7] == ["–", "–"]


def test_numbers_as_cells():
    assert [layout.p_value(p) for p in (None, 0.0004, 0.0321)] == ["–", "< 0.001", "0.032"]
    same = estimate([0.5, 0.5])  # no spread, so no interval
    assert (layout.with_interval(same), layout.interval(same)) == ("0.500", "–")
    assert [layout.signed(x, 3) for x in (None, -0.0004, 0.0004, -0.5)] == [
        "–",
        "+0.000",
        "+0.000",
        "-0.500",
    ]

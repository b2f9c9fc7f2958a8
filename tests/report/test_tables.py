import json

import pytest

from jaxloop.report import tables, workdir
from jaxloop.report.statistics import estimate
from jaxloop.report.tables import Table


def test_final_table_gives_mean_and_half_width_at_both_ends(make_workdir, bias_of):
    table = tables.final_table(workdir.load(make_workdir()))
    assert table.columns == ["classifier", "gen", "accuracy", "MEO", "DI", "MD", "worst subgroup"]
    assert [row[:2] for row in table.rows] == [["lenet", "0"], ["lenet", "4"], ["alexnet", "0"], ["alexnet", "4"]]
    expected = estimate([1 - bias_of("lenet", seed, 4) for seed in (0, 1, 2)])
    assert table.rows[1][3] == f"{expected.mean:.3f} ± {expected.half_width:.3f}" == "0.866 ± 0.010"


def test_generator_table_starts_at_generation_one(make_workdir):
    table = tables.generator_table(workdir.load(make_workdir()))
    assert table.columns == ["gen", "fd_lenet", "label agreement", "diversity"]
    assert [row[0] for row in table.rows] == ["1", "2", "3", "4"]
    assert table.rows[0][1:] == ["14.00 ± 2.48", "0.910 ± 0.025", "0.750 ± 0.000"]


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
        if (record["subject"], record["metric"], record["generation"], record["seed"]) == ("alexnet", "diverged", 4, 2):
            record["value"] = 1
    table = tables.final_table(workdir.load(make_workdir(full_log)))
    assert [row[1] for row in table.rows] == ["0", "4", "0", "4†"]
    assert "† diverged" in table.caption


def test_full_table_has_a_row_for_every_measure(make_workdir, full_log):
    run = workdir.load(make_workdir())
    rows = tables.full_table(run).rows
    assert len(rows) == len({(r["subject"], r["metric"], r.get("class"), r.get("group")) for r in full_log})
    assert ["lenet", "group_accuracy", "one", "blue"] in [row[:4] for row in rows]


def test_text_is_aligned():
    text = tables.to_text(Table("caption", ["name", "x"], [["a", "1.0"], ["a", "10.0"], ["long name", "–"]]))
    assert text.splitlines() == [
        "caption", "name          x", "---------------", "a           1.0", "           10.0", "long name     –",
    ]  # fmt: skip


def test_markdown_escapes_bars():
    text = tables.to_markdown(Table("caption", ["name", "x"], [["a|b", "1"]]))
    assert text == "caption\n\n| name | x |\n| :--- | ---: |\n| a\\|b | 1 |"


def test_html_escapes_and_signs_verdicts():
    text = tables.to_html(Table("<c>", ["name", "verdict", "x"], [["<b>", "grew", "-1"]], num_words=2))
    assert "<b>" not in text and "&lt;b&gt;" in text and "&lt;c&gt;" in text
    assert '<span class="verdict grew">▲ grew</span>' in text and '<td class="number">−1</td>' in text


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_summary_fits_a_terminal_and_says_the_verdicts(make_workdir, full_log, seeds):
    text = json.dumps([record for record in full_log if record["seed"] in seeds]).replace("alexnet", "mobilenet_v3")
    text = tables.summary(make_workdir(json.loads(text), seeds=seeds, classifiers=["lenet", "mobilenet_v3"]))
    assert max(map(len, text.splitlines())) < 100
    if seeds == [0]:
        assert text.count("cannot tell (one seed) ") >= 6
        assert "Cannot tell: one seed gives slopes (6 comparisons) but no interval." in text
    else:
        assert "In part: bias grew in 3 of 6 comparisons; in 3 the trend cannot be told" in text
        first = next(line for line in text.splitlines() if line.startswith("lenet  "))
        assert " ".join(first.split()) == "lenet mean gap (1 − MEO) grew +0.0210 [+0.0185, +0.0235]"

import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from scipy import stats

from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis import table1

MNIST = {"data": {"name": "mnist", "color": []}}
CIFAR = {"data": {"name": "cifar"}}


def with_fid(log):
    return log + [
        r | {"metric": "fid", "value": 100 * r["value"]} for r in log if r["metric"] == "fd_lenet"
    ]


@pytest.fixture
def run(make_workdir, full_log):
    return workdir.load(make_workdir(with_fid(full_log), **MNIST))


def test_rows_are_means_and_t_intervals_of_the_records(run, full_log):
    paper, own = table1.rows([run])
    assert (own.data_set, own.initialisation, own.metric) == ("Colorized MNIST", "unbiased", "fid")
    for generation, e in own.points:
        values = [
            100 * r["value"]
            for r in full_log
            if (r["metric"], r["generation"]) == ("fd_lenet", generation)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
        np.testing.assert_allclose([e.mean, e.low, e.high], [np.mean(values), low, high])
    assert [p.generation for p in own.points] == [1, 2, 3, 4]
    assert (
        paper.run == "the paper"
        and paper.points[2].estimate.mean == 107.8
        and paper.points[2].estimate.low is None
    )


def test_the_papers_row_stands_once_before_the_runs_of_its_experiment_alone(
    run, make_workdir, full_log
):
    biased = workdir.load(
        make_workdir(data={"name": "mnist", "color": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]})
    )
    digits = workdir.load(make_workdir())
    again = workdir.load(make_workdir(with_fid(full_log), filter={"name": "none"}, **MNIST))
    made = table1.rows([run, digits, biased, again])
    assert [
        (row.data_set, row.initialisation, row.run == "the paper", row.metric) for row in made
    ] == [
        ("Colorized MNIST", "unbiased", True, "fid"),
        ("Colorized MNIST", "unbiased", False, "fid"),
        ("Colorized MNIST", "unbiased", False, "fid"),
        ("Colorized Digits", "unbiased", False, "fd_lenet"),
        ("Colorized MNIST", "biased", True, "fid"),
        ("Colorized MNIST", "biased", False, "fd_lenet"),
    ]
    assert made[4].points[0].estimate.mean == 109.4


def test_the_papers_numbers():
    printed = """
        111.7 108.9 107.8 107.1 104.5 103.6 101.0 100.5 103.6 106.3
        109.4 106.0 107.03 106.4 105.3 114.2 109.0 108.6 109.1 116.5
        249.3 213.6 210.6 217.7 218.8 224.9 233.1 226.5 220.6 223.0
        56.6 49.9 55.4 60.2 70.6 65.8 153.2 256.1 353.1
    """
    rows = [tuple(map(float, line.split())) for line in printed.strip().splitlines()]
    assert list(table1.PAPERS.values()) == rows
    assert [name for name, _ in table1.PAPERS] == ["mnist", "mnist", "cifar", "hard_imagenet"]


def test_another_feature_space_is_warned_of(run, make_workdir):
    assert len(table1.warnings(table1.rows([run]))) == 1
    other = workdir.load(make_workdir(**CIFAR))
    said = table1.warnings(table1.rows([other]))
    assert "fd_lenet is measured in another feature space than the paper's FID" in said[1]
    assert "only trends can be compared" in table1.warnings(table1.rows([run, other]))[-1]
    digits = [workdir.load(make_workdir(loop={"generations": 4, "mix": m})) for m in (0.1, 0.2)]
    assert "each run's own network" in table1.warnings(table1.rows(digits))[0]


def test_csv_parses_back_unrounded(run):
    made = table1.rows([run])
    lines = list(csv.DictReader(io.StringIO(table1.csv_text(made))))
    assert len(lines) == 10 + 4 and list(lines[0]) == list(table1.FIELDS)
    for line, point in zip(lines, [p for row in made for p in row.points], strict=True):
        e = point.estimate
        assert (int(line["generation"]), float(line["mean"])) == (point.generation, e.mean)
        own = line["run"] != "the paper"
        assert (line["low"], line["high"]) == ((repr(e.low), repr(e.high)) if own else ("", ""))
        assert line["n"] == ("3" if own else "")


def test_markdown_has_a_cell_a_generation_and_says_what_is_missing(run):
    lines = table1.markdown(table1.rows([run])).splitlines()
    paper, own = [line.strip("| ").split(" | ") for line in lines[4:6]]
    assert (
        paper[:4] == ["Colorized MNIST", "unbiased", "the paper", "FID"]
        and paper[4] == "111.7"
        and len(paper) == 14
    )
    assert own[4] == "1400.0 ± 248.4" and own[8:] == ["–"] * 6


def test_one_seed_and_no_value(make_workdir, full_log):
    log = [
        r | ({"value": None} if (r["metric"], r["generation"]) == ("fd_lenet", 2) else {})
        for r in full_log
        if r["seed"] == 0
    ]
    made = table1.rows([workdir.load(make_workdir(log, seeds=[0]))])
    assert table1.table(made).rows[0][4:] == ["13.00", "–", "15.00", "16.00"]
    line = table1.csv_text(made).splitlines()[2]
    assert line.endswith("fd_lenet,2,,,,0")
    assert r"\tiny" not in table1.latex(made)


def test_no_distance_no_row(make_workdir, full_log):
    run = workdir.load(make_workdir([r for r in full_log if r["metric"] != "fd_lenet"], **MNIST))
    assert table1.rows([run]) == []


SPECIAL = r"a_b & 50% of {x} #1 $ ~ ^ \ <|>"


def test_latex_escapes_what_latex_reads(make_workdir):
    made = table1.rows([workdir.load(make_workdir(data={"name": SPECIAL}))])
    text = table1.latex(made)
    cell = re.search(r"(a\\_b .*?) & N/A & ", text)[1]
    assert cell == (
        r"a\_b \& 50\% of \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{}\textbar{}\textgreater{}"
    )
    columns = text.count("&", text.index(r"fd\_lenet"), text.index(r"\\", text.index(r"fd\_lenet")))
    assert columns == 4 and r"\begin{tabular}{llllrrrr}" in text
    assert not re.search(r"[^\x00-\x7f]", text)
    # Outside the escapes, braces close as they open.
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(run, make_workdir, tmp_path):
    made = table1.rows([run, workdir.load(make_workdir(data={"name": SPECIAL}))])
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\begin{document}\n" + table1.latex(made) + "\\end{document}\n"
    )
    subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=batchmode", "t.tex"], cwd=tmp_path, check=True
    )
    assert (tmp_path / "t.pdf").stat().st_size > 1000

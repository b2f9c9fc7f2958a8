import csv
import io
import re
import shutil
import subprocess

import pytest

from jaxloop.analysis import table1
from jaxloop.analysis.run_folder import load
from jaxloop.report import compare_page, layout

MNIST = {"data": {"name": "mnist", "color": []}}
SPECIAL = r"a_b & 50% of {x} #1 $ ~ ^ \ <|>"
FORMULA = "=cmd|'calc'!A0"


def files(*runs):
    return compare_page.table1_files(table1.table1(runs))


@pytest.fixture
def run(make_workdir, full_log):
    fid = [
        r | {"metric": "fid", "network": "inception", "value": 100 * r["value"]}
        for r in full_log if r["metric"] == "frechet_distance"
    ]  # fmt: skip
    return load(make_workdir(full_log + fid, **MNIST))


@pytest.fixture
def named(make_workdir, tmp_path):
    """Return runs on the same data that only the names of their folders tell apart."""

    def make(*names):
        return [load(make_workdir().rename(tmp_path / name)) for name in names]

    return make


def test_csv_parses_back_unrounded(run):
    table = table1.table1([run])
    lines = list(csv.DictReader(io.StringIO(files(run)["table1.csv"])))
    points = [(row.run, p) for row in table.rows.itertuples() for p in row.points]
    assert len(lines) == len(points) == 10 + 4
    for line, (label, (generation, e)) in zip(lines, points, strict=True):
        assert (int(line["generation"]), float(line["mean"])) == (generation, e.mean)
        ours = label != "the paper"
        assert (line["low"], line["high"]) == ((repr(e.low), repr(e.high)) if ours else ("", ""))
        assert line["n"] == ("3" if ours else "")


def test_no_cell_of_the_csv_is_a_formula(named):
    names = [FORMULA, "+1+1", "-2", "@SUM(A1)", " =1", "plain"]
    text = files(*named(*names))["table1.csv"]
    labels = {row["run"] for row in csv.DictReader(io.StringIO(text))}
    assert {f"'{name}" for name in names[:-1]} | {"plain"} == {
        re.sub(r"^('?)Colorized Digits.*\((.*)\)$", r"\1\2", label) for label in labels
    }


def test_markdown_has_a_cell_a_generation_and_says_what_is_missing(run):
    lines = files(run)["table1.md"].splitlines()
    paper, ours = [line.strip("| ").split(" | ") for line in lines[4:6]]
    assert paper[:5] == ["Colorized MNIST", "unbiased", "the paper", "FID", "111.7"]
    assert len(paper) == 14
    assert ours[4] == "1400.0 ± 248.4" and ours[8:] == ["–"] * 6


def test_no_name_is_markup_in_markdown_or_latex(named):
    written = files(*named("<img src=x>|*b*[a](b)_c_", "plain"))
    assert r"\<img src=x\>\|\*b\*\[a\](b)\_c\_" in written["table1.md"]
    assert r"\textless{}img src=x\textgreater{}\textbar{}*b*{[}a](b)\_c\_" in written["table1.tex"]
    table = next(line for line in written["table1.md"].splitlines() if "img" in line)
    assert len(re.findall(r"(?<!\\)\|", table)) == 9  # 4 words, 4 generations


def test_caveats_are_told_in_words(make_workdir, full_log):
    log = [r | {"caveat": "rank_deficient"} if r["metric"] == "frechet_distance" else r
           for r in full_log]  # fmt: skip
    text = files(load(make_workdir(log)))["table1.md"]
    assert text.count("frechet\\_distance, lenet: no more images than features:") == 1


def test_one_seed_and_no_value(make_workdir, full_log):
    place = {"metric": "frechet_distance", "generation": 2}
    log = [r | {"value": None} if place.items() <= r.items() else r for r in full_log]
    run = load(make_workdir([r for r in log if r["seed"] == 0], seeds=[0]))
    frame = compare_page.table1_frame(table1.table1([run]))
    assert layout.rows(frame)[0][4:] == ["13.00", "–", "15.00", "16.00"]
    written = files(run)
    assert written["table1.csv"].splitlines()[2].endswith('lenet",2,,,,,0')
    assert r"\tiny" not in written["table1.tex"]


def test_no_distance_no_row(make_workdir, full_log):
    log = [r for r in full_log if r["metric"] != "frechet_distance"]
    table = table1.table1([load(make_workdir(log, **MNIST))])
    assert compare_page.table1_frame(table) is None
    written = compare_page.table1_files(table)
    assert len(written["table1.csv"].splitlines()) == 1 and r"\end{table}" in written["table1.tex"]


def test_latex_escapes_what_latex_reads(make_workdir):
    text = files(load(make_workdir(data={"name": SPECIAL})))["table1.tex"]
    cell = re.search(r"(a\\_b .*?) & N/A & ", text)[1]
    assert cell == (
        r"a\_b \& 50\% of \{x\} \#1 \$ \textasciitilde{} \textasciicircum{} \textbackslash{} "
        r"\textless{}\textbar{}\textgreater{}"
    )
    row = text[text.index(r"frechet\_distance") :].splitlines()[0]
    assert row.count("&") == 4 and row.count(r"\shortstack[r]{") == 4
    assert r"\begin{tabular}{llllrrrr}" in text
    assert not re.search(r"[^\x00-\x7f]", text)
    # Outside the escapes, braces close as they open.
    bare = re.sub(r"\\[\\{}]", "", text)
    assert bare.count("{") == bare.count("}")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(run, make_workdir, tmp_path):
    table = files(run, load(make_workdir(data={"name": SPECIAL})))["table1.tex"]
    document = f"\\documentclass{{article}}\\begin{{document}}\n{table}\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document)
    line = ["pdflatex", "-halt-on-error", "-interaction=batchmode", "t.tex"]
    subprocess.run(line, cwd=tmp_path, check=True)
    assert (tmp_path / "t.pdf").stat().st_size > 1000

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jaxloop.analysis.run_folder import load
from jaxloop.report import json_export, page
from jaxloop.report.__main__ import main

BIASED = {"data": {"name": "mnist", "color": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]}}
UNBIASED = {"data": {"name": "mnist", "color": []}}
FIGURES = [f"colorized-mnist-{name}"
           for name in ("overall-fig3a-fig4a", "subgroups-fig3b-fig4b", "accuracy")]  # fmt: skip
FILES = {
    "report.html", "report.json", "table1.md", "table1.tex", "table1.csv", "figures/captions.md",
    *(f"figures/{name}.{kind}" for kind in ("png", "svg") for name in FIGURES),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(make_workdir):
    return [str(make_workdir(**UNBIASED)), str(make_workdir(**BIASED))]


@pytest.fixture(scope="module")
def written(pair, tmp_path_factory):
    """A folder that a comparison of the pair was written to, beside a file that was there."""
    out = tmp_path_factory.mktemp("compared") / "new" / "comparison"
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    assert main([*pair, "--out", str(out)]) == 0
    return out


def files_of(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_several_runs_leave_page_numbers_table_and_figures_and_touch_nothing_else(
    written, pair, tmp_path, capsys
):
    files = files_of(written)
    assert set(files) == FILES | {"mine.txt"} and files.pop("mine.txt") == b"mine"
    before = list(map(files_of, pair))
    again = tmp_path / "again"
    assert main([*pair, "--out", str(again)]) == 0
    assert capsys.readouterr().out == f"{again / 'report.html'}\n"
    assert files_of(again) == files
    assert list(map(files_of, pair)) == before


def test_page_is_whole_loads_nothing_and_says_what_was_found(written, reader):
    text = (written / "report.html").read_text()
    tags = reader(text).tags
    assert not {"link", "script", "iframe"} & {tag for tag, _ in tags}
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    # Every figure once: the same drawing as in the file.
    sources = [attrs["src"].partition(",")[2] for tag, attrs in tags if tag == "img"]
    drawn = [(written / f"figures/{name}.svg").read_bytes() for name in FIGURES]
    assert list(map(base64.b64decode, sources)) == drawn
    places = [text.index(part) for part in (
        "2 runs compared", "Cannot tell what generated data do to bias",
        "configurations differ in data.color", "The runs",
        'id="colorized-mnist-overall-fig3a-fig4a"', "95% t-interval of that mean.",
        "Between runs", "in none of 20 comparisons can a difference be told with 3 seeds a run",
        "Seeds are paired where", "Welch", "table 1", "another feature space", "Each run", "c0ffee",
    )]  # fmt: skip
    assert places == sorted(places)


def test_json_holds_each_run_s_numbers_and_the_comparison(written, pair):
    report = json.loads((written / "report.json").read_text())
    assert [run["label"] for run in report["runs"]] == ["unbiased", "biased"]
    alone = json.loads(json_export.text(json_export.of_run(page.contents(load(pair[1])))))
    assert {name: report["runs"][1][name] for name in alone} == alone
    assert len(report["comparisons"]) == 20
    assert {c["verdict"] for c in report["comparisons"]} == {"cannot tell"}
    rows = ["the paper", "unbiased", "the paper", "biased"]
    assert [row["run"] for row in report["table1"]] == rows
    assert report["table1"][1]["points"][0]["generation"] == 1
    assert report["not_shared"] == ["biased against unbiased: configurations differ in data.color."]
    assert report["not_compared"] == [] and len(report["conjecture"]) == 4


def test_one_run_may_go_to_a_folder_too(pair, tmp_path):
    assert main([pair[0], "--out", str(tmp_path / "one")]) == 0
    files = files_of(tmp_path / "one")
    assert "figures/colorized-mnist-overall-fig3a.png" in files
    text = files["report.html"].decode()
    assert "Between runs" not in text and "this run has no arm without the loop" in text
    assert not (Path(pair[0]) / "report.html").exists()


def test_folders_of_any_name_are_compared(make_workdir, tmp_path, reader):
    names = ["=cmd|'calc'!A0", "<b>", b"caf\xe9".decode(errors="surrogateescape")]
    runs = [str(make_workdir().rename(tmp_path / name)) for name in names]
    assert main([*runs, "--out", str(tmp_path / "out")]) == 0
    files = files_of(tmp_path / "out")
    text = files["report.html"].decode()
    assert reader(text).tags and "<strong>&lt;b&gt;.</strong>" in text and "caf?." in text
    assert "| caf? |" in files["table1.md"].decode()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (lambda pair, tmp: pair, "--out='' is refused"),
        (lambda pair, tmp: [pair[0], "--out", ""], "--out='' is refused"),
        (lambda pair, tmp: [*pair, "--out", pair[1]], "--out="),
        (lambda pair, tmp: [pair[0], "--out", pair[1]], "--out="),
        (lambda pair, tmp: [*pair, "--out", f"{tmp}/../{tmp.name}/file"], "--out="),
        (lambda pair, tmp: [*pair, "--out", f"{tmp}/file/below"], "--out="),
        (lambda pair, tmp: [pair[0], pair[0] + "/.", "--out", str(tmp)], "each run once"),
        (lambda pair, tmp: [pair[0], f"{tmp}/nowhere", "--out", str(tmp)], "the folder of a run"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(pair, tmp_path, capsys, arguments, named):
    (tmp_path / "file").write_text("")
    before = list(map(files_of, (*pair, tmp_path)))
    assert main(arguments(pair, tmp_path)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("jaxloop: ")
    assert said.err.count("\n") == 1 and named in said.err
    assert list(map(files_of, (*pair, tmp_path))) == before


def test_refusal_in_a_process_of_its_own(pair):
    line = [sys.executable, "-m", "jaxloop.report", *pair]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("jaxloop: --out") and "Traceback" not in done.stderr

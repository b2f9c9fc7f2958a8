import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from jaxloop.analysis import run_folder as workdir
from jaxloop.report import equation6_page as conjecture_page
from jaxloop.report import filter_page as audit_page
from jaxloop.report import json_export as export
from jaxloop.report.__main__ import main

BIASED = {"data": {"name": "mnist", "color": [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]}}
UNBIASED = {"data": {"name": "mnist", "color": []}}
FILES = {
    "report.html", "report.json", "table1.md", "table1.tex", "table1.csv", "figures/captions.md",
    *(f"figures/colorized-mnist-{name}.{kind}" for kind in ("png", "svg")
      for name in ("overall-fig3a-fig4a", "subgroups-fig3b-fig4b", "accuracy")),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(make_workdir):
    return [str(make_workdir(**UNBIASED)), str(make_workdir(**BIASED))]


@pytest.fixture(scope="module")
def written(pair, tmp_path_factory):
    """A folder that a comparison of the pair was written to, beside a file that was there before."""
    out = tmp_path_factory.mktemp("compared") / "new" / "comparison"
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    assert main([*pair, "--out", str(out)]) == 0
    return out


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_several_runs_leave_page_numbers_table_and_figures_and_touch_nothing_else(
    written, pair, tmp_path, capsys
):
    made = files_of(written)
    assert set(made) == FILES | {"mine.txt"} and made["mine.txt"] == b"mine"
    before = [files_of(workdir.Path(folder)) for folder in pair]
    again = tmp_path / "again"
    assert main([*pair, "--out", str(again)]) == 0
    assert capsys.readouterr().out == f"{again / 'report.html'}\n"
    assert files_of(again) == {
        name: content for name, content in made.items() if name != "mine.txt"
    }
    assert [files_of(workdir.Path(folder)) for folder in pair] == before


def test_page_is_whole_loads_nothing_and_says_what_was_found(written):
    text = (written / "report.html").read_text()
    tags, open_ = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))
            if tag not in ("meta", "br"):
                open_.append(tag)

        def handle_startendtag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

        def handle_endtag(self, tag):
            assert open_.pop() == tag

    Reader(convert_charrefs=True).feed(text)
    assert not open_ and not {"link", "script", "img", "iframe"} & {tag for tag, _ in tags}
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    assert [attrs["class"] for tag, attrs in tags if tag == "svg"] == ["wide", "narrow"] * 3
    places = [text.index(part) for part in (
        "2 runs compared", "In part: bias grew in 4 of 8", "configurations differ in data.color", "The runs", "Between runs", "in none of 20 comparisons can a "
        "difference be told with 3 seeds a run", "Seeds are not paired", "Welch", "table 1", "another feature space",
        'id="colorized-mnist-overall-fig3a-fig4a"', "95% t-interval of that mean.", "no run has a value for a figure of reliance",
        "Each run", "c0ffee",
    )]  # fmt: skip
    assert places == sorted(places)


def test_json_holds_each_run_s_numbers_and_the_comparison(written, pair):
    report = json.loads((written / "report.json").read_text())
    assert [run["label"] for run in report["runs"]] == ["unbiased", "biased"]
    run = workdir.load(pair[1])
    own = json.loads(
        json.dumps(export.as_json(run, conjecture_page.estimates([run]), audit_page.audit(run)))
    )
    assert {name: report["runs"][1][name] for name in own} == own
    assert len(report["comparisons"]) == 20 and {c["verdict"] for c in report["comparisons"]} == {
        "cannot tell"
    }
    assert [row["run"] for row in report["table1"]] == [
        "the paper",
        "unbiased",
        "the paper",
        "biased",
    ]
    assert report["not_shared"] == ["biased against unbiased: configurations differ in data.color."]
    assert report["not_compared"] == []


def test_one_run_may_go_to_a_folder_too(pair, tmp_path):
    assert main([pair[0], "--out", str(tmp_path / "one")]) == 0
    made = files_of(tmp_path / "one")
    assert "figures/colorized-mnist-overall-fig3a.png" in made
    text = made["report.html"].decode()
    assert "Between runs" not in text and "In part: bias grew in 4 of 8" in text
    assert not (workdir.Path(pair[0]) / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (lambda pair, tmp: pair, "--out='' is refused"),
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
    before = [files_of(workdir.Path(folder)) for folder in (*pair, tmp_path)]
    assert main(arguments(pair, tmp_path)) == 2
    said = capsys.readouterr()
    assert (
        said.out == ""
        and said.err.startswith("jaxloop: ")
        and said.err.count("\n") == 1
        and named in said.err
    )
    assert [files_of(workdir.Path(folder)) for folder in (*pair, tmp_path)] == before


def test_refusal_in_a_process_of_its_own(pair):
    done = subprocess.run(
        [sys.executable, "-m", "jaxloop.report", *pair], capture_output=True, text=True
    )
    assert (
        done.returncode == 2
        and done.stderr.startswith("jaxloop: --out")
        and "Traceback" not in done.stderr
    )


def test_comparison_starts_without_jax():
    code = "import sys, jaxloop.report.compare_page; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

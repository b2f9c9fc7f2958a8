import base64
import html as markup
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

from jaxloop.analysis.run_folder import load
from jaxloop.report import figures, page
from jaxloop.report.__main__ import main
from jaxloop.report.tables import timing_table

SHOWN = [
    "bias", "overall", "ranked", "groups", "per-class", "generator", "generated-groups", "signals",
    "further",
]  # fmt: skip
SVG = "data:image/svg+xml;base64,"


def pictures(reader, text, kind=SVG):
    """Return the files that a page embeds, in order."""
    sources = [attrs["src"] for tag, attrs in reader(text).tags if tag == "img"]
    return [base64.b64decode(s.removeprefix(kind)) for s in sources if s.startswith(kind)]


@pytest.fixture(scope="module")
def html(simulated):
    return page.build(simulated)


def test_the_answer_comes_first_then_figures_then_tables_then_notes(html):
    places = [html.index(text) for text in (
        "does bias grow?", "Cannot tell what generated data do to bias: this run has no arm",
        "as the paper reads its figures", "What is missing", "Bias, with and without",
        "Overall performance", "Accuracy of ranked subgroups",
        "Generated images", "Accuracy by subgroup", "Training: loss and gradient norm",
        "The answers</h2>", "How to read this", "Before and after",
        "What the filter did", "(eq. 6)", "All numbers", "Notes on this run", "Provenance",
    )]  # fmt: skip
    assert places == sorted(places)
    answers = html[html.index("The answers</h2>") : html.index("How to read this")]
    # Two classifiers, the slopes of two measures; seeds differ, but not over generations.
    assert answers.count('<span class="verdict unclear">') == 4
    assert "other rows are exploratory and uncorrected" in answers


def test_every_measure_and_note_is_on_the_page(html, full_log):
    # The one table of everything, not a mention elsewhere.
    everything = html[html.index("<caption><span>Every measure") :]
    for subject, metric in {(r["subject"], r["metric"]) for r in full_log if "epoch" not in r}:
        assert re.search(f"<td>{metric}(, [a-z]+( [0-9])?)?</td>", everything)
        assert f"<td>{subject}</td>" in everything
    for text in (
        "The split is &lt;odd&gt;.", "c0ffee", "0.10.2", "cpu x1",
        "It is not FID", "unordered", "both directions", "filter.drop", "1294",
    ):  # fmt: skip
        assert text in html


def test_every_figure_is_there_once_scales_and_is_captioned(html, reader):
    drawn = [attrs for tag, attrs in reader(html).tags if attrs.get("src", "").startswith(SVG)]
    assert len(drawn) == len(SHOWN) and all(attrs["alt"] for attrs in drawn)
    ids = re.findall('<h2 id="([a-z-]+)">', html)
    assert [name for name in ids if name in SHOWN] == SHOWN
    assert all(b'viewBox="0 0 ' in svg for svg in pictures(reader, html))
    style = html[: html.index("</style>")]
    assert ".drawn img { display: block; width: 100%; height: auto;" in style
    bands = "Lines: mean over n = 3 seeds; bands: 95% t-interval of that mean."
    assert html.count(bands) == len(SHOWN) - 1 and html.count("n = 3 seeds.") == 1  # signals


def test_page_loads_nothing_and_its_ids_are_unique(html, reader):
    tags = reader(html).tags
    assert not {"link", "script", "iframe", "object", "base"} & {tag for tag, _ in tags}
    for _, attrs in tags:
        for name in ("src", "href", "srcset", "data"):
            assert attrs.get(name, "data:image/").startswith(("data:image/", "#"))
    assert "@import" not in html and "url(" not in html and "http" not in html
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0


def test_sample_grids_are_embedded_as_they_are_by_generation(html, simulated, reader):
    expected = [simulated / f"samples/g{g:02d}_s{s}.png" for s in (0, 1) for g in (1, 2, 3, 4)]
    embedded = pictures(reader, html, "data:image/png;base64,")
    assert embedded == [path.read_bytes() for path in expected]
    sized = [a for tag, a in reader(html).tags if tag == "img" and "width" in a]
    assert {(a["width"], a["height"]) for a in sized} == {("12", "8")}


def test_torn_grid_is_left_out_and_told(make_workdir):
    folder = make_workdir()
    grid = folder / "samples/g02_s0.png"
    grid.write_bytes(grid.read_bytes()[:-5])
    text = page.build(folder)
    assert "g02_s0.png is not a whole PNG file" in text and text.count("data:image/png") == 7


def test_timing_adds_up_interrupted_stages(html, simulated):
    table = html[html.index("<caption><span>Wall-clock") :]
    assert '<td>1</td><td class="number">42.2</td><td class="number">–</td>' in table
    assert '<td class="number">912</td>' in table and "1.2 minutes in all" in html
    frame = timing_table(load(simulated))
    assert list(frame.columns) == ["gen", "generator", "classifiers", "all", "peak MB"]
    assert frame["all"].tolist() == [30.0, 42.25] and frame["peak MB"].tolist() == [None, "912"]


def test_same_workdir_gives_the_same_page(html, simulated):
    assert page.build(simulated) == html


def test_diverged_classifier_is_told_and_marked_in_the_figure(html, make_workdir, full_log, reader):
    assert not any(b">diverged</text>" in svg for svg in pictures(reader, html))
    for r in full_log:
        # Its values are null, as a diverged model's may be: the cross has no curve to stand on.
        if (r["subject"], r["generation"]) == ("alexnet", 4):
            r["value"] = 1 if r["metric"] == "diverged" else None
    text = page.build(make_workdir(full_log))
    assert "alexnet diverged in generation 4 (seeds 0, 1 and 2)" in text
    assert b">diverged</text>" in pictures(reader, text)[1]
    assert re.search(r"alexnet, accuracy, meo.*: no value in generation 4", text)


def test_what_records_carry_is_on_the_page(make_workdir, full_log, reader):
    facts = {"n": 390, "n_real": 1294, "d": 2048, "resize": "bilinear", "sha256": "0123456789abcd"}
    log = [r | {"interval": [0.25, 0.75]} if r["metric"] == "accuracy" else r for r in full_log]
    kid = {"seed": 0, "generation": 1, "subject": "generator", "network": "inception"}
    kid |= {"metric": "kid", "value": -0.001}
    log.append(kid | {"features": facts, "caveat": "rank_deficient"})
    log.append(kid | {"metric": "kid_std", "value": 0.002})
    text = page.build(make_workdir(log))
    assert text.count("kid, inception: no more images than features") == 1
    assert "[0.250, 0.750]" in text
    part = text[text.index('<h2 id="generator">') : text.index('<h2 id="generated-groups">')]
    assert "n = 390 generated and 1294 real images, d = 2048 features" in part
    assert "weights 0123456789ab." in part
    assert b">KID, inception \xe2\x86\x93</text>" in pictures(reader, part)[0]
    assert "kid_std, inception" in text and "spread" not in part


def test_one_seed(make_workdir, full_log):
    text = page.build(make_workdir([r for r in full_log if r["seed"] == 0], seeds=[0]))
    assert text[: text.index("How to read this")].count("○ cannot tell") == 4
    assert "n = 1 seed, so no interval can be given." in text


def test_generation_zero_alone(make_workdir, full_log):
    text = page.build(make_workdir([r for r in full_log if r["generation"] == 0]))
    assert "only generation 0 is measured" in text
    assert "generation 0 of 4 is the last one measured" in text
    assert "This run has no values for this figure." in text


def test_missing_measures_and_timing_are_no_error(make_workdir, full_log, reader):
    folder = make_workdir([r for r in full_log if r["metric"] == "accuracy" and "rank" not in r])
    (folder / "timing.jsonl").unlink()
    text = page.build(folder)
    assert "Run time: not recorded." in text
    assert any(b"no values</text>" in picture for picture in pictures(reader, text))


def test_many_classifiers_and_unknown_measures_are_drawn(make_workdir, full_log):
    names = [f"net{i}" for i in range(9)]
    log = [r | {"subject": name} for r in full_log if r["subject"] == "lenet" for name in names]
    log += [r | {"metric": "odd_drop"} for r in log if r["metric"] == "md"]
    log += [r | {"ablation": "box"} for r in log if r["metric"] == "accuracy" and "rank" not in r]
    run = load(make_workdir(log, classifiers=names))
    assert len(figures.ranked(run)) == 9
    assert len({line.style for line in figures.overall(run)[0].lines}) == 9
    titles = [panel.title for panel in figures.further(run)]
    assert titles == ["epochs trained", "odd drop", "accuracy, box greyed"]
    assert '<h2 id="further">' in page.build(run.path)


SPOILED = "<script>alert(1)</script>"


def test_names_that_people_gave_are_escaped_and_bytes_that_are_no_letter_are_shown(make_workdir):
    folder = make_workdir(data={"name": SPOILED})
    config = json.loads((folder / "config.json").read_text())
    config["data"] |= {"class_names": ["caf\udce9", SPOILED], "group_names": ["$a$", "b\udcff"]}
    (folder / "config.json").write_text(json.dumps(config))
    assert main([str(folder)]) == 0
    text = (folder / "report.html").read_text()  # valid UTF-8
    assert SPOILED not in text and markup.escape(SPOILED) in text
    assert "caf?" in text and "b?" in text
    assert json.loads((folder / "report.json").read_text())["run"]["data"]["class_names"][0]


def test_command_writes_both_files(make_workdir, capsys):
    folder = make_workdir()
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert "as the paper reads its figures" in (folder / "report.html").read_text()
    numbers = json.loads((folder / "report.json").read_text())
    assert numbers["answer"]["headline"][0].startswith("Cannot tell what generated data do")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda w: (w / "config.json").unlink(), "config.json"),
        (lambda w: (w / "config.json").write_text("{"), "config.json"),
        (lambda w: (w / "config.json").write_text("[]"), "layout"),
        (lambda w: (w / "records.jsonl").unlink(), "records.jsonl"),
        (lambda w: (w / "records.jsonl").write_text(""), "records.jsonl"),
        (lambda w: (w / "records.jsonl").write_text("oops\n"), "records.jsonl:1"),
        (lambda w: (w / "timing.jsonl").write_text("{}\n"), "timing.jsonl:1"),
    ],
)
def test_bad_workdir_ends_with_code_2_one_line_and_no_report(make_workdir, capsys, spoil, named):
    folder = make_workdir()
    spoil(folder)
    assert main([str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and named in said.err
    assert not (folder / "report.html").exists() and not (folder / "report.json").exists()


def command(*arguments, **options):
    line = [sys.executable, "-m", "jaxloop.report", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, **options)


def test_command_line_in_a_process_of_its_own(tmp_path):
    for arguments in ([tmp_path / "nowhere"], []):
        done = command(*arguments)
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr


def test_a_terminal_without_the_letters_of_a_folder(make_workdir, tmp_path):
    folder = make_workdir().rename(tmp_path / "Zürich 犬")
    done = command(folder, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/Zürich ?/report.html\n"
    assert unquote("Z%FCrich", "latin-1") in done.stdout


def test_a_reader_that_is_gone_is_no_error(make_workdir):
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "jaxloop.report", str(make_workdir())]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_report_starts_without_jax():
    code = "import sys, jaxloop.report.__main__; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_contents_are_worked_out_once_for_page_and_numbers(simulated):
    said = page.contents(load(simulated))
    assert said.answer.headline[0].startswith("Cannot tell") and said.people is None
    assert len(said.groups) == 2 and said.classes == said.cells == said.arms == []

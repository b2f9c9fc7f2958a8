import base64
import io
import json
import re
import subprocess
import sys

import matplotlib
import pytest
from PIL import Image

from jaxloop.analysis import run_folder as workdir
from jaxloop.report import figures, page
from jaxloop.report.__main__ import main


@pytest.fixture(scope="module")
def html(simulated):
    return page.build(simulated)


def test_the_answer_comes_first_and_is_right(html):
    places = [html.index(text) for text in (
        "does bias grow?", "In part: bias grew in 4 of 8 comparisons", "+0.0210", "How to read this", "Notes on this run",
        "Overall performance", "Accuracy of ranked subgroups", "Generated images", "All numbers", "Provenance",
    )]  # fmt: skip
    assert places == sorted(places)
    top = html[: html.index("How to read this")]
    assert (
        top.count('<span class="verdict grew">') == 4
        and top.count('<span class="verdict unclear">') == 4
    )
    assert "[+0.0185, +0.0235]" in top and '<td class="number">0.006</td>' in top
    assert (
        "uncorrected interval; verdict and p corrected for 8 verdicts (Holm)" in top
        and "3 seeds are few" in top
    )


def test_every_measure_and_note_is_on_the_page(html, full_log):
    # The one table of everything, not a mention elsewhere.
    everything = html[html.index("<caption><span>Every measure") :]
    for subject, metric in {(r["subject"], r["metric"]) for r in full_log}:
        assert f"<td>{metric}</td>" in everything and f"<td>{subject}</td>" in everything
    for text in ("AlexNet runs at width 0.25.", "The split is &lt;odd&gt;.", "c0ffee", "0.10.2", "cpu x1", "It is not FID",
                 "unordered", "both directions", "filter.drop", "1294"):  # fmt: skip
        assert text in html


def test_every_figure_is_there_twice_and_captioned(html, reader):
    tags = reader(html).tags
    drawn = [attrs for tag, attrs in tags if tag == "svg"]
    for view in ("wide", "narrow"):
        assert sum(attrs["class"] == view for attrs in drawn) == len(figures.FIGURES)
    assert html.count("Lines: mean over n = 3 seeds; bands: 95% t-interval of that mean.") == len(
        figures.FIGURES
    )


def test_page_loads_nothing_and_its_ids_are_unique(html, reader):
    tags = reader(html).tags
    assert not {"link", "script", "iframe", "object", "base"} & {tag for tag, _ in tags}
    for tag, attrs in tags:
        for name, value in attrs.items():
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                assert value.startswith(("data:image/png;base64,", "#")), (tag, name, value)
    assert "@import" not in html and not re.findall(r"url\((?!#)", html)
    assert set(re.findall(r"https?://[^\"\s<]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    used = re.findall(r"url\(#([^)]+)\)", html) + re.findall(r'href="#([^"]+)"', html)
    assert set(used) <= set(ids) and used


def test_sample_grids_are_embedded_as_they_are_by_generation(html, simulated, reader):
    pictures = [attrs for tag, attrs in reader(html).tags if tag == "img"]
    expected = [simulated / f"samples/g{g:02d}_s{s}.png" for s in (0, 1) for g in (1, 2, 3, 4)]
    assert [base64.b64decode(p["src"].partition(",")[2]) for p in pictures] == [
        path.read_bytes() for path in expected
    ]
    assert {(p["width"], p["height"]) for p in pictures} == {("12", "8")}


def test_torn_grid_is_left_out_and_told(make_workdir):
    folder = make_workdir()
    grid = folder / "samples/g02_s0.png"
    grid.write_bytes(grid.read_bytes()[:-5])
    text = page.build(folder)
    assert "g02_s0.png is not a whole PNG file" in text and text.count("<img") == 7


def test_timing_adds_up_interrupted_stages(html):
    table = html[html.index("<caption><span>Wall-clock") :]
    assert (
        '<td>1</td><td class="number">42.2</td><td class="number">–</td><td class="number">42.2</td>'
        in table
    )
    assert '<td class="number">912</td>' in table and "1.2 minutes in all" in html


def test_same_workdir_gives_the_same_page(html, simulated):
    assert page.build(simulated) == html


def test_diverged_classifier_is_told_and_marked_in_the_figure(html, make_workdir, full_log):
    assert ">diverged</text>" not in html
    for r in full_log:
        # Its values are null, as a diverged model's may be: the cross has no curve to stand on.
        if (r["subject"], r["generation"]) == ("alexnet", 4):
            r["value"] = 1 if r["metric"] == "diverged" else None
    text = page.build(make_workdir(full_log))
    assert "alexnet diverged in generation 4 (seeds 0, 1 and 2)" in text
    assert ">diverged</text>" in text
    assert re.search(r"alexnet, accuracy, meo.*: no value in generation 4", text)


def test_what_records_carry_and_notes_on_values_are_on_the_page(make_workdir, full_log):
    facts = {
        "n": 390,
        "n_real": 1294,
        "d": 2048,
        "resize": "bilinear",
        "sha256": "0123456789abcdef",
    }
    log = [r | {"interval": [0.25, 0.75]} if r["metric"] == "accuracy" else r for r in full_log]
    of = {"seed": 0, "generation": 1, "subject": "generator"}
    log.append(of | {"metric": "kid_inception", "value": -0.001, "features": facts})
    log.append(of | {"metric": "kid_inception_note", "value": "fewer images than a subset"})
    log.append(of | {"metric": "kid_std_inception", "value": 0.002})
    text = page.build(make_workdir(log))
    assert text.count("fewer images than a subset") == 1 and "[0.250, 0.750]" in text
    caption = text[text.index('<h2 id="generator">') : text.index('<h2 id="generated-groups">')]
    assert (
        "n = 390 generated and 1294 real images, d = 2048 features" in caption
        and "weights 0123456789ab." in caption
    )
    assert (
        ">KID, inception ↓</text>" in caption
        and "standard error" not in caption
        and "kid_std_inception" in text
    )


def test_one_seed(make_workdir, full_log):
    text = page.build(make_workdir([r for r in full_log if r["seed"] == 0], seeds=[0]))
    assert text[: text.index("How to read this")].count("○ cannot tell (one seed)") == 8
    assert "n = 1 seed, so no interval can be given." in text


def test_generation_zero_alone(make_workdir, full_log):
    text = page.build(make_workdir([r for r in full_log if r["generation"] == 0]))
    assert text.count("○ cannot tell (no trend)") == 8
    assert "generation 0 of 4 is the last one measured" in text
    assert "This run has no values for this figure." in text


def test_missing_measures_and_timing_are_no_error(make_workdir, full_log):
    folder = make_workdir([r for r in full_log if r["metric"] == "accuracy"])
    (folder / "timing.jsonl").unlink()
    text = page.build(folder)
    assert "Run time: not recorded." in text and "no values</text>" in text


def test_many_classifiers_and_unknown_measures_are_drawn(make_workdir, full_log):
    names = [f"net{i}" for i in range(9)]
    log = [r | {"subject": name} for r in full_log if r["subject"] == "lenet" for name in names]
    log += [r | {"metric": "ablation_drop"} for r in log if r["metric"] == "md"]
    run = workdir.load(make_workdir(log, classifiers=names))
    assert len(figures.ranked(run)) == 9
    styles = {line.style for line in figures.overall(run)[0].lines}
    assert len(styles) == 9
    assert [panel.title for panel in figures.training(run)] == ["epochs trained", "ablation drop"]
    assert ">ablation drop</text>" in figures.draw(run, figures.FIGURES[-1]).wide.decode()


def test_headline_is_a_small_png(simulated):
    png = figures.headline(simulated)
    assert Image.open(io.BytesIO(png)).size == (900, 350) and len(png) < 60_000


def test_drawing_leaves_matplotlib_s_settings_alone(simulated):
    with matplotlib.rc_context({"font.size": 31}):
        figures.headline(simulated)
        assert matplotlib.rcParams["font.size"] == 31


def test_command_writes_both_files(make_workdir, capsys):
    folder = make_workdir()
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert "In part: bias grew in 4 of 8" in (folder / "report.html").read_text()
    assert json.loads((folder / "report.json").read_text())["answer"]["headline"].startswith(
        "In part"
    )


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda w: (w / "config.json").unlink(), "config.json"),
        (lambda w: (w / "config.json").write_text("{"), "config.json"),
        (lambda w: (w / "config.json").write_text("[]"), "config.seeds"),
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
    assert (
        said.out == ""
        and said.err.count("\n") == 1
        and named in said.err
        and "Traceback" not in said.err
    )
    assert not (folder / "report.html").exists() and not (folder / "report.json").exists()


def test_command_line_in_a_process_of_its_own(tmp_path):
    for arguments in ([str(tmp_path / "nowhere")], []):
        done = subprocess.run(
            [sys.executable, "-m", "jaxloop.report", *arguments], capture_output=True, text=True
        )
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr


def test_report_starts_without_jax():
    code = (
        "import sys, jaxloop.report.page, jaxloop.report.__main__; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

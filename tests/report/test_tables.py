import json

import pytest

from jaxloop.analysis import frames
from jaxloop.analysis.run_folder import load
from jaxloop.report import layout, page, rendering, tables
from jaxloop.statistics import estimate


@pytest.fixture(scope="module")
def run(simulated):
    return load(simulated)


def cells(frame):
    return layout.rows(frame)


def test_final_table_gives_mean_and_half_width_at_both_ends(run, bias_of):
    table = tables.final_table(run)
    heads = ["classifier", "gen", "accuracy", "MEO", "DI", "MD", "worst subgroup"]
    assert list(table.columns) == heads
    ends = [[subject, g] for subject in ("lenet", "alexnet") for g in ("0", "4")]
    assert [row[:2] for row in cells(table)] == ends
    expected = estimate([1 - bias_of("lenet", seed, 4) for seed in (0, 1, 2)])
    shown = f"{expected.mean:.3f} ± {expected.half_width:.3f}"
    assert cells(table)[1][3] == shown == "0.866 ± 0.010"
    assert cells(table)[0][6] == "0.900"  # 1 - 2 x bias in generation 0


def test_generator_table_starts_at_generation_one(run):
    table = tables.generator_table(run)
    heads = ["gen", "Fréchet distance, lenet", "label agreement", "diversity"]
    assert list(table.columns) == heads
    assert [row[0] for row in cells(table)] == ["1", "2", "3", "4"]
    assert cells(table)[0][1:] == ["14.00 ± 2.48", "0.910 ± 0.025", "0.750"]


def test_adequacy_table_is_of_generation_one(run, make_workdir, full_log):
    table = tables.adequacy_table(run)
    assert cells(table) == [
        ["share of unknown subgroup", "0.050", "0"],
        ["label agreement", "0.910 ± 0.025", "about 1"],
    ]
    log = [r | {"caveat": "estimated"} if r["metric"] == "subgroup_share" else r for r in full_log]
    for seed in (0, 1, 2):
        where = {"seed": seed, "metric": "subgroup_share", "class": 0}
        for group in range(2):
            one = where | {"group": group, "generation": 0, "subject": "real", "value": 0.5}
            log += [
                one,
                one | {"generation": 1, "subject": "generator", "value": 0.2 + 0.6 * group},
            ]
        judge = {"subject": "judge", "metric": "subgroup_accuracy", "value": 0.8}
        log.append(judge | {"seed": seed, "generation": 0})
    path = make_workdir(log)
    assert cells(tables.adequacy_table(load(path)))[:2] == [
        ["subgroups named rightly by the judge, of real test images", "0.800", "about 1"],
        ["imbalance u of subgroups, estimated", "0.300", "near 0; the judge's noise adds to it"],
    ]
    page.write(path)
    assert "estimates of a judge" in (path / "report.html").read_text()


def test_missing_cells_are_dashes_and_one_seed_has_no_interval(make_workdir, full_log):
    one_seed = [
        r | {"value": None} if r["metric"] == "di" else r for r in full_log if r["seed"] == 0
    ]
    run = load(make_workdir(one_seed, seeds=[0]))
    table = tables.final_table(run)
    assert cells(table)[0][2:5] == ["0.975", "0.950", "–"]
    assert "one seed, so no interval" in table.attrs["caption"]


def test_diverged_generation_is_marked(make_workdir, full_log):
    place = {"subject": "alexnet", "metric": "diverged", "generation": 4, "seed": 2}
    log = [r | {"value": 1} if place.items() <= r.items() else r for r in full_log]
    table = tables.final_table(load(make_workdir(log)))
    assert [row[1] for row in cells(table)] == ["0", "4", "0", "4†"]
    assert "† diverged" in table.attrs["caption"]


def test_full_table_has_a_row_for_every_measure(run, full_log):
    rows = cells(tables.full_table(run))
    names = ("subject", "metric", "class", "group", "rank", "network")
    measured = {tuple(map(r.get, names)) for r in full_log if "epoch" not in r}
    assert len(rows) == len(measured)
    shown = [row[:4] for row in rows]
    assert ["lenet", "group_accuracy", "one", "blue"] in shown
    assert ["lenet", "accuracy, rank 1", "", ""] in shown
    assert ["generator", "frechet_distance, lenet", "", ""] in shown


def test_trend_table_says_for_how_many_verdicts_p_is_corrected(run):
    table = tables.trend_table(run)
    rows, p = cells(table), list(table.columns).index("p")
    num = sum(row[p] != "–" for row in rows)
    assert f"corrected for {num} verdicts (Holm)" in table.attrs["caption"] and num >= 20
    same = next(row for row in rows if row[1] == "within_class_diversity")
    assert same[3] == "cannot tell (no spread)" and same[5:7] == ["–", "–"]


def test_within_seed_table_is_of_both_ends_seed_by_seed(make_workdir, full_log, run):
    bounded = ("accuracy", "meo_per_class")
    log = [
        r | {"interval": [r["value"] - 0.02, r["value"] + 0.01]}
        if r["metric"] in bounded and "rank" not in r else r
        for r in full_log
    ]  # fmt: skip
    table = tables.within_seed_table(load(make_workdir(log)))
    heads = ["classifier", "measure", "gen", "seed 0", "seed 1", "seed 2"]
    assert list(table.columns) == heads
    ends = [[s, "accuracy", g] for s in ("lenet", "alexnet") for g in ("0", "4")]
    assert [row[:3] for row in cells(table)] == ends
    place = {"metric": "accuracy", "seed": 2, "generation": 4}
    value = next(r["value"] for r in log if place.items() <= r.items())
    assert cells(table)[1][5] == f"{value:.3f} [{value - 0.02:.3f}, {value + 0.01:.3f}]"
    assert tables.within_seed_table(run) is None


def test_feature_table_has_what_is_recorded(make_workdir, full_log, run):
    kid = {"seed": 0, "generation": 1, "subject": "generator", "metric": "kid", "network": "clip"}
    log = [*full_log, kid | {"value": 0.02}, kid | {"metric": "density", "value": 1.2}]
    table = tables.feature_table(load(make_workdir(log)))
    assert list(table.columns) == ["gen", "kid, clip", "density, clip"]
    assert cells(table)[0] == ["1", "0.0200", "1.200"]
    assert tables.feature_table(run) is None


def test_text_is_aligned_and_repeats_are_blank():
    rows = [["a", "1.0"], ["a", "10.0"], ["long name", None]]
    text = layout.to_text(frames.for_people("caption", ["name", "x"], rows))
    assert text.splitlines() == [
        "caption", "name          x", "---------------", "a           1.0", "           10.0",
        "long name     –",
    ]  # fmt: skip


def test_markdown_escapes_markup():
    text = layout.markdown("a|b\n<img> [x](y) `c` &lt;")
    assert text == r"a\|b \<img\> \[x\](y) \`c\` \&lt;"


def html_of(frame):
    macros = '{% from "macros.html" import table %}{{ table(frame) }}'
    environment = rendering.ENVIRONMENT.overlay(autoescape=True)
    return environment.from_string(macros).render(frame=frame)


def test_html_escapes_and_signs_verdicts():
    rows = [["<b>", "grew", -1.0], ["x", "cannot tell (one seed)", None]]
    text = html_of(frames.for_people("<c>", ["name", "verdict", "x"], rows, 2, 0))
    assert "<b>" not in text and "&lt;b&gt;" in text and "&lt;c&gt;" in text
    assert '<span class="verdict grew">▲ grew</span>' in text
    assert '<span class="verdict unclear">○ cannot tell (one seed)</span>' in text
    assert '<td class="number">−1</td>' in text and '<td class="number">–</td>' in text
    assert "verdict grew" not in html_of(frames.for_people("", ["it"], [["grew"]]))


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_summary_fits_a_terminal_and_says_the_verdicts(make_workdir, full_log, seeds):
    log = json.dumps([record for record in full_log if record["seed"] in seeds])
    log = json.loads(log.replace("alexnet", "mobilenet_v3"))
    workdir = make_workdir(log, seeds=seeds, classifiers=["lenet", "mobilenet_v3"])
    text = page.summary(page.contents(load(workdir)))
    assert max(map(len, text.splitlines())) < 100 and "\n\n\n" not in text
    assert text.startswith(f"jaxloop: digits, generation 4 of 4, {len(seeds)} seed")
    first = next(line for line in text.splitlines() if line.startswith("lenet  "))
    # Of lenet there are predictions, the same in every generation; of the other there are none.
    assert " ".join(first.split()).startswith("lenet slope alignment gap cannot tell +0.000")
    assert "this run has no arm without the loop" in " ".join(text.split())


def test_numbers_as_cells():
    assert [layout.p_value(p) for p in (None, 0.0004, 0.0321)] == ["–", "< 0.001", "0.032"]
    same = estimate([0.5, 0.5])  # no spread, so no interval
    assert layout.with_interval(same) == "0.500"
    signed = [layout.signed(x, 3) for x in (None, -0.0004, 0.0004, -0.5)]
    assert signed == ["–", "+0.000", "+0.000", "-0.500"]
    row = [same, (None, None), (0.5, 1), (0.5, None, None), (float("nan"), 0.1, 0.2), None, 3, -0.5]
    frame = frames.for_people("", list("abcdefgh"), [row], digits=1, signed=["c", "h"])
    written = ["0.5", "–", "[+0.5, 1]", "0.5", "– [0.1, 0.2]", "–", "3", "-0.5"]
    assert layout.rows(frame) == [written]

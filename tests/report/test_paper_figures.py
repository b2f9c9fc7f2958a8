import io

import numpy as np
import pytest
from PIL import Image

from jaxloop.analysis import measures
from jaxloop.analysis.run_folder import load
from jaxloop.report import drawing, paper_figures, rendering
from jaxloop.statistics import estimate

BIASED = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]


@pytest.fixture
def make_run(make_workdir):
    def make(name, log=None, color=None, pretrained=(), **changes):
        data = {"name": name, "color": color or []}
        classifier = {"pretrained": list(pretrained)}
        return load(make_workdir(log, data=data, classifier=classifier, **changes))

    return make


def ablated(log):
    """Return what a run without known subgroups records: accuracy, also under each ablation."""
    whole = [r for r in log if r["metric"] == "accuracy" and "rank" not in r]
    return whole + [
        r | {"ablation": ablation, "value": r["value"] - 0.1 * k - 0.01 * r["seed"]}
        for k, ablation in enumerate(measures.ABLATIONS, start=1)
        for r in whole
    ]


def drawn(*runs):
    return paper_figures.paper_figures(runs)[0]


def names(*runs):
    return [figure.name for figure in drawn(*runs)]


def captions(figures, lacking=None):
    text = rendering.render("captions.md", drawn=figures, lacking=lacking or {})
    return text.replace("\\", "")


def test_figures_are_named_after_what_they_show_and_the_papers_where_the_run_is_its_experiment(
    make_run, full_log
):
    pair = [make_run("mnist"), make_run("mnist", color=BIASED)]
    shown = ("overall-fig3a-fig4a", "subgroups-fig3b-fig4b", "accuracy")
    assert names(*pair) == [f"colorized-mnist-{name}" for name in shown]
    assert names(pair[0])[0] == "colorized-mnist-overall-fig3a"
    pair = [make_run("cifar"), make_run("cifar", pretrained=["a"])]
    shown = ("overall-fig5a-fig6a", "subgroups-fig5b-fig6b")
    assert names(*pair)[:2] == [f"cifar-20-100-{name}" for name in shown]
    assert "breeds-subgroups-fig7" in names(make_run("breeds"))
    shown = ("ablations-fig8", "accuracy-fig9")
    photographs = make_run("hard_imagenet", ablated(full_log))
    assert names(photographs) == [f"hard-imagenet-{name}" for name in shown]
    assert not any("fig" in name for name in names(make_run("digits")))


def test_what_has_no_value_is_not_drawn_and_that_is_said_unless_it_needs_masks(make_run, full_log):
    runs = make_run("hard_imagenet", ablated(full_log)), make_run("mnist")
    _, lacking = paper_figures.paper_figures(runs)
    assert captions([], lacking).strip() == (
        "Hard ImageNet: no run has a value for a figure of overall performance and single-bias "
        "measures and accuracy of ranked subgroups."
    )


def test_runs_of_one_data_set_stand_one_below_the_other_on_the_same_axes(make_run, full_log):
    better = [r | {"value": r["value"] / 2} if r["metric"] == "meo" else r for r in full_log]
    figure = drawn(make_run("mnist"), make_run("mnist", better, color=BIASED))[0]
    titles = ("accuracy ↑", "MEO ↑", "DI ↑", "MD ↓")
    places = [(row, title) for row in ("unbiased", "biased") for title in titles]
    assert [(panel.row, panel.title) for panel in figure.panels] == places
    axes = drawing.build(figure.panels, figure.columns).axes
    for column in range(4):
        assert axes[column].get_ylim() == axes[column + 4].get_ylim()
    assert axes[1].get_ylim()[0] < 0.5 < axes[1].get_ylim()[1]
    caption = captions([figure])
    layout = "the layout of the paper's figure"
    assert f"unbiased ({layout} 3a); biased ({layout} 4a). Lines: mean over" in caption
    alone = captions(drawn(make_run("mnist")))
    assert "The layout of the paper's figure 3a. Lines: mean over n = 3 seeds; bands" in alone


def test_a_classifier_has_one_look_and_one_column_in_all_runs(make_run, full_log):
    log = [r for r in full_log if r["subject"] != "lenet"]
    biased = make_run("mnist", log, color=BIASED, classifiers=["alexnet"])
    overall, subgroups, accuracy = drawn(make_run("mnist"), biased)
    looks = {}
    for line in (line for panel in overall.panels + accuracy.panels for line in panel.lines):
        assert looks.setdefault(line.label, line.style) == line.style
    assert len(set(looks.values())) == 2
    assert [(p.row, p.title, len(p.lines)) for p in subgroups.panels] == [
        ("unbiased", "lenet", 2), ("unbiased", "alexnet", 2),
        ("biased", "lenet", 0), ("biased", "alexnet", 2),
    ]  # fmt: skip
    assert [panel.title for panel in accuracy.panels] == ["unbiased", "biased"]


def test_ablations_show_the_drop_of_accuracy_seed_by_seed(make_run, full_log):
    figure = drawn(make_run("hard_imagenet", ablated(full_log)))[0]
    titles = ["drop, object greyed", "drop, box greyed", "drop, box tiled"]
    assert [panel.title for panel in figure.panels] == titles
    for k, panel in enumerate(figure.panels, start=1):
        expected = estimate([0.1 * k + 0.01 * seed for seed in (0, 1, 2)])
        for e in (point.estimate for line in panel.lines for point in line.points):
            np.testing.assert_allclose(e[:2], expected[:2])


def test_ablation_of_a_seed_without_a_value_is_left_out(make_run, full_log):
    place = {"metric": "accuracy", "seed": 1}
    log = [
        r | {"value": None} if place.items() <= r.items() and "ablation" not in r else r
        for r in ablated(full_log)
    ]
    line = drawn(make_run("hard_imagenet", log))[0].panels[0].lines[0]
    assert {p.estimate[2:] for p in line.points} == {(2, 1)}


def test_many_classifiers_make_two_rows(make_run, full_log):
    many = [f"net{i}" for i in range(7)]
    log = [r | {"subject": name} for r in full_log if r["subject"] == "lenet" for name in many]
    figure = drawn(make_run("breeds", log, classifiers=many))[1]
    assert figure.name == "breeds-subgroups-fig7" and figure.columns == 4


def test_files_are_a_picture_of_at_least_150_dpi_and_an_svg(make_run):
    figure = drawn(make_run("mnist"))[0]
    png, svg = (draw(figure.panels, figure.columns) for draw in (drawing.png, drawing.svg))
    picture = Image.open(io.BytesIO(png))
    assert picture.info["dpi"][0] >= 150 and picture.size[0] == pytest.approx(10.4 * 200, abs=1)
    text = svg.decode()
    assert 'xmlns="http://www.w3.org/2000/svg"' in text and ">lenet</text>" in text
    assert drawing.png(figure.panels, figure.columns) == png

import io

import numpy as np
import pytest
from PIL import Image

from jaxloop.analysis import measures
from jaxloop.analysis import run_folder as workdir
from jaxloop.report import drawing, paper_figures
from jaxloop.statistics import estimate

BIASED = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]


@pytest.fixture
def make_run(make_workdir):
    def make(name, log=None, color=None, pretrained=(), **changes):
        data = {"name": name, "color": color or []}
        return workdir.load(
            make_workdir(log, data=data, classifier={"pretrained": list(pretrained)}, **changes)
        )

    return make


def ablated(log):
    """What a run without known subgroups records: accuracy, and accuracy under the three ablations."""
    whole = [r for r in log if r["metric"] == "accuracy"]
    drops = {m: [r | {"metric": m, "value": r["value"] - 0.1 * k - 0.01 * r["seed"]} for r in whole]
             for k, m in enumerate(measures.ABLATIONS, start=1)}  # fmt: skip
    return whole + [r for rows in drops.values() for r in rows]


def names(runs):
    return [figure.name for figure in paper_figures.make(runs)[0]]


def test_figures_are_named_after_what_they_show_and_the_papers_where_the_run_is_its_experiment(
    make_run, full_log
):
    pair = [make_run("mnist"), make_run("mnist", color=BIASED)]
    assert names(pair) == ["colorized-mnist-overall-fig3a-fig4a", "colorized-mnist-subgroups-fig3b-fig4b",
                           "colorized-mnist-accuracy"]  # fmt: skip
    assert names(pair[:1])[0] == "colorized-mnist-overall-fig3a"
    pair = [make_run("cifar"), make_run("cifar", pretrained=["a"])]
    assert names(pair)[:2] == [
        "cifar-20-100-overall-fig5a-fig6a",
        "cifar-20-100-subgroups-fig5b-fig6b",
    ]
    assert "breeds-subgroups-fig7" in names([make_run("breeds")])
    assert names([make_run("hard_imagenet", ablated(full_log))]) == [
        "hard-imagenet-ablations-fig8", "hard-imagenet-accuracy-fig9",
    ]  # fmt: skip
    assert not any("fig" in name for name in names([make_run("digits")]))


def test_what_has_no_value_is_not_drawn_and_that_is_said(make_run, full_log):
    _, lacking = paper_figures.make(
        [make_run("hard_imagenet", ablated(full_log)), make_run("mnist")]
    )
    assert lacking == [
        "Hard ImageNet: no run has a value for a figure of overall performance and single-bias measures and accuracy of "
        "ranked subgroups.",
        "Colorized MNIST: no run has a value for a figure of reliance on spurious cues.",
    ]


def test_runs_of_one_data_set_stand_one_below_the_other_on_the_same_axes(make_run, full_log):
    better = [r | {"value": r["value"] / 2} if r["metric"] == "meo" else r for r in full_log]
    figure = paper_figures.make([make_run("mnist"), make_run("mnist", better, color=BIASED)])[0][0]
    assert [(panel.row, panel.title) for panel in figure.panels] == [
        (row, title)
        for row in ("unbiased", "biased")
        for title in ("accuracy ↑", "MEO ↑", "DI ↑", "MD ↓")
    ]
    axes = drawing._figure(figure.panels, figure.columns, 10).axes
    for column in range(4):
        assert axes[column].get_ylim() == axes[column + 4].get_ylim()
    assert axes[1].get_ylim()[0] < 0.5 < axes[1].get_ylim()[1]
    assert (
        "unbiased (the layout of the paper's figure 3a); biased (the layout of the paper's figure 4a)"
        in figure.caption
    )
    assert figure.caption.endswith(
        "Lines: mean over n = 3 seeds; bands: 95% t-interval of that mean."
    )


def test_a_classifier_has_one_look_and_one_column_in_all_runs(make_run, full_log):
    log = [r for r in full_log if r["subject"] != "lenet"]
    runs = [make_run("mnist"), make_run("mnist", log, color=BIASED, classifiers=["alexnet"])]
    overall, subgroups, accuracy = paper_figures.make(runs)[0]
    looks = {}
    for panel in overall.panels + accuracy.panels:
        for line in panel.lines:
            assert looks.setdefault(line.label, line.style) == line.style
    assert len(set(looks.values())) == 2
    assert [(p.row, p.title, len(p.lines)) for p in subgroups.panels] == [
        ("unbiased", "lenet", 2), ("unbiased", "alexnet", 2), ("biased", "lenet", 0), ("biased", "alexnet", 2),
    ]  # fmt: skip
    assert [panel.title for panel in accuracy.panels] == ["unbiased", "biased"]


def test_ablations_show_the_drop_of_accuracy_seed_by_seed(make_run, full_log):
    figure = paper_figures.make([make_run("hard_imagenet", ablated(full_log))])[0][0]
    assert [panel.title for panel in figure.panels] == [
        "drop, object greyed",
        "drop, box greyed",
        "drop, box tiled",
    ]
    for k, panel in enumerate(figure.panels, start=1):
        for line in panel.lines:
            expected = estimate([0.1 * k + 0.01 * seed for seed in (0, 1, 2)])
            for point in line.points:
                np.testing.assert_allclose(
                    [point.estimate.mean, point.estimate.half_width],
                    [expected.mean, expected.half_width],
                )


def test_ablation_of_a_seed_without_a_value_is_left_out(make_run, full_log):
    log = [
        r | {"value": None} if (r["metric"], r["seed"]) == ("accuracy", 1) else r
        for r in ablated(full_log)
    ]
    figure = paper_figures.make([make_run("hard_imagenet", log)])[0][0]
    assert {(p.estimate.num, p.estimate.num_missing) for p in figure.panels[0].lines[0].points} == {
        (2, 1)
    }


def test_many_classifiers_make_two_rows(make_run, full_log):
    many = [f"net{i}" for i in range(7)]
    log = [r | {"subject": name} for r in full_log if r["subject"] == "lenet" for name in many]
    figure = paper_figures.make([make_run("breeds", log, classifiers=many)])[0][1]
    assert figure.name == "breeds-subgroups-fig7" and figure.columns == 4


def test_files_are_a_picture_of_at_least_150_dpi_and_an_svg(make_run):
    figure = paper_figures.make([make_run("mnist")])[0][0]
    picture = Image.open(io.BytesIO(paper_figures.png(figure)))
    assert picture.info["dpi"][0] >= 150 and picture.size[0] == pytest.approx(10.4 * 200, abs=1)
    text = paper_figures.svg(figure).decode()
    assert (
        text.startswith("<svg")
        and 'xmlns="http://www.w3.org/2000/svg"' in text
        and ">lenet</text>" in text
    )
    assert (
        paper_figures.png(figure) == paper_figures.png(figure)
        and paper_figures.svg(figure).decode() == text
    )

"""What is drawn, read back from Matplotlib's own artists."""

import numpy as np
import pytest

from jaxloop.analysis import results
from jaxloop.analysis import run_folder as workdir
from jaxloop.report import drawing, figures
from jaxloop.statistics import Estimate, estimate


@pytest.fixture(scope="module")
def run(simulated):
    return workdir.load(simulated)


def axes_of(panels, **keywords):
    return drawing._figure(panels, columns=4, inches=10, **keywords).axes


def test_panels_show_the_measures_that_their_figures_promise(run):
    titles = {
        figure.name: [panel.title for panel in figure.panels(run)] for figure in figures.FIGURES
    }
    assert titles == {
        "overall": ["accuracy ↑", "MEO ↑", "DI ↑", "MD ↓"],
        "ranked": ["lenet", "alexnet"],
        "groups": ["lenet", "alexnet"],
        "per-class": ["MEO, per class ↑", "DI, per class ↑", "MD, per class ↓"],
        "generator": ["fd_lenet ↓", "label agreement ↑", "diversity within a class ↑"],
        "generated-groups": ["share among kept", "share dropped"],
        "training": ["epochs trained"],
    }
    labels = {
        figure.name: [line.label for line in figure.panels(run)[0].lines]
        for figure in figures.FIGURES
    }
    assert labels["overall"] == ["lenet", "alexnet"]
    assert labels["ranked"] == ["rank 1 (worst)", "rank 2 (best)"]
    assert labels["groups"] == ["red", "blue"]
    assert labels["generated-groups"] == ["red", "blue", "unknown subgroup"]


def test_line_is_the_mean_and_band_its_interval(run, bias_of):
    axes = axes_of(figures.overall(run))[1]  # MEO
    by_generation = [
        estimate([1 - bias_of("lenet", seed, g) for seed in (0, 1, 2)]) for g in range(5)
    ]
    np.testing.assert_allclose(
        axes.lines[0].get_xydata(), [[g, e.mean] for g, e in enumerate(by_generation)]
    )
    corners = axes.collections[0].get_paths()[0].vertices
    assert (
        by_generation[0].low is None and not (corners[:, 0] == 0).any()
    )  # all seeds start alike: no spread, no band
    for generation, e in list(enumerate(by_generation))[1:]:
        here = corners[corners[:, 0] == generation, 1]
        np.testing.assert_allclose([here.min(), here.max()], [e.low, e.high])


def test_generation_without_a_value_breaks_the_line():
    points = [
        results.Point(g, estimate(values))
        for g, values in enumerate([[0.1, 0.2], [None, None], [0.3, 0.4]])
    ]
    axes = axes_of([drawing.Panel("x", [drawing.Line("a", points, drawing.style(0))])])[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.15, np.nan, 0.35])


@pytest.mark.parametrize(("mean", "height"), [(0.7, 0.7), (None, "bottom")])
def test_diverged_generation_has_a_cross_even_where_it_has_no_value(mean, height):
    points = [
        results.Point(0, Estimate(0.5, None, 1, 0)),
        results.Point(1, Estimate(mean, None, int(mean is not None), 0)),
    ]
    axes = axes_of(
        [drawing.Panel("x", [drawing.Line("a", points, drawing.style(0), frozenset({1}))])]
    )[0]
    curve, cross = axes.lines
    assert cross.get_marker() == "x" and curve.get_marker() != "x"
    x, y = cross.get_xydata()[0]
    assert x == 1 and y == pytest.approx(axes.get_ylim()[0] if height == "bottom" else height)


def test_axis_holds_every_mean_and_does_not_leave_the_measure_s_range_for_a_wide_band():
    points = [
        results.Point(0, Estimate(0.5, 3.0, 2, 0)),
        results.Point(1, Estimate(0.9, 0.01, 2, 0)),
    ]
    axes = axes_of([drawing.Panel("x", [drawing.Line("a", points, drawing.style(0))], 0, 1)])[0]
    low, high = axes.get_ylim()
    assert -0.1 < low < 0 and 1 < high < 1.1


def test_lines_differ_without_colour():
    in_grey = [drawing.style(i)[1:] for i in range(8)]
    assert len(set(in_grey)) == 8


def test_subgroups_named_by_colours_wear_them_only_if_all_can(make_workdir, full_log, run):
    assert [line.style[0] for line in figures.group_accuracy(run)[0].lines] == [
        drawing.VERMILLION,
        drawing.BLUE,
    ]
    other = workdir.load(make_workdir())
    other.group_names[1] = "striped"
    colors = [line.style[0] for line in figures.group_accuracy(other)[0].lines]
    assert colors == [drawing.BLUE, drawing.VERMILLION]


def points(*values):
    return [results.Point(g, estimate([value, value])) for g, value in enumerate(values)]


def test_panels_on_one_scale_have_the_same_axes_and_others_their_own():
    panels = [
        drawing.Panel("a", [drawing.Line("x", points(0.1, 0.2), drawing.style(0))], scale="s"),
        drawing.Panel("b", [drawing.Line("x", points(0.8, 0.9, 0.9), drawing.style(0))], scale="s"),
        drawing.Panel("c", [drawing.Line("x", points(0.5, 0.5), drawing.style(0))]),
    ]
    a, b, c = axes_of(panels)
    assert a.get_ylim() == b.get_ylim() and a.get_xlim() == b.get_xlim()
    assert (
        a.get_ylim()[0] < 0.1
        and a.get_ylim()[1] > 0.9
        and c.get_ylim()[0] > 0.4
        and c.get_xlim()[1] < 2
    )


def test_a_new_row_begins_where_its_name_changes():
    panels = [drawing.Panel(str(i), [], row=row) for i, row in enumerate("AAABBB")]
    assert drawing._places(panels, 2) == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (3, 0)]
    assert drawing._places(panels, 3) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [axes.get_ylabel() for axes in axes_of(panels)] == ["A", "", "", "B", "", ""]
    assert drawing._places([drawing.Panel("x", [])] * 5, 2) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
    ]

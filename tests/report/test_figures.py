"""What is drawn, read back from Matplotlib's own artists."""

import matplotlib
import numpy as np
import pytest

from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import load
from jaxloop.report import drawing, figures, rendering
from jaxloop.report.drawing import Line, Panel
from jaxloop.statistics import Estimate, estimate

NAMES = (
    "overall", "ranked", "groups", "per_class", "generator", "generated_groups", "signals",
    "further",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(simulated):
    return load(simulated)


def axes_of(panels):
    return drawing.build(panels, 4).axes


def caption_of(panels):
    template = '{% from "paper.html" import seeds %}{{ seeds(panels) }}'
    return rendering.ENVIRONMENT.from_string(template).render(panels=panels)


def points(*values):
    return [Point(g, estimate([value, value])) for g, value in enumerate(values)]


def test_panels_show_the_measures_that_their_figures_promise(run):
    panels = {name: getattr(figures, name)(run) for name in NAMES}
    networks = ("lenet", "alexnet", "generator", "discriminator")
    assert {name: [panel.title for panel in drawn] for name, drawn in panels.items()} == {
        "overall": ["accuracy ↑", "MEO ↑", "DI ↑", "MD ↓"],
        "ranked": ["lenet", "alexnet"],
        "groups": ["lenet", "alexnet"],
        "per_class": ["MEO, per class ↑", "DI, per class ↑", "MD, per class ↓"],
        "generator": [
            "Fréchet distance, lenet ↓", "label agreement ↑", "diversity within a class ↑",
        ],
        "generated_groups": ["share among kept", "share dropped"],
        "signals": [f"{n}: {what}" for n in networks for what in ("loss", "gradient norm")],
        "further": ["epochs trained"],
    }  # fmt: skip
    labels = {name: [line.label for line in drawn[0].lines] for name, drawn in panels.items()}
    assert labels["overall"] == ["lenet", "alexnet"]
    assert labels["ranked"] == ["rank 1 (worst)", "rank 2 (best)"]
    assert labels["groups"] == ["red", "blue"]
    assert labels["generated_groups"] == ["red", "blue", "unknown subgroup"]


def test_line_is_the_mean_and_band_its_interval(run, bias_of):
    axes = axes_of(figures.overall(run))[1]  # MEO
    estimates = [estimate([1 - bias_of("lenet", s, g) for s in (0, 1, 2)]) for g in range(5)]
    means = [[g, e.mean] for g, e in enumerate(estimates)]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), means)
    corners = axes.collections[0].get_paths()[0].vertices
    # All seeds start alike: no spread, no band.
    assert estimates[0].low is None and not (corners[:, 0] == 0).any()
    for generation, e in list(enumerate(estimates))[1:]:
        here = corners[corners[:, 0] == generation, 1]
        np.testing.assert_allclose([here.min(), here.max()], [e.low, e.high])


def test_signals_are_means_over_seeds_by_epoch_and_split(run):
    loss, norm = figures.signals(run)[:2]
    lines = {line.label: line.points for line in loss.lines}
    shown = [f"generation {g}" for g in (4, 3, 1, 0)]
    assert list(lines) == [label + split for label in shown for split in ("", ", validation")]
    for g, factor, label in ((1, 1, "generation 1"), (4, 1.5, "generation 4, validation")):
        expected = [factor * (1 / epoch + 0.1 * g + 0.01) for epoch in (1, 2, 3)]
        assert [p.generation for p in lines[label]] == [1, 2, 3]
        np.testing.assert_allclose([p.estimate.mean for p in lines[label]], expected)
        assert {(p.estimate.half_width, p.estimate.num) for p in lines[label]} == {(None, 3)}
    assert [line.label for line in norm.lines] == shown
    colors = [line.style[0] for line in norm.lines]
    assert colors == sorted(colors, key=lambda c: sum(matplotlib.colors.to_rgb(c)))  # dark first
    # A generation has one look in all panels; the generator has no generation 0.
    panels = figures.signals(run)
    styles = {(line.label, line.style) for panel in panels for line in panel.lines}
    assert len(styles) == len({label for label, _ in styles}) == 8
    assert [line.label for line in panels[4].lines] == shown[:3]
    assert caption_of([loss]) == "Lines: mean over n = 3 seeds."


def test_an_epoch_without_a_value_breaks_the_line_and_seeds_may_stop_early(make_workdir, full_log):
    place = {"subject": "lenet", "metric": "loss", "split": "training", "generation": 0}
    log = [
        r | {"value": None} if place.items() <= r.items() and r["epoch"] == 2 else r
        for r in full_log if r.get("epoch") != 3 or r["seed"] == 0
    ]  # fmt: skip
    last = figures.signals(load(make_workdir(log)))[0].lines[-2]
    assert [(p.estimate.mean is None, p.estimate.num) for p in last.points] == [
        (False, 3), (True, 0), (False, 1),
    ]  # fmt: skip


def test_generation_without_a_value_breaks_the_line():
    broken = [Point(g, estimate(v)) for g, v in enumerate([[0.1, 0.2], [None, None], [0.3, 0.4]])]
    axes = axes_of([Panel("x", [Line("a", broken, drawing.style(0))])])[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.15, np.nan, 0.35])


@pytest.mark.parametrize(("mean", "height"), [(0.7, 0.7), (None, "bottom")])
def test_diverged_generation_has_a_cross_even_where_it_has_no_value(mean, height):
    estimates = Estimate(0.5, None, 1, 0), Estimate(mean, None, int(mean is not None), 0)
    line = Line("a", [*map(Point, (0, 1), estimates)], drawing.style(0), frozenset({1}))
    axes = axes_of([Panel("x", [line])])[0]
    curve, cross = axes.lines
    assert cross.get_marker() == "x" and curve.get_marker() != "x"
    x, y = cross.get_xydata()[0]
    assert x == 1 and y == pytest.approx(axes.get_ylim()[0] if height == "bottom" else height)


def test_axis_holds_every_mean_and_does_not_leave_the_measure_s_range_for_a_wide_band():
    wide = [Point(0, Estimate(0.5, 3.0, 2, 0)), Point(1, Estimate(0.9, 0.01, 2, 0))]
    axes = axes_of([Panel("x", [Line("a", wide, drawing.style(0))], 0, 1)])[0]
    low, high = axes.get_ylim()
    assert -0.1 < low < 0 and 1 < high < 1.1


def test_lines_differ_without_colour_and_32_of_them_at_all():
    assert len({drawing.style(i)[1:] for i in range(8)}) == 8
    assert len({drawing.style(i) for i in range(32)}) == 32


def test_subgroups_named_by_colours_wear_them_only_if_all_can(make_workdir, run):
    lines = figures.groups(run)[0].lines
    assert [line.style[0] for line in lines] == [drawing.COLORS["red"], drawing.COLORS["blue"]]
    other = load(make_workdir())
    other.group_names[1] = "striped"
    colors = [line.style[0] for line in figures.groups(other)[0].lines]
    assert colors == [drawing.COLORS["blue"], drawing.COLORS["red"]]


def test_panels_on_one_scale_have_the_same_axes_and_others_their_own():
    values = {"a": (0.1, 0.2), "b": (0.8, 0.9, 0.9), "c": (0.5, 0.5)}
    lines = {name: [Line("x", points(*v), drawing.style(0))] for name, v in values.items()}
    a, b, c = axes_of([Panel(n, own, scale="" if n == "c" else "s") for n, own in lines.items()])
    assert a.get_ylim() == b.get_ylim() and a.get_xlim() == b.get_xlim()
    assert a.get_ylim()[0] < 0.1 and a.get_ylim()[1] > 0.9
    assert c.get_ylim()[0] > 0.4 and c.get_xlim()[1] < 2


def test_a_new_row_begins_where_its_name_changes():
    panels = [Panel(str(i), [], row=row) for i, row in enumerate("AAABBB")]
    two, three = (
        ["".join(p.title for p in row) for row in drawing.rows_of(panels, n)] for n in (2, 3)
    )
    assert two == ["01", "2", "34", "5"] and three == ["012", "345"]
    assert [axes.get_ylabel() for axes in axes_of(panels)] == ["A", "", "", "B", "", ""]
    five = drawing.rows_of([Panel("x", [])] * 5, 2)
    assert list(map(len, five)) == [2, 2, 1]


def test_names_that_people_gave_are_drawn_as_they_are():
    """Neither mathematics nor hidden; bytes that are no character become a question mark."""
    labels = ["$x$", "_hidden", "a\udcff", "<b> & 犬"]
    lines = [Line(name, points(0.1, 0.2), drawing.style(i)) for i, name in enumerate(labels)]
    text = drawing.svg([Panel("a\udcff $", lines, row="r\udcff")], 1).decode()
    for shown in ("$x$", "_hidden", "a?", "&lt;b&gt; &amp; 犬", "a? $", "r?"):
        assert f">{shown}</text>" in text
    assert drawing.png([Panel("犬", lines)], 1)[:4] == b"\x89PNG"


def test_svg_scales_says_nothing_of_when_and_leaves_matplotlib_alone(run):
    panels = figures.overall(run)
    with matplotlib.rc_context({"font.size": 31}):
        first = drawing.svg(panels, 2)
        assert matplotlib.rcParams["font.size"] == 31
    assert first == drawing.svg(panels, 2)
    text = first.decode()
    assert 'viewBox="0 0 ' in text and "<dc:date>" not in text and ">lenet</text>" in text


def test_seeds_are_told_in_the_caption_and_no_figure_is_drawn_without_a_value():
    def panel(*nums):
        ends = [Point(g, Estimate(0.5, None, n, 0)) for g, n in enumerate(nums)]
        return [Panel("x", [Line("a", ends, drawing.style(0))])]

    assert figures.num_seeds(panel(0, 0)) == []
    assert caption_of(panel(1, 1)) == "n = 1 seed, so no interval can be given."
    assert caption_of(panel(1, 3)) == (
        "Lines: mean over n = 1 to 3 seeds; bands: 95% t-interval of that mean where n > 1."
    )

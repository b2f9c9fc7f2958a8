"""The figures of the report: which measures stand side by side. `drawing` says how they look.

Each function takes a Run and returns panels; `FIGURES` lists them in the order of the page. Curves are means over seeds,
bands their 95 % t-intervals.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop.analysis import measures, results
from jaxloop.analysis.run_folder import Name, Run, load
from jaxloop.report import drawing
from jaxloop.report.drawing import Line, Panel

_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


class Figure(NamedTuple):
    """name: short, unique, for files and anchors.  heading, caption: for the page.  columns: panels in a row."""

    name: str
    heading: str
    caption: str
    panels: Callable[[Run], list[Panel]]
    columns: int


def overall(run: Run) -> list[Panel]:
    """Accuracy, MEO, DI and MD in a row, a line for each classifier: the layout of the paper's figures 3a to 6a."""
    return [by_classifier(run, metric, run.classifiers) for metric in measures.OVERALL]


def per_class(run: Run) -> list[Panel]:
    """MEO, DI and MD within each class, averaged over classes."""
    return [by_classifier(run, metric, run.classifiers) for metric in measures.PER_CLASS]


def ranked(run: Run) -> list[Panel]:
    """A panel for each classifier, a line for each rank of subgroup, worst darkest: the layout of figures 3b to 6b."""
    return [Panel(s, rank_lines(run, s), 0, 1, scale="accuracy") for s in run.classifiers]


def rank_lines(run: Run, subject: str) -> list[Line]:
    """A line for each rank of subgroup of a classifier, worst darkest."""
    ranks = results.ranks(run, subject)
    return [
        _line(
            run,
            Name(subject, metric),
            _rank_label(rank, len(ranks)),
            drawing.style(rank - 1, color),
        )
        for rank, (metric, color) in enumerate(
            zip(ranks, drawing.shades(len(ranks)), strict=True), start=1
        )
    ]


def group_accuracy(run: Run) -> list[Panel]:
    """A panel for each classifier, a line for each subgroup, over all classes."""
    return [
        Panel(s, _by_group(run, s, "group_accuracy"), 0, 1, scale="accuracy")
        for s in run.classifiers
    ]


def training(run: Run) -> list[Panel]:
    """Epochs until early stopping, and every classifier measure that no other figure shows."""
    shown = {*measures.OVERALL, *measures.PER_CLASS, "diverged", "epochs_trained"}
    found = [
        metric for subject in run.classifiers for metric in results.scalar_metrics(run, subject)
    ]
    others = [
        metric
        for metric in dict.fromkeys(found)
        if metric not in shown and measures.rank(metric) is None
    ]
    return [by_classifier(run, metric, run.classifiers) for metric in ("epochs_trained", *others)]


def generator(run: Run) -> list[Panel]:
    """Fréchet distances, label agreement, diversity, and every other measure of the generator as a whole."""
    first = [*results.distances(run), *measures.GENERATOR]
    shown = {*first, "diverged", "unknown_share"}
    # How sure a distance is has no curve of its own.
    found = [m for m in results.scalar_metrics(run, "generator") if not m.startswith("kid_std_")]
    others = [metric for metric in found if metric not in shown and measures.rarity(metric) is None]
    crosses = frozenset(results.diverged(run, "generator"))
    lines = {
        metric: _line(run, Name("generator", metric), "", drawing.style(0), crosses)
        for metric in (*first, *others)
    }
    return [_panel(metric, [line]) for metric, line in lines.items()]


def generated_groups(run: Run) -> list[Panel]:
    """By subgroup, by name and by rarity: its share among the kept images, and the share of it that the filter dropped."""
    unknown = _line(
        run, Name("generator", "unknown_share"), "unknown subgroup", ("#777777", "x", "dotted")
    )
    total = _line(run, Name("filter", "drop_rate"), "all subgroups", (drawing.BLACK, "+", "dotted"))
    panels = []
    for lines_of, how in ((_by_group, ""), (_by_rarity, ", by rarity")):
        kept, dropped = (
            lines_of(run, "generator", "subgroup_share"),
            lines_of(run, "filter", "drop_rate"),
        )
        if kept or dropped:
            panels += [
                Panel(f"share among kept{how}", [*kept, unknown], 0, 1),
                Panel(f"share dropped{how}", [*dropped, total], 0, 1),
            ]
    return panels


def with_control(run: Run) -> list[Panel]:
    """`overall` in solid lines, and dashed beside each the control arm's, without its band."""
    panels = []
    for own, control in zip(overall(run), overall(run.control), strict=True):
        lines = [line._replace(style=(*line.style[:2], "solid")) for line in own.lines]
        dashed = [_without_band(line, f"{line.label}, control") for line in control.lines]
        panels.append(own._replace(lines=[*lines, *dashed]))
    return panels


def _without_band(line: Line, label: str) -> Line:
    points = [p._replace(estimate=p.estimate._replace(half_width=None)) for p in line.points]
    return line._replace(label=label, points=points, style=(*line.style[:2], (0, (3, 2))))


FIGURES = (
    Figure(
        "overall", "Overall performance and single-bias measures",
        "Each classifier on the real test set. ↑ higher is better, ↓ lower is better.", overall, 4,
    ),
    Figure(
        "ranked", "Accuracy of ranked subgroups",
        "Within each class the subgroups are ranked by accuracy, then each rank is averaged over classes (eq. 5). A gap "
        "that widens between the darkest line and the lightest is bias that grows.", ranked, 4,
    ),
    Figure(
        "groups", "Accuracy by subgroup", "All test images of one subgroup, over all classes.", group_accuracy, 4,
    ),
    Figure(
        "per-class", "Single-bias measures within each class",
        "The same measures worked out in each class, then averaged: they also see biases that point different ways in "
        "different classes.", per_class, 4,
    ),
    Figure(
        "generator", "The generator",
        "Distance of generated from real images, agreement of the reference classifier with the intended labels, and "
        "diversity within a class (1 = as diverse as real images).", generator, 4,
    ),
    Figure(
        "generated-groups", "Subgroups among the kept images, and what the filter dropped",
        "The share of each subgroup among the images that were kept: one that shrinks is being forgotten. And the share of each "
        "that the filter dropped: a filter that drops one subgroup more often than another is itself biased. By rarity: the rarest "
        "subgroups of every class in the real data together, the second-rarest, and so on.", generated_groups, 4,
    ),
    Figure(
        "training", "Training", "Epochs until early stopping, and measures that no other figure shows.", training, 4,
    ),
)  # fmt: skip


CONTROL = Figure(
    "with-control", "With the filter and with a random choice",
    "Solid: the filtered run; dashed: its control arm, without a band. ↑ higher is better, ↓ lower is better.", with_control, 4,
)  # fmt: skip


class Drawn(NamedTuple):
    """wide, narrow: SVG for a desk and for a phone.  nums: how many seeds its means are over, from fewest to most."""

    wide: bytes
    narrow: bytes
    nums: list[int]


def draw(run: Run, figure: Figure) -> Drawn | None:
    """A figure of a run; None if no panel has a value."""
    return drawn(figure.panels(run), figure.columns)


def drawn(panels: Sequence[Panel], columns: int) -> Drawn | None:
    """Panels in rows of `columns` for a desk, of two for a phone; None if no panel has a value."""
    # A panel without a value stays if a neighbour has one: it says "no values", which is news.
    nums = seeds_of(panels)
    if not nums:
        return None
    wide = drawing.svg(panels, columns, inches_for(panels, columns))
    return Drawn(wide, drawing.svg(panels, min(2, len(panels)), drawing.NARROW_INCHES), nums)


def inches_for(panels: Sequence[Panel], columns: int) -> float:
    """Width of a figure: below three panels in a row they keep their size, and the figure is narrower than the page."""
    return drawing.WIDE_INCHES * min(1, (min(columns, len(panels)) + 0.2) / 3)


def seeds_of(panels: Sequence[Panel]) -> list[int]:
    """How many seeds the means of a figure are over: all numbers that occur, from fewest to most; none if it is empty."""
    return sorted(
        {p.estimate.num for panel in panels for line in panel.lines for p in line.points} - {0}
    )


def seeds_caption(nums: Sequence[int]) -> str:
    """What lines and bands are, given `seeds_of`."""
    if list(nums) == [1]:
        return "n = 1 seed, so no interval can be given."
    n = str(nums[0]) if len(nums) == 1 else f"{nums[0]} to {nums[-1]}"
    where = " where n > 1" if nums[0] == 1 else ""
    return f"Lines: mean over n = {n} seeds; bands: 95% t-interval of that mean{where}."


def headline(workdir: str | os.PathLike) -> bytes:
    """One PNG of 900 x 350 pixels for a README: accuracy, worst-subgroup accuracy and MEO over generations.

    Raises InputError on a bad workdir.
    """
    run = load(workdir)
    num = len(run.seeds)
    name = run.spec.get("data", {}).get("name", "this data set")
    seeds = f"mean and 95% interval, {num} seeds" if num > 1 else "one seed, no interval"
    panels = [
        by_classifier(run, metric, run.classifiers) for metric in ("accuracy", "acc_rank_1", "meo")
    ]
    return drawing.png(panels, 3, 9, 3.5, f"Does bias grow over generations? {name} ({seeds})")


def by_classifier(run: Run, metric: str, classifiers: Sequence[str]) -> Panel:
    """A line for each classifier that the run has; its look comes from its place among `classifiers`."""
    lines = [
        _line(
            run,
            Name(subject, metric),
            subject,
            drawing.style(i),
            frozenset(results.diverged(run, subject)),
        )
        for i, subject in enumerate(classifiers)
        if subject in run.classifiers
    ]
    return _panel(metric, lines)


def _by_group(run: Run, subject: str, metric: str) -> list[Line]:
    groups = sorted(
        {n.group for n in run.values if n[:3] == (subject, metric, None) and n.group is not None}
    )
    names = [results.group_name(run, group) for group in groups]
    # All by their own colour, or all by the palette: mixing the two could give two subgroups one colour.
    own = all(name in drawing.COLOR_WORDS for name in names)
    return [
        _line(
            run,
            Name(subject, metric, None, g),
            name,
            drawing.style(i, drawing.COLOR_WORDS[name] if own else None),
        )
        for i, (g, name) in enumerate(zip(groups, names, strict=True))
    ]


def _by_rarity(run: Run, subject: str, metric: str) -> list[Line]:
    own = [
        n for n in results.scalar_metrics(run, subject) if n.partition(measures.RARITY)[0] == metric
    ]
    ranks = sorted(k for k in map(measures.rarity, own) if k)
    return [
        _line(
            run,
            Name(subject, f"{metric}{measures.RARITY}{k}"),
            measures.rarity_name(k, len(run.group_names)),
            drawing.style(k - 1),
        )
        for k in ranks
    ]


def _line(
    run: Run, name: Name, label: str, style: tuple, diverged: frozenset[int] = frozenset()
) -> Line:
    return Line(label, results.curve(run, name), style, diverged)


def _panel(metric: str, lines: list[Line]) -> Panel:
    m = measures.measure(metric)
    return Panel(m.title + _ARROWS[m.better], lines, m.low, m.high)


def _rank_label(rank: int, num: int) -> str:
    return f"rank {rank}" + {1: " (worst)", num: " (best)"}.get(rank, "")

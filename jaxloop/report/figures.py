"""The figures of a run's page: which measures stand side by side. `drawing` says how they look.

Curves are means over seeds, bands their 95 % t-intervals.
"""

import functools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from jaxloop.analysis import measures, results
from jaxloop.analysis.measures import Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run
from jaxloop.report import drawing
from jaxloop.report.drawing import Line, Panel
from jaxloop.statistics import estimate

COLUMNS = 2  # readable on a phone
MOST_GENERATIONS = 4  # of a training signal in one panel
EPOCH = "epoch"
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


def each(keys: Iterable[Name | str], run: Run, classifiers: Sequence = ()) -> list[Panel]:
    """Return a panel a measure, a line a classifier; its look is of its place in `classifiers`."""
    panels = []
    crosses = {s: frozenset(results.diverged(run, s)) for s in run.classifiers}
    for key in (Name("", key) if isinstance(key, str) else key for key in keys):
        lines = [
            _line(run, key._replace(subject=s), s, drawing.style(i), crosses[s])
            for i, s in enumerate(classifiers or run.classifiers) if s in crosses
        ]  # fmt: skip
        panels.append(_panel(key, lines))
    return panels


# The paper's figures 3a to 6a, and the same within each class, averaged over classes.
overall = functools.partial(each, measures.OVERALL)
per_class = functools.partial(each, measures.PER_CLASS)


def ranked(run: Run) -> list[Panel]:
    """Return a panel a classifier, a line a rank of subgroup: the paper's figures 3b to 6b."""
    return [Panel(s, rank_lines(run, s), 0, 1, scale="accuracy") for s in run.classifiers]


def rank_lines(run: Run, subject: str) -> list[Line]:
    """Return a line for each rank of subgroup of a classifier, worst darkest."""
    names = results.ranks(run, subject)
    ends = {1: " (worst)", len(names): " (best)"}
    styles = [drawing.style(i, color) for i, color in enumerate(drawing.shades(len(names)))]
    labels = [f"rank {k}{ends.get(k, '')}" for k in range(1, len(names) + 1)]
    return [_line(run, *line) for line in zip(names, labels, styles, strict=True)]


def group_accuracy(run: Run) -> list[Panel]:
    """Return a panel a classifier, a line a subgroup, over all classes."""
    names = [Name(s, "group_accuracy") for s in run.classifiers]
    return [Panel(name.subject, _by_group(run, name), 0, 1, "accuracy") for name in names]


def generator(run: Run) -> list[Panel]:
    """Return Fréchet distances, label agreement, diversity and whatever else is of all images."""
    names = [*results.distances(run), *(Name("generator", m) for m in measures.GENERATOR)]
    # How sure KID is has no curve of its own.
    elsewhere = {"diverged", "unknown_share", "kid_std", "subgroup_share"}
    names += [n for n in results.scalars(run, "generator") if n.metric not in elsewhere]
    appearance = drawing.style(0), frozenset(results.diverged(run, "generator"))
    return [_panel(n, [_line(run, n, "", *appearance)]) for n in dict.fromkeys(names)]


def generated_groups(run: Run) -> list[Panel]:
    """Return each subgroup's share among kept images and the share of it dropped; by rarity too."""
    grey, black = ("#777777", "x", "dotted"), (drawing.BLACK, "+", "dotted")
    unknown = _line(run, Name("generator", "unknown_share"), "unknown subgroup", grey)
    total = _line(run, Name("filter", "drop_rate"), "all subgroups", black)
    panels = []
    for lines_of, how in ((_by_group, ""), (_by_rarity, ", by rarity")):
        kept = lines_of(run, Name("generator", "subgroup_share"))
        dropped = lines_of(run, Name("filter", "drop_rate"))
        if kept or dropped:
            panels.append(Panel(f"share among kept{how}", [*kept, unknown], 0, 1))
            panels.append(Panel(f"share dropped{how}", [*dropped, total], 0, 1))
    return panels


def signals(run: Run) -> list[Panel]:
    """Return loss and gradient norm by epoch of few generations, in one look in all panels."""
    rows, steps = run.training, np.linspace(0, 1, MOST_GENERATIONS)
    present = rows.generation.unique() if len(rows) else [0]
    shown = sorted({int(g) for g in np.quantile(present, steps, method="nearest")}, reverse=True)
    colors = dict(zip(shown, drawing.shades(len(shown)), strict=True))
    return [
        Panel(f"{subject}: {measures.measure(metric).title}",
              _by_epoch(rows.loc[(rows.subject == subject) & (rows.metric == metric)], colors),
              x=EPOCH)
        for subject in (*run.classifiers, "generator", "discriminator")
        if (rows.subject == subject).any()
        for metric in ("loss", "gradient_norm")
    ]  # fmt: skip


def _by_epoch(rows: pd.DataFrame, colors: dict[int, str]) -> list[Line]:
    """Return means over seeds by epoch, without bands, of the generations that have a colour."""
    lines = []
    for generation, color in colors.items():
        for split, dash in (("training", "solid"), ("validation", (0, (3, 2)))):
            part = rows.loc[(rows.generation == generation) & (rows.split == split)]
            points = [
                Point(int(epoch), estimate(values.tolist())._replace(half_width=None))
                for epoch, values in part.groupby("epoch").value
            ]
            label = f"generation {generation}" + ", validation" * (split == "validation")
            lines += [Line(label, points, (color, ".", dash))] if points else []
    return lines


def further(run: Run) -> list[Panel]:
    """Return epochs until early stopping, and every classifier measure that no figure shows."""
    names = [n for subject in run.classifiers for n in results.scalars(run, subject)]
    keys = dict.fromkeys(n._replace(subject="") for n in names if n.rank is None)
    shown = {*measures.OVERALL, *measures.PER_CLASS, "diverged", "epochs_trained"}
    others = [key for key in keys if key != Name("", key.metric) or key.metric not in shown]
    return each(["epochs_trained", *others], run)


def with_control(run: Run) -> list[Panel]:
    """Return `overall` in solid lines, and dashed beside each the control arm's without band."""
    panels = []
    for panel, control in zip(overall(run), overall(run.control or run), strict=True):
        lines = [line._replace(style=(*line.style[:2], "solid")) for line in panel.lines]
        for line in control.lines:
            points = [Point(g, e._replace(half_width=None)) for g, e in line.points]
            dashed = (*line.style[:2], (0, (3, 2)))
            lines.append(Line(f"{line.label}, control", points, dashed, line.diverged))
        panels.append(panel._replace(lines=lines))
    return panels


# By the anchor on the page, in its order; headings and captions are in the template.
FIGURES: dict[str, Callable[[Run], list[Panel]]] = {
    "overall": overall, "ranked": ranked, "groups": group_accuracy, "per-class": per_class,
    "generator": generator, "generated-groups": generated_groups, "signals": signals,
    "further": further, "with-control": with_control,
}  # fmt: skip


def seeds_caption(panels: Sequence[Panel]) -> str:
    """Say what lines and bands are, and of how many seeds; "" if no panel has a value."""
    lines = [line for panel in panels for line in panel.lines]
    nums = sorted({p.estimate.num for line in lines for p in line.points} - {0})
    if nums in ([], [1]):
        return "n = 1 seed, so no interval can be given." if nums else ""
    n = str(nums[0]) if len(nums) == 1 else f"{nums[0]} to {nums[-1]}"
    where = " where n > 1" if nums[0] == 1 else ""
    bands = "" if panels[0].x == EPOCH else f"; bands: 95% t-interval of that mean{where}"
    return f"Lines: mean over n = {n} seeds{bands}."


def _by_group(run: Run, name: Name) -> list[Line]:
    groups = sorted(n.group for n in run.names if n[:3] == name[:3] and n.group is not None)
    labels = [results.group_name(run, group) for group in groups]
    # All by their own colour, or all by the palette: a mix could give two subgroups one colour.
    named = all(label in drawing.COLOR_WORDS for label in labels)
    colors = [drawing.COLOR_WORDS[label] if named else None for label in labels]
    return [
        _line(run, name._replace(group=group), label, drawing.style(i, color))
        for i, (group, label, color) in enumerate(zip(groups, labels, colors, strict=True))
    ]


def _by_rarity(run: Run, name: Name) -> list[Line]:
    num = len(run.group_names)
    names = {k: name._replace(rarity=k) for k in range(1, num + 1)}
    return [
        _line(run, n, measures.rarity_name(k, num), drawing.style(k - 1))
        for k, n in names.items() if run.has(n)
    ]  # fmt: skip


def _line(run: Run, name: Name, label: str, style: tuple, crosses=frozenset()) -> Line:
    return Line(label, results.curve(run, name), style, crosses)


def _panel(name: Name, lines: list[Line]) -> Panel:
    m = measures.measure(name)
    return Panel(m.title + _ARROWS[m.better], lines, m.low, m.high, scale=m.title)

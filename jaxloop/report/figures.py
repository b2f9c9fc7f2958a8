"""The figures of a run's page: which measures stand side by side. `drawing` says how they look.

Curves are means over seeds, bands their 95 % t-intervals.
"""

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from jaxloop.analysis import answers, exploratory, measures, results
from jaxloop.analysis.exploratory import Row
from jaxloop.analysis.gaps import ALIGNMENT
from jaxloop.analysis.measures import Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run
from jaxloop.report import drawing
from jaxloop.report.drawing import Line, Panel
from jaxloop.statistics import Estimate, estimate

MOST_GENERATIONS = 4  # of a training signal in one panel
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
DASHED = (0, (3, 2))
GREY = "#555555"


def each(keys: Iterable[Name | str], run: Run, classifiers: Sequence = ()) -> list[Panel]:
    """Return a panel a measure, a line a classifier; its look is of its place in `classifiers`."""
    places = enumerate(classifiers or run.classifiers)
    looks = {s: drawing.style(i) for i, s in places if s in run.classifiers}
    crosses = {s: frozenset(results.diverged(run, s)) for s in looks}
    names = [Name("", key) if isinstance(key, str) else key for key in keys]
    return [
        _panel(name, [_line(run, name._replace(subject=s), s, looks[s], crosses[s]) for s in looks])
        for name in names
    ]


def bias(gaps: Sequence[Row]) -> list[Panel]:
    """Return a panel a classifier: the primary measure in the loop and, dotted, without it."""
    signed = any(np.isfinite(row.value) for row in gaps if row.measure == ALIGNMENT)
    primary = ALIGNMENT if signed else "rank_gap"
    title = "alignment gap" if signed else "rank gap in excess of chance"
    looks = {exploratory.LOOP: drawing.style(0), answers.NO_LOOP: (GREY, "x", "dotted")}
    lines = defaultdict(lambda: defaultdict(list))
    for row in gaps:
        if row.measure == primary and np.isfinite(row.excess):
            point = Point(row.generation, Estimate(row.excess, row.half, row.num_seeds, 0))
            lines[row.classifier][row.arm].append(point)
    return [
        Panel(
            f"{name}: {title}",
            [Line(arm.replace("_", " "), points, looks[arm]) for arm, points in by_arm.items()],
            scale="bias",
        )
        for name, by_arm in lines.items()
    ]


def with_chance(run: Run, gaps: Sequence[Row], within: str = "") -> list[Panel]:
    """Return `overall` (or `per_class`, within="_per_class"), and dotted beside each measure of
    bias the level that chance alone gives, with its band."""
    names = {"meo": "mean_gap", "di": "impact_gap", "md": "largest_gap"}
    keys = measures.PER_CLASS if within else measures.OVERALL
    levels = defaultdict(list)
    for row in gaps:
        if row.arm == exploratory.LOOP and np.isfinite(row.chance):
            turned = row.chance if row.measure.startswith("largest") else 1 - row.chance
            point = Point(
                row.generation, Estimate(turned, row.chance_half or None, row.num_seeds, 0)
            )
            levels[row.classifier, row.measure].append(point)
    panels = []
    for key, panel in zip(keys, each(keys, run), strict=True):
        measure = names.get(key.removesuffix("_per_class"), "") + within
        chances = [
            Line(f"{line.label}, chance", points, (GREY, line.style[1], "dotted"))
            for line in panel.lines
            if line.points and (points := levels[line.label, measure])
        ]
        panels.append(panel._replace(lines=[*panel.lines, *chances]))
    return panels


# The paper's figures 3a to 6a, and the same within each class, averaged over classes.
overall = functools.partial(each, measures.OVERALL)
per_class = functools.partial(each, measures.PER_CLASS)


def ranked(run: Run, classifiers: Sequence = ()) -> list[Panel]:
    """Return a panel a classifier, a line a rank of subgroup: the paper's figures 3b to 6b."""
    lines = {s: _parts(run, Name(s, "accuracy"), "rank") for s in classifiers or run.classifiers}
    return [Panel(s, ranks, 0, 1, scale="accuracy") for s, ranks in lines.items()]


def groups(run: Run) -> list[Panel]:
    """Return a panel a classifier, a line a subgroup, over all classes."""
    lines = {s: _parts(run, Name(s, "group_accuracy"), "group") for s in run.classifiers}
    return [Panel(s, of_groups, 0, 1, scale="accuracy") for s, of_groups in lines.items()]


def generator(run: Run) -> list[Panel]:
    """Return Fréchet distances, label agreement, diversity and whatever else is of all images."""
    names = [*results.distances(run), *(Name("generator", m) for m in measures.GENERATOR)]
    # How sure KID is has no curve of its own.
    elsewhere = {"diverged", "unknown_share", "kid_std", "subgroup_share"}
    names += [n for n in results.scalars(run, "generator") if n.metric not in elsewhere]
    style, crosses = drawing.style(0), frozenset(results.diverged(run, "generator"))
    return [_panel(n, [_line(run, n, "", style, crosses)]) for n in dict.fromkeys(names)]


def generated_groups(run: Run) -> list[Panel]:
    """Return each subgroup's share among kept images and the share of it dropped; by rarity too."""
    grey, black = ("#777777", "x", "dotted"), (drawing.COLORS["black"], "+", "dotted")
    unknown = _line(run, Name("generator", "unknown_share"), "unknown subgroup", grey)
    total = _line(run, Name("filter", "drop_rate"), "all subgroups", black)
    panels = []
    for field, how in (("group", ""), ("rarity", ", by rarity")):
        kept = _parts(run, Name("generator", "subgroup_share"), field)
        dropped = _parts(run, Name("filter", "drop_rate"), field)
        if kept or dropped:
            others = [unknown] if unknown.points else []  # a judge leaves none unknown
            panels.append(Panel(f"share among kept{how}", [*kept, *others], 0, 1))
            panels.append(Panel(f"share dropped{how}", [*dropped, total], 0, 1))
    return panels


def training(run: Run) -> pd.DataFrame:
    """Return a row a training signal and generation: lists of epochs, means, numbers of seeds."""
    keys = ["subject", "metric", "split", "generation"]
    epochs = run.training.groupby([*keys, "epoch"], sort=False).value
    means = epochs.agg(mean="mean", num_seeds="count").reset_index().sort_values("epoch")
    return means.groupby(keys)[["epoch", "mean", "num_seeds"]].agg(list).reset_index()


def signals(run: Run) -> list[Panel]:
    """Return loss and gradient norm by epoch of few generations, in one look in all panels."""
    curves, steps = training(run), np.linspace(0, 1, MOST_GENERATIONS)
    if curves.empty:
        return []
    shown = np.unique(np.quantile(curves.generation.unique(), steps, method="nearest"))[::-1]
    colors = dict(zip(shown, drawing.shades(len(shown)), strict=True))
    curves = curves.loc[curves.generation.isin(shown)]
    lines = defaultdict(list)
    for curve in curves.sort_values(["generation", "split"], ascending=[False, True]).itertuples():
        validation = curve.split == "validation"
        points = [
            Point(epoch, Estimate(mean if num else None, None, num, 0))
            for epoch, mean, num in zip(curve.epoch, curve.mean, curve.num_seeds, strict=True)
        ]
        label = f"generation {curve.generation}{', validation' if validation else ''}"
        look = colors[curve.generation], ".", DASHED if validation else "solid"
        lines[curve.subject, curve.metric].append(Line(label, points, look))
    return [
        Panel(f"{subject}: {measures.measure(metric).title}", lines[subject, metric], x="epoch")
        for subject in (*run.classifiers, "generator", "discriminator")
        for metric in ("loss", "gradient_norm")
        if (subject, metric) in lines
    ]


def further(run: Run) -> list[Panel]:
    """Return epochs until early stopping, and every classifier measure that no figure shows."""
    names = [n for subject in run.classifiers for n in results.scalars(run, subject)]
    keys = dict.fromkeys(n._replace(subject="") for n in names if n.rank is None)
    shown = {*measures.OVERALL, *measures.PER_CLASS, "diverged", "epochs_trained"}
    return each(
        ["epochs_trained", *(k for k in keys if k not in {Name("", m) for m in shown})], run
    )


def with_control(run: Run) -> list[Panel]:
    """Return `overall` in solid lines, and dashed beside each the control arm's without band."""
    panels = []
    for panel, control in zip(overall(run), overall(run.arms.get("random", run)), strict=True):
        lines = [line._replace(style=(*line.style[:2], "solid")) for line in panel.lines]
        for label, points, (*look, _), diverged in control.lines:
            means = [Point(g, e._replace(half_width=None)) for g, e in points]
            lines.append(Line(f"{label}, control", means, (*look, DASHED), diverged))
        panels.append(panel._replace(lines=lines))
    return panels


def ablations(run: Run, classifiers: Sequence = ()) -> list[Panel]:
    """Return by how much accuracy drops, a panel an ablation, a line a classifier."""
    panels = []
    for ablation in measures.ABLATIONS:
        lines = []
        for i, s in enumerate(classifiers or run.classifiers):
            ablated = run.table(Name(s, "accuracy", ablation=ablation))
            drops = run.table(Name(s, "accuracy")).reindex(columns=ablated.columns) - ablated
            points = [Point(int(g), estimate(drops[g].tolist())) for g in drops]
            lines += [Line(s, points, drawing.style(i))] if s in run.classifiers else []
        title = measures.measure(Name("", "accuracy", ablation=ablation)).title
        panels.append(Panel(title.replace("accuracy, ", "drop, "), lines, -1, 1, ablation))
    return panels


def num_seeds(panels: Sequence[Panel]) -> list[int]:
    """Return the numbers of seeds that means are over, sorted; none without a value."""
    points = [point for panel in panels for line in panel.lines for point in line.points]
    return sorted({point.estimate.num for point in points} - {0})


def _parts(run: Run, name: Name, field: str) -> list[Line]:
    """Return a line for each "group", "rank" or "rarity" of a measure that has a value."""
    names = [n for n in run.names if n[:3] == name[:3] and run.has(n)]
    numbers = sorted({getattr(n, field) for n in names} - {None})
    label = {
        "group": functools.partial(results.group_name, run),
        "rank": lambda k: f"rank {k}" + {1: " (worst)", len(numbers): " (best)"}.get(k, ""),
        "rarity": lambda k: measures.rarity_name(k, len(run.group_names)),
    }[field]
    labels = {k: label(k) for k in numbers}
    # All by their own colour, or all by the palette: a mix could give two subgroups one colour.
    colors = drawing.COLORS if set(labels.values()) <= drawing.COLORS.keys() else {}
    if field == "rank":  # worst darkest
        colors = dict(zip(labels.values(), drawing.shades(len(labels)), strict=True))
    first = 0 if field == "group" else 1
    return [
        _line(run, name._replace(**{field: k}), text, drawing.style(k - first, colors.get(text)))
        for k, text in labels.items()
    ]


def _line(run: Run, name: Name, label: str, style: tuple, crosses=frozenset()) -> Line:
    return Line(label, results.curve(run, name), style, crosses)


def _panel(name: Name, lines: list[Line]) -> Panel:
    m = measures.measure(name)
    return Panel(m.title + _ARROWS[m.better], lines, m.low, m.high, scale=m.title)

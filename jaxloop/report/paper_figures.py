"""The paper's figures 3 to 9 in their layout, from the records of one run or more.

Runs on one data set share a figure, one below the other, with the same axes in a column: so stand the pairs that the
paper compares (unbiased and biased colours; from scratch and from published weights).
"""

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import labels, measures
from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.labels import (
    BIASED,
    BREEDS,
    CIFAR,
    HARD_IMAGENET,
    MNIST,
    PRETRAINED,
    SCRATCH,
    UNBIASED,
)
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report import drawing, figures
from jaxloop.report.drawing import Line, Panel

MOST_COLUMNS = 5
DPI = 200


class Kind(NamedTuple):
    """panels: those of one run, given all classifiers of the figure.  needs: metrics, one of which must have a value."""

    name: str
    heading: str
    caption: str
    panels: Callable[[Run, list[str]], list[Panel]]
    needs: tuple[str, ...]


class PaperFigure(NamedTuple):
    """name: of its files, without an ending.  caption: with n, seeds and interval."""

    name: str
    heading: str
    caption: str
    panels: list[Panel]
    columns: int


def overall(run: Run, classifiers: list[str]) -> list[Panel]:
    """Accuracy, MEO, DI and MD in a row, a line for each classifier."""
    return [
        _scaled(figures.by_classifier(run, metric, classifiers), metric)
        for metric in measures.OVERALL
    ]


def subgroups(run: Run, classifiers: list[str]) -> list[Panel]:
    """Accuracy of ranked subgroups, a panel for each classifier."""
    return [
        Panel(s, figures.rank_lines(run, s) if s in run.classifiers else [], 0, 1, s)
        for s in classifiers
    ]


def ablations(run: Run, classifiers: list[str]) -> list[Panel]:
    """By how much accuracy drops under each ablation, a panel an ablation, a line for each classifier."""
    panels = []
    for metric in measures.ABLATIONS:
        lines = [
            Line(subject, _drop(run, subject, metric), drawing.style(i))
            for i, subject in enumerate(classifiers)
            if subject in run.classifiers
        ]
        title = measures.measure(metric).title.replace("accuracy, ", "drop, ")
        panels.append(Panel(title, lines, -1, 1, metric))
    return panels


def accuracy(run: Run, classifiers: list[str]) -> list[Panel]:
    """Accuracy over generations, a line for each classifier."""
    return [_scaled(figures.by_classifier(run, "accuracy", classifiers), "accuracy")]


KINDS = (
    Kind(
        "overall", "overall performance and single-bias measures",
        "Accuracy, MEO (eq. 2), DI (eq. 3) and MD (eq. 4) on the real test set, a line a classifier. ↑ higher is better, "
        "↓ lower is better.", overall, ("meo", "di", "md"),
    ),
    Kind(
        "subgroups", "accuracy of ranked subgroups",
        "Within each class the subgroups are ranked by accuracy, then each rank is averaged over classes (eq. 5); a panel a "
        "classifier.", subgroups, ("acc_rank_1",),
    ),
    Kind(
        "ablations", "reliance on spurious cues",
        "Drop of accuracy when the object is greyed, its box is greyed, or its box is filled from beside it; a line a "
        "classifier. A smaller drop from a high accuracy means that more was read off the background.", ablations, measures.ABLATIONS,
    ),
    Kind("accuracy", "accuracy", "Accuracy on the real test set, a line a classifier.", accuracy, ("accuracy",)),
)  # fmt: skip

# (kind, data.name, what the run is) -> the paper's figure
_PAPERS = {
    ("overall", MNIST, UNBIASED): "3a", ("subgroups", MNIST, UNBIASED): "3b",
    ("overall", MNIST, BIASED): "4a", ("subgroups", MNIST, BIASED): "4b",
    ("overall", CIFAR, SCRATCH): "5a", ("subgroups", CIFAR, SCRATCH): "5b",
    ("overall", CIFAR, PRETRAINED): "6a", ("subgroups", CIFAR, PRETRAINED): "6b",
    ("subgroups", BREEDS, ""): "7", ("ablations", HARD_IMAGENET, ""): "8", ("accuracy", HARD_IMAGENET, ""): "9",
}  # fmt: skip


def make(runs: Sequence[Run]) -> tuple[list[PaperFigure], list[str]]:
    """(figures, sentences on those that are not drawn because no run has a value for them), by data set."""
    by_data: dict[str, list[Run]] = {}
    for run in runs:
        by_data.setdefault(labels.data_title(run), []).append(run)
    made, lacking = [], []
    for title, group in by_data.items():
        drawn = [kind for kind in KINDS if _has_values(kind, group)]
        made += [_figure(kind, title, group) for kind in drawn]
        if empty := [kind.heading for kind in KINDS if kind not in drawn]:
            lacking.append(f"{title}: no run has a value for a figure of {listed_words(empty)}.")
    return made, lacking


def png(figure: PaperFigure) -> bytes:
    """On white, at DPI."""
    return drawing.png(
        figure.panels,
        figure.columns,
        figures.inches_for(figure.panels, figure.columns),
        dpi=DPI,
        colors=256,
    )


def svg(figure: PaperFigure) -> bytes:
    """On white, its text as text."""
    return drawing.svg(
        figure.panels, figure.columns, figures.inches_for(figure.panels, figure.columns), white=True
    )


def _has_values(kind: Kind, runs: Sequence[Run]) -> bool:
    return any(
        run.has(Name(subject, metric))
        for run in runs
        for subject in run.classifiers
        for metric in kind.needs
    )


def _figure(kind: Kind, title: str, group: list[Run]) -> PaperFigure:
    classifiers = list(dict.fromkeys(subject for run in group for subject in run.classifiers))
    names = labels.labels(group) if len(group) > 1 else [""]
    panels = []
    for run, label in zip(group, names, strict=True):
        panels += _named(kind.panels(run, classifiers), label)
    width = len(panels) // len(group)
    columns = len(group) if width == 1 else width if width <= MOST_COLUMNS else -(-width // 2)
    numbers = [_paper_number(kind, run) for run in group]
    shown = list(dict.fromkeys(filter(None, numbers)))
    name = "-".join([_slug(title), kind.name, *(f"fig{number}" for number in shown)])
    caption = f"{kind.caption} {_rows_caption(names, numbers)}{figures.seeds_caption(figures.seeds_of(panels))}"
    return PaperFigure(
        name, f"{title}: {kind.heading}", caption, panels, min(columns, MOST_COLUMNS)
    )


def _named(panels: list[Panel], label: str) -> list[Panel]:
    """A run's panels in a row of their own that bears its label; a lone panel bears it as its title."""
    if not label:
        return panels
    if len(panels) == 1:
        return [panels[0]._replace(title=textwrap.fill(label, 40))]
    return [panel._replace(row=textwrap.fill(label, 24)) for panel in panels]


def _rows_caption(names: list[str], numbers: list[str]) -> str:
    if len(names) == 1:
        return f"The layout of the paper's figure {numbers[0]}. " if numbers[0] else ""
    told = [
        label + (f" (the layout of the paper's figure {number})" if number else "")
        for label, number in zip(names, numbers, strict=True)
    ]
    return f"Runs, in order: {'; '.join(told)}. "


def _paper_number(kind: Kind, run: Run) -> str:
    data = labels.data_name(run)
    what = {MNIST: labels.initialisation, CIFAR: labels.start}.get(data, lambda _: "")(run)
    return _PAPERS.get((kind.name, data, what), "")


def _drop(run: Run, subject: str, metric: str) -> list[Point]:
    whole, ablated = (run.by_seed(Name(subject, m)) for m in ("accuracy", metric))
    generations = sorted({g for values in ablated for g in values})
    return [
        Point(
            g,
            statistics.estimate(
                [_less(a.get(g), b.get(g)) for a, b in zip(whole, ablated, strict=True)]
            ),
        )
        for g in generations
    ]


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _scaled(panel: Panel, scale: str) -> Panel:
    return panel._replace(scale=scale)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")

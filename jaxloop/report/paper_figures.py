"""The paper's figures 3 to 9 in their layout, from the records of one run or more.

Runs on one data set share a figure, one below the other, with the same axes in a column: so stand
the pairs that the paper compares (unbiased and biased colours; from scratch and pretrained).
"""

import functools
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import labels, measures
from jaxloop.analysis.labels import BIASED, CIFAR, HARD_IMAGENET, MNIST, UNBIASED
from jaxloop.analysis.measures import Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run
from jaxloop.report import drawing, figures
from jaxloop.report.drawing import Line, Panel

MOST_COLUMNS, DPI, COLORS = 5, 200, 256


class PaperFigure(NamedTuple):
    """name: of its files, without an ending.  rows: {label of a run: the paper's figure, or ""}."""

    kind: str
    data: str
    name: str
    rows: dict[str, str]
    panels: list[Panel]
    columns: int


def subgroups(run: Run, classifiers: list[str]) -> list[Panel]:
    """Return accuracy of ranked subgroups, a panel a classifier."""
    lines = {s: figures.rank_lines(run, s) if s in run.classifiers else [] for s in classifiers}
    return [Panel(s, ranks, 0, 1, s) for s, ranks in lines.items()]


def ablations(run: Run, classifiers: list[str]) -> list[Panel]:
    """Return by how much accuracy drops, a panel an ablation, a line a classifier."""
    panels = []
    for ablation in measures.ABLATIONS:
        key = Name("", "accuracy", ablation=ablation)
        lines = [
            Line(s, _drop(run, key._replace(subject=s)), drawing.style(i))
            for i, s in enumerate(classifiers) if s in run.classifiers
        ]  # fmt: skip
        title = measures.measure(key).title.replace("accuracy, ", "drop, ")
        panels.append(Panel(title, lines, -1, 1, ablation))
    return panels


def _drop(run: Run, name: Name) -> list[Point]:
    ablated = run.table(name)
    drops = run.table(Name(name.subject, "accuracy")).reindex(columns=ablated.columns) - ablated
    return [Point(int(g), statistics.estimate(drops[g].tolist())) for g in drops.columns]


# kind -> (panels of one run, given all classifiers of the figure; names of which one has a value)
KINDS: dict[str, tuple[Callable[[Run, list[str]], list[Panel]], list[Name]]] = {
    "overall": (figures.overall, [Name("", metric) for metric in ("meo", "di", "md")]),
    "subgroups": (subgroups, [Name("", "accuracy", rank=1)]),
    "ablations": (ablations, [Name("", "accuracy", ablation=a) for a in measures.ABLATIONS]),
    "accuracy": (functools.partial(figures.each, ["accuracy"]), [Name("", "accuracy")]),
}
# (kind, data.name, what the run is) -> the paper's figure
_PAPERS = {
    ("overall", MNIST, UNBIASED): "3a", ("subgroups", MNIST, UNBIASED): "3b",
    ("overall", MNIST, BIASED): "4a", ("subgroups", MNIST, BIASED): "4b",
    ("overall", CIFAR, labels.SCRATCH): "5a", ("subgroups", CIFAR, labels.SCRATCH): "5b",
    ("overall", CIFAR, labels.PRETRAINED): "6a", ("subgroups", CIFAR, labels.PRETRAINED): "6b",
    ("subgroups", labels.BREEDS, ""): "7", ("ablations", HARD_IMAGENET, ""): "8",
    ("accuracy", HARD_IMAGENET, ""): "9",
}  # fmt: skip


def paper_figures(runs: Sequence[Run]) -> tuple[list[PaperFigure], dict[str, list[str]]]:
    """Return figures by data set, and {data set: kinds that no run has a value for}.

    A figure of ablations is not missed: few data sets have masks.
    """
    groups = defaultdict(list)
    for run in runs:
        groups[labels.data_title(run)].append(run)
    drawn, lacking = [], defaultdict(list)
    for data, group in groups.items():
        for kind in KINDS:
            if _has_values(kind, group):
                drawn.append(_figure(kind, data, group))
            elif kind != "ablations":
                lacking[data].append(kind)
    return drawn, lacking


def files(figure: PaperFigure) -> dict[str, bytes]:
    """Return {name: content} of a figure as PNG and as SVG, both on white."""
    return {
        f"{figure.name}.png": drawing.png(figure.panels, figure.columns, DPI, COLORS),
        f"{figure.name}.svg": drawing.svg(figure.panels, figure.columns),
    }


def _has_values(kind: str, runs: Sequence[Run]) -> bool:
    names = (
        (r, key._replace(subject=s)) for r in runs for s in r.classifiers for key in KINDS[kind][1]
    )
    return any(run.has(name) for run, name in names)


def _figure(kind: str, data: str, group: list[Run]) -> PaperFigure:
    classifiers = list(dict.fromkeys(subject for run in group for subject in run.classifiers))
    rows = dict(zip(labels.labels(group), (_paper_number(kind, run) for run in group), strict=True))
    by_run = [KINDS[kind][0](run, classifiers) for run in group]
    named = [_named(each, label) for each, label in zip(by_run, rows, strict=True)]
    panels = [panel for each in (named if len(group) > 1 else by_run) for panel in each]
    width = len(by_run[0])
    columns = len(group) if width == 1 else width if width <= MOST_COLUMNS else -(-width // 2)
    slug = re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")
    numbers = [f"fig{number}" for number in dict.fromkeys(rows.values()) if number]
    name = "-".join([slug, kind, *numbers])
    return PaperFigure(kind, data, name, rows, panels, min(columns, MOST_COLUMNS))


def _named(panels: list[Panel], label: str) -> list[Panel]:
    """Put a run's panels in a row that bears its label; a lone panel bears it as its title."""
    if len(panels) == 1:
        return [panels[0]._replace(title=textwrap.fill(label, 40))]
    return [panel._replace(row=textwrap.fill(label, 24)) for panel in panels]


def _paper_number(kind: str, run: Run) -> str:
    data = labels.data_name(run)
    what = {MNIST: labels.initialisation(run), CIFAR: labels.start(run)}.get(data, "")
    return _PAPERS.get((kind, data, what), "")

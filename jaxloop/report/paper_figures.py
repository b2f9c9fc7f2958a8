"""The paper's figures 3 to 9 in their layout, from the records of one run or more.

Runs on one data set share a figure, one below the other, with the same axes in a column: so stand
the pairs that the paper compares (unbiased and biased colours; from scratch and pretrained).
"""

import functools
import itertools
import re
import textwrap
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from jaxloop.analysis import labels
from jaxloop.analysis.labels import BIASED, CIFAR, HARD_IMAGENET, MNIST, UNBIASED
from jaxloop.analysis.measures import ABLATIONS, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.report import figures
from jaxloop.report.drawing import Panel

MOST_COLUMNS = 5


class PaperFigure(NamedTuple):
    """name: of its files, without an ending.  rows: {label of a run: the paper's figure, or ""}."""

    kind: str
    data: str
    name: str
    rows: dict[str, str]
    panels: list[Panel]
    columns: int


def subgroups(run: Run, classifiers: list[str]) -> list[Panel]:
    """Return accuracy of ranked subgroups, a panel a classifier, empty where the run lacks it."""
    return [panel._replace(scale=panel.title) for panel in figures.ranked(run, classifiers)]


# kind -> (panels of one run, given all classifiers of the figure; names of which one has a value)
KINDS = {
    "overall": (figures.overall, [Name("", metric) for metric in ("meo", "di", "md")]),
    "subgroups": (subgroups, [Name("", "accuracy", rank=1)]),
    "ablations": (figures.ablations, [Name("", "accuracy", ablation=a) for a in ABLATIONS]),
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
    groups, drawn, lacking = defaultdict(list), [], defaultdict(list)
    for run in runs:
        groups[labels.data_title(run)].append(run)
    for (data, group), kind in itertools.product(groups.items(), KINDS):
        subjects = [(run, subject) for run in group for subject in run.classifiers]
        keys = KINDS[kind][1]
        if any(run.has(key._replace(subject=s)) for run, s in subjects for key in keys):
            drawn.append(_figure(kind, data, group))
        elif kind != "ablations":
            lacking[data].append(kind)
    return drawn, lacking


def _figure(kind: str, data: str, group: list[Run]) -> PaperFigure:
    classifiers = list(dict.fromkeys(subject for run in group for subject in run.classifiers))
    rows = dict(zip(labels.labels(group), (_paper_number(kind, run) for run in group), strict=True))
    by_run = [KINDS[kind][0](run, classifiers) for run in group]
    num = len(by_run[0])
    if len(group) > 1:  # each row bears the label of its run; a lone panel bears it as its title
        part, width = ("title", 40) if num == 1 else ("row", 24)
        by_run = [
            [panel._replace(**{part: textwrap.fill(label, width)}) for panel in panels]
            for label, panels in zip(rows, by_run, strict=True)
        ]
    columns = len(group) if num == 1 else num if num <= MOST_COLUMNS else -(-num // 2)
    slug = re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")
    numbers = [f"fig{number}" for number in dict.fromkeys(rows.values()) if number]
    name, panels = "-".join([slug, kind, *numbers]), [*itertools.chain(*by_run)]
    return PaperFigure(kind, data, name, rows, panels, min(columns, MOST_COLUMNS))


def _paper_number(kind: str, run: Run) -> str:
    data = labels.data_name(run)
    what = {MNIST: labels.initialisation(run), CIFAR: labels.start(run)}.get(data, "")
    return _PAPERS.get((kind, data, what), "")

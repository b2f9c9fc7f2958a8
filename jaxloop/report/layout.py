"""How tables of `frames.for_people` are written: numbers as text, then text, HTML or Markdown."""

import re
import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd

from jaxloop.analysis.measures import Name
from jaxloop.analysis.results import Point
from jaxloop.statistics import Estimate

NO_VALUE = "–"
WIDTH = 99  # of the terminal


def with_interval(e: Estimate, digits: int = 3) -> str:
    """Return "0.972 ± 0.010"; the mean alone without an interval; a dash without a value."""
    half_width = f" ± {e.half_width:.{digits}f}" if e.half_width else ""
    return NO_VALUE if e.mean is None else f"{e.mean:.{digits}f}{half_width}"


def signed(value: float | None, digits: int = 4) -> str:
    """Return "+0.0210", or a dash; what rounds to 0 has a plus."""
    return NO_VALUE if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def p_value(p: float | None) -> str:
    """Return "0.032", "< 0.001", or a dash where there is no test."""
    return NO_VALUE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def by_generation(points: Sequence[Point], generations: Iterable[int]) -> list[str]:
    """Return a curve as cells, a dash where it has no value; decimals suit its largest mean."""
    means = [abs(p.estimate.mean) for p in points if p.estimate.mean is not None]
    largest = max(means, default=0)
    digits = 4 if 0 < largest < 0.1 else 3 if largest < 10 else 2 if largest < 100 else 1
    cells = {p.generation: with_interval(p.estimate, digits) for p in points}
    return [cells.get(generation, NO_VALUE) for generation in generations]


def metric_label(name: Name) -> str:
    """Return a metric as the log calls it, with its parameters but for class and subgroup."""
    numbered = [f"{field} {k}" for field in ("rank", "rarity") if (k := getattr(name, field))]
    return ", ".join(filter(None, [name.metric, name.network, name.ablation, *numbered]))


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """Return the cells of a table as text."""
    return [
        [_cell(value, head, frame.attrs) for head, value in zip(frame.columns, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]


def _cell(value, head: str, attrs: dict) -> str:
    if isinstance(value, Estimate):
        return with_interval(value, attrs["digits"])
    if isinstance(value, tuple):  # (low, high) or (value, low, high)
        *middle, low, high = (_cell(part, head, attrs) for part in value)
        interval = [] if NO_VALUE in (low, high) else [f"[{low}, {high}]"]
        return " ".join([*middle, *interval]) or NO_VALUE
    if value is None or value != value:
        return NO_VALUE
    if not isinstance(value, float):
        return str(value)
    if head == "p":
        return p_value(value)
    return (signed if head in attrs["signed"] else "{:.{}f}".format)(value, attrs["digits"])


def to_text(frame: pd.DataFrame) -> str:
    """Return aligned text: words to the left, numbers to the right, the caption wrapped above."""
    table = pd.DataFrame([list(frame.columns), *without_repeats(rows(frame))], dtype=object)
    for i, cells in table.items():
        side = "right" if i < frame.attrs["num_words"] else "left"
        table[i] = cells.str.pad(cells.str.len().max(), side)
    head, *body = ("  ".join(cells).rstrip() for cells in table.itertuples(index=False))
    rule = "-" * max(map(len, (head, *body)))
    return "\n".join([wrapped(frame.attrs["caption"]), head, rule, *body])


def markdown(text: str) -> str:
    """Escape what Markdown or HTML would read; a line break becomes a blank."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&!$])", r"\\\1", " ".join(text.splitlines()))


_TEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "–": "--", "“": "``", "”": "''", "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "é": r"\'e", "\n": " ", "\r": " ",
})  # fmt: skip


def latex(text: str) -> str:
    """Escape what LaTeX would read, and what its default encoding lacks of our own words."""
    return text.translate(_TEX)


def without_repeats(cells: list[list[str]]) -> list[list[str]]:
    """Return rows whose first cell is blank where it repeats the one above."""
    first = pd.Series([row[0] for row in cells], dtype=object)
    same = first == first.shift()
    return [["" if is_same else row[0], *row[1:]] for row, is_same in zip(cells, same, strict=True)]


def wrapped(text: str) -> str:
    """Return a paragraph for a terminal, its later lines indented by two."""
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")

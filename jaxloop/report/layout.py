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


def digits_for(points: Sequence[Point]) -> int:
    """Return decimals that suit a series: 4 below 0.1, 3 below 10, 2 below 100, else 1."""
    means = [abs(p.estimate.mean) for p in points if p.estimate.mean is not None]
    largest = max(means, default=0)
    return 4 if 0 < largest < 0.1 else 3 if largest < 10 else 2 if largest < 100 else 1


def by_generation(points: Sequence[Point], generations: Iterable[int]) -> list[str]:
    """Return a curve as cells, a dash where it has no value."""
    digits = digits_for(points)
    cells = {p.generation: with_interval(p.estimate, digits) for p in points}
    return [cells.get(generation, NO_VALUE) for generation in generations]


def metric_label(name: Name) -> str:
    """Return a metric as the log calls it, with its parameters but for class and subgroup."""
    numbered = [f"{field} {k}" for field in ("rank", "rarity") if (k := getattr(name, field))]
    return ", ".join(filter(None, [name.metric, name.network, name.ablation, *numbered]))


def rows(frame: pd.DataFrame) -> list[list[str]]:
    """Return the cells of a table as text."""
    heads = frame.columns
    return [
        [_cell(value, head, frame.attrs) for value, head in zip(row, heads, strict=True)]
        for row in frame.itertuples(index=False, name=None)
    ]


def _cell(value, head: str, attrs: dict) -> str:
    if isinstance(value, Estimate):
        return with_interval(value, attrs["digits"])
    if isinstance(value, tuple):  # (low, high) or (value, low, high)
        *middle, low, high = (_cell(part, head, attrs) for part in value)
        return (
            " ".join(middle if NO_VALUE in (low, high) else [*middle, f"[{low}, {high}]"])
            or NO_VALUE
        )
    if value is None or value != value:
        return NO_VALUE
    if not isinstance(value, float):
        return str(value)
    signed_ = signed if head in attrs["signed"] else "{:.{}f}".format
    return p_value(value) if head == "p" else signed_(value, attrs["digits"])


def to_text(frame: pd.DataFrame) -> str:
    """Return aligned text: words to the left, numbers to the right, the caption wrapped above."""
    lines = [list(frame.columns), *without_repeats(rows(frame))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = ["<" if i < frame.attrs["num_words"] else ">" for i in range(len(widths))]
    aligned = [
        "  ".join(f"{cell:{side}{w}}" for cell, side, w in zip(line, sides, widths, strict=True))
        for line in lines
    ]
    head, *body = (line.rstrip() for line in aligned)
    rule = "-" * max(map(len, (head, *body)))
    return "\n".join([wrapped(frame.attrs["caption"]), head, rule, *body])


def to_markdown(frame: pd.DataFrame) -> str:
    """Return a GitHub table below its caption; no cell is read as markup."""
    marks = [":---" if i < frame.attrs["num_words"] else "---:" for i in range(frame.shape[1])]
    head, *body = ([markdown(c) for c in line] for line in (list(frame.columns), *rows(frame)))
    lines = "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *body))
    return f"{markdown(frame.attrs['caption'])}\n\n{lines}"


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

"""Tables in one structure, shown three ways: aligned text for the terminal, HTML for the page, Markdown for a README."""

import html
import textwrap
from typing import NamedTuple

from jaxloop.analysis.results import Point
from jaxloop.statistics import CANNOT_TELL, GREW, HIGHER, LOWER, SHRANK, Estimate

NO_VALUE = "–"


class Table(NamedTuple):
    """caption: what it holds.  columns: their heads.  rows: cells as text.  num_words: columns of words, from the left."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    num_words: int = 1


def with_interval(e: Estimate, digits: int = 3) -> str:
    """ "0.972 ± 0.010"; the mean alone where there is no interval; a dash where there is no value."""
    if e.mean is None:
        return NO_VALUE
    return f"{e.mean:.{digits}f}" + (f" ± {e.half_width:.{digits}f}" if e.half_width else "")


def interval(e: Estimate, digits: int = 4) -> str:
    """ "[-0.0021, +0.0045]", or a dash where there is none."""
    return NO_VALUE if e.low is None else f"[{signed(e.low, digits)}, {signed(e.high, digits)}]"


def p_value(p: float | None) -> str:
    """ "0.032", "< 0.001", or a dash where there is no test."""
    if p is None:
        return NO_VALUE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def signed(value: float | None, digits: int = 4) -> str:
    """ "+0.0210", or a dash; what rounds to 0 has a plus."""
    return NO_VALUE if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def at(points: list[Point], generation: int, digits: int = 3) -> str:
    """The cell of one generation of a curve."""
    return next(
        (with_interval(p.estimate, digits) for p in points if p.generation == generation), NO_VALUE
    )


def digits_for(points: list[Point]) -> int:
    """Decimals that suit a series: 4 below 0.1, 3 below 10, 1 from 100 on."""
    largest = max((abs(p.estimate.mean) for p in points if p.estimate.mean is not None), default=0)
    return 4 if 0 < largest < 0.1 else 3 if largest < 10 else 2 if largest < 100 else 1


def to_text(table: Table, width: int = 99) -> str:
    """Aligned monospace: words to the left, numbers to the right; the caption wraps at `width` columns."""
    lines = [table.columns, *_without_repeats(table.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    aligned = [
        "  ".join(
            cell.ljust(w) if i < table.num_words else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(
        [wrapped(table.caption, width), aligned[0], "-" * max(map(len, aligned)), *aligned[1:]]
    )


def to_markdown(table: Table) -> str:
    """A GitHub table; the caption stands above it."""
    marks = [":---" if i < table.num_words else "---:" for i in range(len(table.columns))]
    lines = [table.columns, marks, *table.rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return f"{table.caption}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def to_html(table: Table) -> str:
    """A <table> in a box that scrolls sideways on its own; verdicts carry a colour and a sign, not colour alone."""
    head = "".join(
        f'<th scope="col"{_class(table, i)}>{html.escape(c)}</th>'
        for i, c in enumerate(table.columns)
    )
    rows = []
    for row in _without_repeats(table.rows):
        cells = [
            f"<td{_class(table, i)}>{_cell(table, i, cell)}</td>" for i, cell in enumerate(row)
        ]
        rows.append(f"<tr{' class=first' if row[0] else ''}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><caption><span>{html.escape(table.caption)}</span></caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def _class(table: Table, column: int) -> str:
    return "" if column < table.num_words else ' class="number"'


def _cell(table: Table, column: int, cell: str) -> str:
    text = html.escape(cell)
    if column >= table.num_words:
        return text.replace("-", "−")
    if table.columns[column] != "verdict":
        return text
    signs = {GREW: ("grew", "▲"), SHRANK: ("shrank", "▼"), CANNOT_TELL: ("unclear", "○"),
             HIGHER: ("decided", "▲"), LOWER: ("decided", "▼")}  # fmt: skip
    for word, (css, sign) in signs.items():
        if cell == word or cell.startswith(f"{word} ("):
            return f'<span class="verdict {css}">{sign} {text}</span>'
    return text


def _without_repeats(rows: list[list[str]]) -> list[list[str]]:
    """Rows whose first cell is blank where it repeats the one above."""
    above = [None, *(row[0] for row in rows)]
    return [
        ["" if row[0] == last else row[0], *row[1:]] for row, last in zip(rows, above, strict=False)
    ]


def wrapped(text: str, width: int = 99) -> str:
    """A paragraph for a terminal, its later lines indented by two."""
    return textwrap.fill(text, width, subsequent_indent="  ")

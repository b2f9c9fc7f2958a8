"""Table 1 as a table for people, Markdown, LaTeX and CSV; names are neither markup nor formulas."""

from typing import Any

import pandas as pd

from jaxloop.analysis import frames, table1
from jaxloop.analysis.table1 import CAPTION, Table1
from jaxloop.report import layout, remarks, rendering

_WORDS = ["data_set", "initialisation", "run", "distance"]
_HEADS = ["data set", "initialisation", "run", "distance"]


def for_people(table: Table1) -> pd.DataFrame | None:
    """Return a column a generation, mean ± half-width over seeds; None without a row."""
    generations = sorted(set(table.points.generation))
    rows = [
        [*words, *layout.by_generation(points, generations)]
        for *words, points in table.rows[[*_WORDS, "points"]].itertuples(index=False)
    ]
    heads = [*_HEADS, *map(str, generations)]
    return frames.for_people(CAPTION, heads, rows, num_words=4) if rows else None


def warnings(table: Table1) -> list[str]:
    """Say what must be known before rows are compared."""
    rows = zip(table.rows.run, table.rows.distance, table.rows.caveats, strict=True)
    caveats = [f"{run}, {d}: {remarks.words(code)}." for run, d, codes in rows for code in codes]
    return [*table1.warnings(table), *dict.fromkeys(caveats)]


def files(table: Table1) -> dict[str, str]:
    """Return {name: content} of the table as Markdown, LaTeX and CSV."""
    context = {"frame": for_people(table), "caption": CAPTION, "warnings": warnings(table)}
    tabular = _tabular(context["frame"])
    return {
        "table1.md": rendering.render("table1.md", **context),
        "table1.tex": rendering.render("table1.tex", tabular=tabular, **context),
        "table1.csv": _csv(table.points),
    }


def _tabular(frame: pd.DataFrame | None) -> str:
    """Return a LaTeX tabular that needs no package; small half-widths stand below their means."""
    rows = [] if frame is None else layout.rows(frame)
    cells = [[*map(layout.latex, row[:4]), *map(_stacked, row[4:])] for row in rows]
    heads = [head.capitalize() for head in (_HEADS if frame is None else frame.columns)]
    rules: Any = [{"selector": f"{at}rule", "props": ":hline"} for at in ("top", "mid", "bottom")]
    style = pd.DataFrame(cells, columns=heads).style.hide(axis="index").set_table_styles(rules)
    return style.to_latex(column_format="llll" + "r" * (len(heads) - 4))


def _stacked(cell: str) -> str:
    mean, _, half_width = cell.partition(" ± ")
    small = rf"{{\tiny $\pm${half_width}}}"
    return rf"\shortstack[r]{{{mean}\\{small}}}" if half_width else layout.latex(mean)


def _csv(points: pd.DataFrame) -> str:
    """Return a line a row and generation, unrounded; empty where there is no value."""
    return points.map(_not_a_formula).to_csv(index=False, lineterminator="\n")


def _not_a_formula(cell):
    """Prefix what a spreadsheet would compute with an apostrophe."""
    starts = isinstance(cell, str) and cell.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{cell}" if starts else cell

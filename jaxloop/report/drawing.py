"""Panels of curves as SVG or PNG: the look of every figure, and nothing about what is drawn.

Lines differ in colour (Okabe-Ito, safe for colour-blind readers), in marker and in dash, so that
they can be told apart in grey. No pyplot and no global state: Matplotlib's settings stay as set.
"""

import io
import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from jaxloop.analysis.results import Point

# Okabe and Ito's, by name: a subgroup called "red" that is drawn in blue would mislead.
COLORS = {
    "blue": "#0072B2", "red": "#D55E00", "green": "#009E73", "purple": "#CC79A7",
    "orange": "#E69F00", "sky": "#56B4E9", "black": "#000000", "yellow": "#C9B900",  # darkened
}  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (5, 2, 1, 2)))
PANEL_INCHES, ROW_INCHES, PAGE_INCHES = 3.0, 2.2, 10.4
PNG_DPI, PNG_COLORS = 200, 256
_STYLE = Path(__file__).parent / "templates" / "figures.mplstyle"
_CROSS: dict[str, Any] = dict(marker="x", markersize=10, markeredgewidth=2, linestyle="none")


class Line(NamedTuple):
    """A curve with its band. style: colour, marker, dash. diverged: generations with a cross."""

    label: str
    points: list[Point]
    style: tuple
    diverged: frozenset[int] = frozenset()

    @property
    def table(self) -> np.ndarray:
        """Generation, mean, low and high [points, 4]; NaN where there is none."""
        rows = [(p.generation, e.mean, e.low, e.high) for p in self.points for e in [p.estimate]]
        return np.array(rows, float).reshape(-1, 4)


class Panel(NamedTuple):
    """Curves on one pair of axes.

    low, high: the measure's range, which the axis never leaves for a band; None = open.
    scale: panels of one name here have the same axes; "" = their own.
    row: panels of another name here begin a new row, which bears the name on its left.
    x: what the points are over.
    """

    title: str
    lines: list[Line]
    low: float | None = None
    high: float | None = None
    scale: str = ""
    row: str = ""
    x: str = "generation"


def style(index: int, color: str | None = None) -> tuple:
    """Return (colour, marker, dash) of the index-th line of a figure; the first 32 differ."""
    lap, place = divmod(index, len(COLORS))
    return color or [*COLORS.values()][place], MARKERS[place], DASHES[(index + lap) % len(DASHES)]


def shades(num: int) -> list[str]:
    """Return colours for ordered lines, the first darkest: vermillion towards grey."""
    return [to_hex(c) for c in np.linspace((0.61, 0.16, 0.0), (0.55, 0.55, 0.55), num)]


def svg(panels: Sequence[Panel], columns: int) -> bytes:
    """Return panels in rows of `columns` above one legend, as an SVG that tells no date."""
    metadata = {"Date": None, "Creator": None}
    return _rendered(panels, columns, format="svg", metadata=metadata)


def png(panels: Sequence[Panel], columns: int) -> bytes:
    """Return the same as a PNG of few colours, which looks the same and is a third of the size."""
    picture = Image.open(io.BytesIO(_rendered(panels, columns, format="png", dpi=PNG_DPI)))
    picture, content = picture.convert("RGB").quantize(PNG_COLORS), io.BytesIO()
    picture.save(content, format="png", optimize=True, dpi=(PNG_DPI, PNG_DPI))
    return content.getvalue()


def _rendered(panels: Sequence[Panel], columns: int, **options) -> bytes:
    buffer = io.BytesIO()
    # Matplotlib reads its settings both when it builds and when it saves.
    with matplotlib.rc_context(fname=_STYLE), warnings.catch_warnings():
        # A browser has the letters that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        build(panels, columns).savefig(buffer, **options)
    return buffer.getvalue()


def build(panels: Sequence[Panel], columns: int) -> Figure:
    """Return the Matplotlib figure; its size follows from the panels."""
    rows = rows_of(panels, columns)
    columns = max(map(len, rows))
    width = PANEL_INCHES * columns if columns < 3 else PAGE_INCHES
    entries, entry_rows = _legend(panels, width)
    height = ROW_INCHES * len(rows) + 0.35 * entry_rows
    figure = Figure((width, height), layout="constrained")
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, i * columns + j + 1)
            alike = [p for p in panels if p.scale == panel.scale] if panel.scale else [panel]
            _draw(axes, panel, [line for p in alike for line in p.lines])
            if panel.row and j == 0:
                axes.set_ylabel(_text(panel.row), fontsize=10, fontweight="bold", color="#111111")
    if entries:
        names = [str(line.get_label()) for line in entries]  # given, one may begin with "_"
        ncols = math.ceil(len(entries) / entry_rows)
        figure.legend(entries, names, loc="outside lower center", ncols=ncols)
    return figure


def rows_of(panels: Sequence[Panel], columns: int) -> list[list[Panel]]:
    """Return the rows of a figure: a new one begins when full, and at a new name of the row."""
    named = [list(group) for _, group in itertools.groupby(panels, lambda panel: panel.row)]
    return [row[i : i + columns] for row in named for i in range(0, len(row), columns)]


def _draw(axes, panel: Panel, in_view: Sequence[Line]) -> None:
    """Draw lines, bands and crosses on axes that hold all lines `in_view`, of panels alike."""
    axes.set_title(_text(panel.title))
    axes.set_xlabel(panel.x)
    x = [p.generation for line in in_view for p in line.points]
    axes.set_xlim(min(x, default=0) - 0.3, max(x, default=1) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if not any(np.isfinite(line.table[:, 1]).any() for line in panel.lines):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="#666666")
        return
    bottom, top = _limits(in_view, panel.low, panel.high)
    axes.set_ylim(bottom, top)
    for line in panel.lines:
        color, marker, dash = line.style
        x, mean, low, high = line.table.T
        axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
        axes.plot(x, mean, color=color, marker=marker, linestyle=dash)
        if line.diverged:  # without a mean the cross is at the bottom
            heights = pd.Series(mean, x).reindex(sorted(line.diverged)).fillna(bottom)
            look = _CROSS | {"markeredgecolor": color, "clip_on": False, "zorder": 5}
            axes.plot(heights.index, heights, **look)


def _limits(lines: Sequence[Line], low: float | None, high: float | None) -> tuple[float, float]:
    """Return axis limits that hold all means, and bands within the range."""
    values = np.concatenate([line.table[:, 1:] for line in lines])
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    values[:, 1:] = values[:, 1:].clip(least, most)
    # Half a hundredth at least: an axis that magnifies the fourth decimal shows drama without any.
    margin = max(0.06 * (np.nanmax(values) - np.nanmin(values)), 0.005)
    return np.nanmin(values) - margin, np.nanmax(values) + margin


def _legend(panels: Sequence[Panel], width: float) -> tuple[list[Line2D], int]:
    """Return the entries, and how many rows of them are needed."""
    lines = [line for panel in panels for line in panel.lines]
    styles = {_text(line.label): line.style for line in lines if line.label}
    entries = [
        Line2D([], [], color=color, marker=marker, linestyle=dash, label=label)
        for label, (color, marker, dash) in styles.items()
    ]
    if any(line.diverged for line in lines):
        entries.append(Line2D([], [], **_CROSS, markeredgecolor="#333333", label="diverged"))
    fit = max(1, int(width / (0.75 + 0.085 * max(map(len, styles), default=1))))
    return entries, math.ceil(len(entries) / fit)


def _text(label: str) -> str:
    """Return what can be drawn: names of files may hold bytes that are no character."""
    return label.encode(errors="replace").decode()

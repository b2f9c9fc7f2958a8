"""Panels of curves as SVG or PNG: the look of every figure, and nothing about what is drawn.

Lines differ in colour (Okabe-Ito, safe for colour-blind readers), in marker and in dash, so that
they can be told apart in grey. No pyplot and no global state: Matplotlib's settings stay as set.
"""

import io
import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from jaxloop.analysis.results import Point

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, YELLOW = "#E69F00", "#56B4E9", "#000000", "#C9B900"  # yellow darkened
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (5, 2, 1, 2)))
# A subgroup called "red" drawn in blue would mislead; these are the palette's nearest.
COLOR_WORDS = {
    "red": VERMILLION, "green": GREEN, "blue": BLUE, "orange": ORANGE, "yellow": YELLOW,
    "purple": PURPLE, "black": BLACK,
}  # fmt: skip
PANEL_INCHES, ROW_INCHES, PAGE_INCHES = 3.0, 2.2, 10.4
_LOOK = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#777777", "axes.linewidth": 0.8, "axes.grid": True, "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7, "axes.axisbelow": True, "xtick.color": "#333333",
    "ytick.color": "#333333", "text.color": "#111111", "axes.labelcolor": "#333333",
    "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "jaxloop",
    "text.parse_math": False,
}  # fmt: skip
_LINE: dict[str, Any] = {"linewidth": 1.5, "markersize": 4.5}
_CROSS: dict[str, Any] = dict(marker="x", markersize=10, markeredgewidth=2, linestyle="none")


class Line(NamedTuple):
    """A curve with its band. style: colour, marker, dash. diverged: generations with a cross."""

    label: str
    points: list[Point]
    style: tuple
    diverged: frozenset[int] = frozenset()


class Panel(NamedTuple):
    """Curves on one pair of axes.

    low, high: the measure's range, which the axis never leaves; None = open.
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
    lap = index // len(COLORS)
    marker, dash = MARKERS[index % len(MARKERS)], DASHES[(index + lap) % len(DASHES)]
    return color or COLORS[index % len(COLORS)], marker, dash


def shades(num: int) -> list[str]:
    """Return colours for ordered lines, the first darkest: vermillion towards grey."""
    return [to_hex(c) for c in np.linspace((0.61, 0.16, 0.0), (0.55, 0.55, 0.55), num)]


def svg(panels: Sequence[Panel], columns: int) -> bytes:
    """Return panels in rows of `columns` above one legend, as a scalable SVG; text stays text."""
    metadata = {"Date": None, "Creator": None}  # the same panels give the same bytes
    return _rendered(panels, columns, {"format": "svg", "metadata": metadata})


def png(panels: Sequence[Panel], columns: int, dpi: int, colors: int) -> bytes:
    """Return the same as a PNG of so many colours."""
    content = io.BytesIO(_rendered(panels, columns, {"format": "png", "dpi": dpi}))
    # Flat colours: few of them look the same and make a third of the file.
    small = io.BytesIO()
    image = Image.open(content).convert("RGB").quantize(colors)
    image.save(small, format="png", optimize=True, dpi=(dpi, dpi))
    return small.getvalue()


def _rendered(panels: Sequence[Panel], columns: int, options: dict[str, Any]) -> bytes:
    # Matplotlib reads the look both when it builds and when it saves. What was set is restored.
    settings: dict[Any, Any] = matplotlib.rcParamsDefault | _LOOK
    settings["backend"] = matplotlib.rcParams["backend"]
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A browser has the letters that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        build(panels, columns).savefig(buffer, facecolor="white", **options)
    return buffer.getvalue()


def build(panels: Sequence[Panel], columns: int) -> Figure:
    """Return the Matplotlib figure; its size follows from the panels."""
    columns = min(columns, len(panels))
    places = places_of(panels, columns)
    rows = max(row for row, _ in places) + 1
    width = PANEL_INCHES * columns if columns < 3 else PAGE_INCHES
    legend, legend_columns = _legend(panels, width)
    height = ROW_INCHES * rows + 0.35 * math.ceil(len(legend) / legend_columns)
    figure = Figure((width, height), layout="constrained")
    for panel, (row, column) in zip(panels, places, strict=True):
        axes = figure.add_subplot(rows, columns, row * columns + column + 1)
        alike = [p for p in panels if p.scale == panel.scale] if panel.scale else [panel]
        _draw(axes, panel, [line for p in alike for line in p.lines])
        if panel.row and column == 0:
            axes.set_ylabel(_text(panel.row), fontsize=10, fontweight="bold", color="#111111")
    if legend:
        labels = [str(line.get_label()) for line in legend]  # given, one may begin with "_"
        layout: Any = {"loc": "outside lower center", "ncols": legend_columns, "handlelength": 3}
        figure.legend(legend, labels, **layout)
    return figure


def places_of(panels: Sequence[Panel], columns: int) -> list[tuple[int, int]]:
    """Return (row, column) of each panel: a new row when full, and at a new name of the row."""
    places = [(0, 0)]
    for before, panel in itertools.pairwise(panels):
        row, column = places[-1]
        full = column + 1 == columns or panel.row != before.row
        places.append((row + 1, 0) if full else (row, column + 1))
    return places


def _draw(axes, panel: Panel, in_view: Sequence[Line]) -> None:
    """Draw a panel on axes that hold all lines `in_view`: its own, and those of its scale."""
    axes.set_title(_text(panel.title), loc="left")
    axes.set_xlabel(panel.x)
    x = [p.generation for line in in_view for p in line.points]
    axes.set_xlim(min(x, default=0) - 0.3, max(x, default=1) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    limits = _limits(in_view, panel.low, panel.high)
    if limits is None or _limits(panel.lines, None, None) is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="#666666")
        return
    axes.set_ylim(*limits)
    for line in panel.lines:
        _draw_line(axes, line, limits[0])


def _draw_line(axes, line: Line, bottom: float) -> None:
    """Draw a line, its band and crosses; without a mean the line breaks and the cross is low."""
    color, marker, dash = line.style
    x = [p.generation for p in line.points]
    mean, low, high = (
        [math.nan if v is None else v for v in (getattr(p.estimate, end) for p in line.points)]
        for end in ("mean", "low", "high")
    )
    axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
    axes.plot(x, mean, color=color, marker=marker, linestyle=dash, **_LINE)
    heights = {g: bottom if math.isnan(m) else m for g, m in zip(x, mean, strict=True)}
    for generation in sorted(line.diverged):
        y = heights.get(generation, bottom)
        axes.plot([generation], [y], **_CROSS, markeredgecolor=color, clip_on=False, zorder=5)


def _limits(lines: Sequence[Line], low: float | None, high: float | None):
    """Return axis limits that hold all means, and bands within the range; None without a value."""
    estimates = [p.estimate for line in lines for p in line.points if p.estimate.mean is not None]
    if not estimates:
        return None
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    ends = [
        min(max(end, low), high) for e in estimates for end in (e.low, e.high) if end is not None
    ]
    values = [*(e.mean for e in estimates), *ends]
    # Half a hundredth at least: an axis that magnifies the fourth decimal shows drama without any.
    margin = max(0.06 * (max(values) - min(values)), 0.005)
    return min(values) - margin, max(values) + margin


def _legend(panels: Sequence[Panel], width: float) -> tuple[list[Line2D], int]:
    """Return entries, and their columns: as many as fit, or fewer that then are full."""
    lines = [line for panel in panels for line in panel.lines]
    styles = {_text(line.label): line.style for line in lines if line.label}
    entries = [
        Line2D([], [], color=color, marker=marker, linestyle=dash, **_LINE, label=label)
        for label, (color, marker, dash) in styles.items()
    ]
    if any(line.diverged for line in lines):
        entries.append(Line2D([], [], **_CROSS, markeredgecolor="#333333", label="diverged"))
    longest = max(map(len, styles), default=1)
    fit = max(1, int(width / (0.75 + 0.085 * longest)))
    return entries, math.ceil(len(entries) / math.ceil(len(entries) / fit)) if entries else 1


def _text(label: str) -> str:
    """Return what can be drawn: names of files may hold bytes that are no character."""
    return label.encode(errors="replace").decode()

"""Panels of curves as SVG or PNG: the look of every figure, and nothing about what is drawn.

Matplotlib's object-oriented interface only (no pyplot, no global state). Lines differ in colour (Okabe-Ito, safe for
colour-blind readers), in marker and in dash, so that they can be told apart in grey.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from jaxloop.analysis.results import Point

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, YELLOW = (
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#C9B900",
)  # yellow darkened, to be seen on white
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (5, 2, 1, 2)))
# A subgroup called "red" drawn in blue would mislead; these are the palette's nearest.
COLOR_WORDS = {"red": VERMILLION, "green": GREEN, "blue": BLUE, "orange": ORANGE, "yellow": YELLOW, "purple": PURPLE,
               "black": BLACK}  # fmt: skip

WIDE_INCHES, NARROW_INCHES = 10.4, 4.0

_LOOK = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#777777", "axes.linewidth": 0.8,
    "axes.grid": True, "grid.color": "#E4E4E4", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "xtick.color": "#333333", "ytick.color": "#333333", "text.color": "#111111", "axes.labelcolor": "#333333",
    "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "jaxloop", "axes.unicode_minus": True,
}  # fmt: skip


class Line(NamedTuple):
    """A curve with its band. diverged: generations to mark with a cross. style: colour, marker, dash."""

    label: str
    points: list[Point]
    style: tuple
    diverged: frozenset[int] = frozenset()


class Panel(NamedTuple):
    """Curves on one pair of axes.

    low, high: the measure's range, which the axis never leaves; None = open.
    scale: panels of one name here have the same axes; "" = its own.
    row: panels of another name here begin a new row, which bears the name on its left.
    """

    title: str
    lines: list[Line]
    low: float | None = None
    high: float | None = None
    scale: str = ""
    row: str = ""


def style(index: int, color: str | None = None) -> tuple:
    """(colour, marker, dash) of the index-th line of a figure."""
    lap = index // len(COLORS)  # shifts the dashes each time round, so that 32 lines differ
    return (
        color or COLORS[index % len(COLORS)],
        MARKERS[index % len(MARKERS)],
        DASHES[(index + lap) % len(DASHES)],
    )


def shades(num: int) -> list[str]:
    """Colours for ordered lines (ranks), the first darkest: vermillion towards grey."""
    dark, light = (0x9C, 0x2A, 0x00), (0x8C, 0x8C, 0x8C)
    steps = [i / max(num - 1, 1) for i in range(num)]
    return [
        "#" + "".join(f"{round(a + (b - a) * s):02X}" for a, b in zip(dark, light, strict=True))
        for s in steps
    ]


def svg(panels: Sequence[Panel], columns: int, inches: float, white: bool = False) -> bytes:
    """Panels in rows of `columns`, `inches` wide in all, with one legend below: an <svg> element without a prologue.

    The text stays text, so it can be searched and scales with the page. The same panels give the same bytes. On `white`,
    or on whatever the page has.
    """
    return _rendered(lambda: _figure(panels, columns, inches), _save_svg(white))


def png(
    panels: Sequence[Panel],
    columns: int,
    inches: float,
    height: float | None = None,
    title: str = "",
    dpi: int = 100,
    colors: int = 64,
) -> bytes:
    """The same as a PNG of so many colours, `height` inches high (None: as its rows ask for), under a title if there is one."""
    return _rendered(
        lambda: _figure(panels, columns, inches, height, title), _save_png(dpi, colors)
    )


def _rendered(make: Callable[[], Figure], save: Callable[[Figure], bytes]) -> bytes:
    # Matplotlib reads the look both when it builds and when it saves; the context restores what was set before.
    with matplotlib.rc_context(
        {**matplotlib.rcParamsDefault, **_LOOK, "backend": matplotlib.rcParams["backend"]}
    ):
        return save(make())


def _figure(panels, columns, inches, height=None, title="") -> Figure:
    columns = min(columns, len(panels))
    places = _places(panels, columns)
    rows = max(row for row, _ in places) + 1
    # A lone panel as wide as a page is hard to read; so is one less than two inches high.
    panel_height = min(2.5, max(1.9, 0.8 * inches / columns))
    figure = Figure(
        figsize=(inches, height or rows * panel_height + 0.35 * _legend_rows(panels, inches)),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    for panel, (row, column) in zip(panels, places, strict=True):
        axes = figure.add_subplot(rows, columns, row * columns + column + 1)
        alike = [p for p in panels if p.scale == panel.scale] if panel.scale else [panel]
        _draw(axes, panel, [line for p in alike for line in p.lines])
        if panel.row and column == 0:
            axes.set_ylabel(panel.row, fontsize=10, fontweight="bold", color="#111111")
    _legend(figure, panels, inches)
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    return figure


def _places(panels: Sequence[Panel], columns: int) -> list[tuple[int, int]]:
    """(row, column) of each panel: a new row after `columns`, and where the name of the row changes."""
    places = []
    for i, panel in enumerate(panels):
        row, column = places[-1] if places else (0, -1)
        full = column + 1 == columns or (i > 0 and panel.row != panels[i - 1].row)
        places.append((row + 1, 0) if full else (row, column + 1))
    return places


def _draw(axes, panel: Panel, in_view: Sequence[Line]) -> None:
    """A panel on axes that hold all lines `in_view`: its own, and those of panels on the same scale."""
    limits = _limits(in_view, panel.low, panel.high)
    axes.set_title(panel.title, loc="left")
    axes.set_xlabel("generation")
    generations = [p.generation for line in in_view for p in line.points]
    axes.set_xlim(min(generations, default=0) - 0.3, max(generations, default=1) + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if _limits(panel.lines, None, None) is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", color="#666666")
        return
    axes.set_ylim(*limits)
    for line in panel.lines:
        _draw_line(axes, line, limits)


def _draw_line(axes, line: Line, limits: tuple[float, float]) -> None:
    color, marker, dash = line.style
    # A generation without a value breaks the line: NaN, which Matplotlib does not draw.
    x = [p.generation for p in line.points]
    y = [math.nan if p.estimate.mean is None else p.estimate.mean for p in line.points]
    low = [math.nan if p.estimate.low is None else p.estimate.low for p in line.points]
    high = [math.nan if p.estimate.high is None else p.estimate.high for p in line.points]
    axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
    axes.plot(x, y, color=color, marker=marker, linestyle=dash, linewidth=1.5, markersize=4.5)
    means = dict(zip(x, y, strict=True))
    for generation in sorted(line.diverged):
        mean = means.get(generation, math.nan)
        at = limits[0] if math.isnan(mean) else mean
        axes.plot([generation], [at], **_CROSS, markeredgecolor=color, clip_on=False, zorder=5)


_CROSS = {"marker": "x", "markersize": 10, "markeredgewidth": 2, "linestyle": "none"}


def _limits(
    lines: Sequence[Line], low: float | None, high: float | None
) -> tuple[float, float] | None:
    """Axis limits that hold every mean, and the bands as far as the measure's range goes. None if there is no value."""
    estimates = [p.estimate for line in lines for p in line.points if p.estimate.mean is not None]
    if not estimates:
        return None
    means = [e.mean for e in estimates]
    bottom = min([*means, *(_clipped(e.low, low, high) for e in estimates if e.low is not None)])
    top = max([*means, *(_clipped(e.high, low, high) for e in estimates if e.high is not None)])
    # Half a hundredth at least: an axis that magnifies noise in the fourth decimal shows drama where there is none.
    margin = max(0.06 * (top - bottom), 0.005)
    return bottom - margin, top + margin


def _clipped(value: float, low: float | None, high: float | None) -> float:
    return min(max(value, -math.inf if low is None else low), math.inf if high is None else high)


def _labels(panels: Sequence[Panel]) -> dict[str, tuple]:
    return {line.label: line.style for panel in panels for line in panel.lines if line.label}


def _legend_columns(panels: Sequence[Panel], inches: float) -> int:
    """As many as fit, or fewer where the same number of rows then is full."""
    num = len(_labels(panels)) + any(line.diverged for panel in panels for line in panel.lines)
    longest = max(map(len, _labels(panels)), default=1)
    fit = max(1, int(inches / (0.75 + 0.085 * longest)))
    return math.ceil(num / math.ceil(num / fit)) if num else 1


def _legend_rows(panels: Sequence[Panel], inches: float) -> int:
    num = len(_labels(panels)) + any(line.diverged for panel in panels for line in panel.lines)
    return math.ceil(num / _legend_columns(panels, inches))


def _legend(figure: Figure, panels: Sequence[Panel], inches: float) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=color,
            marker=marker,
            linestyle=dash,
            linewidth=1.5,
            markersize=4.5,
            label=label,
        )
        for label, (color, marker, dash) in _labels(panels).items()
    ]
    if any(line.diverged for panel in panels for line in panel.lines):
        handles.append(Line2D([], [], **_CROSS, markeredgecolor="#333333", label="diverged"))
    if handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=_legend_columns(panels, inches),
            handlelength=3,
        )


def _save_svg(white: bool) -> Callable[[Figure], bytes]:
    def save(figure: Figure) -> bytes:
        buffer = io.BytesIO()
        background = {"facecolor": "white"} if white else {"transparent": True}
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **background)
        text = buffer.getvalue().decode()
        # Matplotlib names the one font that it measured with. Where it is not installed, take one as wide: nothing overlaps.
        text = text.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")
        return text[text.index("<svg") :].encode()

    return save


def _save_png(dpi: int, colors: int) -> Callable[[Figure], bytes]:
    def save(figure: Figure) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
        # Flat colours: few of them look the same and make a third of the file.
        small = io.BytesIO()
        Image.open(buffer).convert("RGB").quantize(colors).save(
            small, format="png", optimize=True, dpi=(dpi, dpi)
        )
        return small.getvalue()

    return save


def scoped(drawing: bytes, scope: str) -> str:
    """An <svg> for a page that holds others: every id gets a prefix, for ids are one namespace in a page."""
    text = drawing.decode()
    # A style element would rule the whole page; the page's own sheet says the same of its figures.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    # Metadata holds only addresses of vocabularies; a page that loads nothing should not name any.
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{scope}-', text)
    return text.replace('href="#', f'href="#{scope}-').replace("url(#", f"url(#{scope}-")

"""Fill in templates; write files so that no name that people gave their data breaks them."""

import base64
import json
from pathlib import Path
from typing import NamedTuple

import jinja2

from jaxloop.analysis import compare, drop_rates, filter_arms, rater_agreement
from jaxloop.analysis.answer import QUESTION
from jaxloop.analysis.equation6 import dynamics
from jaxloop.files import write_atomic
from jaxloop.report import drawing, figures, layout, tables
from jaxloop.report.drawing import Panel


class Drawn(NamedTuple):
    """uri: the figure, an SVG.  caption: of how many seeds lines and bands are."""

    uri: str
    caption: str
    columns: int


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html"]), undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
)  # fmt: skip
_ENVIRONMENT.filters |= {
    "data_uri": _data_uri, "json": lambda value: json.dumps(value, ensure_ascii=False),
    "rows": lambda frame: layout.without_repeats(layout.rows(frame)),
    "without_ends": lambda frame: frame.drop(columns=["first", "last"]),
    "text": layout.to_text, "wrapped": layout.wrapped, "latex": layout.latex,
    "markdown": layout.markdown, "markdown_table": layout.to_markdown,
    "seeds_caption": figures.seeds_caption,
}  # fmt: skip
_ENVIRONMENT.globals |= {
    "question": QUESTION, "tables": tables, "compare": compare, "drop_rates": drop_rates,
    "dynamics": dynamics, "filter_arms": filter_arms, "rater_agreement": rater_agreement,
}  # fmt: skip


def render(template: str, **context) -> str:
    """Fill in a template; in HTML, whatever is no markup of its own is escaped."""
    return _ENVIRONMENT.get_template(template).render(context)


def drawn(panels: list[Panel], columns: int = figures.COLUMNS) -> Drawn | None:
    """Draw a figure for a page; None if no panel has a value."""
    # A panel without a value stays if a neighbour has one: it says "no values", which is news.
    caption, columns = figures.seeds_caption(panels), min(columns, len(panels))
    if not caption:
        return None
    return Drawn(_data_uri(drawing.svg(panels, columns), "image/svg+xml"), caption, columns)


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write each file as a whole; a character that UTF-8 lacks becomes a question mark."""
    for name, content in files.items():
        encoded = content.encode(errors="replace") if isinstance(content, str) else content
        write_atomic(folder / name, encoded)

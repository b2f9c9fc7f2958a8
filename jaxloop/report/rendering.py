"""Fill in templates; write files so that no name that people gave their data breaks them."""

import base64
import json
from pathlib import Path

import jinja2

from jaxloop import records
from jaxloop.analysis import (
    compare,
    contrasts,
    drop_rates,
    filter_arms,
    rater_agreement,
    results,
    shares,
)
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.frames import for_people
from jaxloop.analysis.words import QUESTION, listed_words
from jaxloop.files import write_atomic
from jaxloop.report import answer_tables, drawing, figures, layout, tables

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=jinja2.select_autoescape(["html"]), undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
)  # fmt: skip
ENVIRONMENT.filters |= {
    "base64": lambda content: base64.b64encode(content).decode(),
    "json": lambda value: json.dumps(value, ensure_ascii=False),
    "listed": lambda items: listed_words([str(item) for item in items]),
    "cells": layout.rows, "rows": lambda frame: layout.without_repeats(layout.rows(frame)),
    "with_interval": layout.with_interval, "text": layout.to_text, "wrapped": layout.wrapped,
    "signed": layout.signed, "latex": layout.latex, "markdown": layout.markdown,
    "short": answer_tables.short, "num_seeds": figures.num_seeds, "svg": drawing.svg,
}  # fmt: skip
ENVIRONMENT.globals |= {
    "question": QUESTION, "codes": records.REASONS | records.CAVEATS, "compare": compare,
    "contrasts": contrasts, "drop_rates": drop_rates, "dynamics": dynamics, "figures": figures,
    "filter_arms": filter_arms, "for_people": for_people, "rater_agreement": rater_agreement,
    "answer_tables": answer_tables, "results": results, "shares": shares, "tables": tables,
}  # fmt: skip


def render(template: str, **context) -> str:
    """Fill in a template; in HTML, whatever is no markup of its own is escaped."""
    return ENVIRONMENT.get_template(template).render(context)


def sentences(macro: str, template: str = "remarks.txt", **facts) -> list[str]:
    """Return the lines of a macro."""
    module = ENVIRONMENT.get_template(template).module
    return [line for line in getattr(module, macro)(**facts).split("\n") if line]


ENVIRONMENT.globals["sentences"] = sentences


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write each file as a whole; a character that UTF-8 lacks becomes a question mark."""
    for name, content in files.items():
        encoded = content.encode(errors="replace") if isinstance(content, str) else content
        write_atomic(folder / name, encoded)

"""Pieces of HTML that the pages share: the document, lists, captioned figures, headings."""

import html
from collections.abc import Iterable

from jaxloop.report import drawing
from jaxloop.report.figures import Drawn
from jaxloop.report.style import CSS


def document(title: str, blocks: Iterable[str]) -> str:
    """A whole page, which loads nothing."""
    body = "\n".join(blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def escape(text: str) -> str:
    return html.escape(text)


def paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def bullets(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def definitions(pairs: dict[str, str]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in pairs.items())
        + "</dl>"
    )


def folded(summary: str, inner: str) -> str:
    """Something to be opened."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def warning(heading: str, sentences: Iterable[str]) -> str:
    return f'<div class="warning"><strong>{escape(heading)}</strong>{bullets(sentences)}</div>'


def heading(text: str, anchor: str = "") -> str:
    identity = f' id="{anchor}"' if anchor else ""
    return f"<h2{identity}>{escape(text)}</h2>"


def figure(drawn: Drawn, name: str, title: str, caption: Iterable[str]) -> str:
    """A figure in both its widths above the lines of its caption. `name` is unique in a page."""
    views = "".join(
        _inline(svg, name, title, view)
        for svg, view in ((drawn.wide, "wide"), (drawn.narrow, "narrow"))
    )
    return f"<figure>{views}<figcaption>{'<br>'.join(map(escape, caption))}</figcaption></figure>"


def _inline(svg: bytes, name: str, title: str, view: str) -> str:
    label = f"{title}, by generation; the numbers are in the tables of this page"
    text = drawing.scoped(svg, f"{name}-{view}")
    return text.replace("<svg ", f'<svg class="{view}" role="img" aria-label="{escape(label)}" ', 1)

"""Tables in one structure, shown three ways: aligned text for the terminal, HTML for the page, Markdown for a README."""

import html
import os
import textwrap
from typing import NamedTuple

from jaxloop.report import measures, results
from jaxloop.report.results import Point
from jaxloop.report.statistics import CANNOT_TELL, GREW, SHRANK, Estimate
from jaxloop.report.workdir import Name, Run, load

FINAL = ("accuracy", "meo", "di", "md", "acc_rank_1")
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
    return f"{e.mean:.{digits}f}" + ("" if e.half_width is None else f" ± {e.half_width:.{digits}f}")


def interval(e: Estimate, digits: int = 4) -> str:
    """ "[-0.0021, +0.0045]", or a dash where there is none."""
    return NO_VALUE if e.half_width is None else f"[{e.low:+.{digits}f}, {e.high:+.{digits}f}]"


def digits_for(points: list[Point]) -> int:
    """Decimals that suit a series: 3 below 10, 1 from 100 on."""
    largest = max((abs(p.estimate.mean) for p in points if p.estimate.mean is not None), default=0)
    return 3 if largest < 10 else 2 if largest < 100 else 1


def verdict_table(run: Run, ends: bool = True) -> Table:
    """For each classifier and kind of bias: grew, shrank or cannot tell, its slope; with `ends`, the bias at both ends."""
    rows = []
    for v in results.verdicts(run):
        slope = v.trend.slope
        rows.append([
            v.subject, v.bias.title, v.trend.verdict,
            NO_VALUE if slope.mean is None else f"{slope.mean:+.4f}", interval(slope),
            *(_end(point) for point in (v.first, v.last) if ends),
        ])  # fmt: skip
    caption = f"Change of bias per generation: slope over generations 0 to {run.reached}, {_over_seeds(run)}"
    columns = ["classifier", "bias", "verdict", "slope", "95% interval", *(("first", "last") if ends else ())]
    return Table(caption, columns, rows, num_words=3)


def _end(point: Point | None) -> str:
    return NO_VALUE if point is None or point.estimate.mean is None else f"{point.estimate.mean:.3f}"


def final_table(run: Run) -> Table:
    """Every classifier at generation 0 and at the last generation that it has, mean ± half-width of the interval."""
    rows = []
    for subject in run.classifiers:
        for generation in sorted({0, run.last(subject)} - {-1}):
            cells = [_at(results.curve(run, Name(subject, metric)), generation) for metric in FINAL]
            mark = "†" if generation in results.diverged(run, subject) else ""
            rows.append([subject, f"{generation}{mark}", *cells])
    heads = [_head(metric) for metric in FINAL]
    caption = f"Classifiers on the real test set, generation 0 and the last one: {_what_cells_hold(run)}"
    if any("†" in row[1] for row in rows):
        caption += "; † diverged in at least one seed"
    return Table(caption, ["classifier", "gen", *heads], rows)


def generator_table(run: Run) -> Table:
    """The generator by generation: its Fréchet distances, label agreement and diversity."""
    metrics = [*results.distances(run), *measures.GENERATOR]
    curves = [results.curve(run, Name("generator", metric)) for metric in metrics]
    # Generation 0 has no generator, whatever the generations that the run reached.
    generations = range(1, run.last("generator") + 1)
    rows = [[str(g), *(_at(points, g, digits_for(points)) for points in curves)] for g in generations]
    columns = ["gen", *(metric if measures.is_distance(metric) else _head(metric) for metric in metrics)]
    return Table(f"Generator, by generation: {_what_cells_hold(run)}", columns, rows)


def full_table(run: Run) -> Table:
    """Every number: a row for each measure of a subject, class and subgroup; a column a generation."""
    generations = range(run.planned + 1)
    rows = []
    for name in sorted(run.values, key=_order):
        points = results.curve(run, name)
        class_ = "" if name.class_ is None else _class_name(run, name.class_)
        group = "" if name.group is None else results.group_name(run, name.group, name.class_)
        cells = [_at(points, g, digits_for(points)) for g in generations]
        rows.append([name.subject, name.metric, class_, group, *cells])
    columns = ["subject", "metric", "class", "subgroup", *(f"gen {g}" for g in generations)]
    return Table(f"Every measure: {_what_cells_hold(run)}", columns, rows, num_words=4)


def trend_table(run: Run) -> Table:
    """Slopes of every measure that is of no class: per generation, with interval, verdict and counts of points."""
    rows = []
    for name in sorted((n for n in run.values if n.class_ is None and n.metric != "diverged"), key=_order):
        t = results.trend(run, name)
        group = "" if name.group is None else results.group_name(run, name.group, name.class_)
        slope = NO_VALUE if t.slope.mean is None else f"{t.slope.mean:+.4f}"
        counts = [str(t.num_points), str(t.num_points_missing)]
        rows.append([name.subject, name.metric, group, t.verdict, slope, interval(t.slope), *counts])
    # "it grew" is good news for some measures and bad for others: no column "verdict" here, which would be coloured.
    columns = ["subject", "metric", "subgroup", "it", "slope", "95% interval", "points", "left out"]
    return Table("Trends of every measure over generations", columns, rows, num_words=4)


def summary(workdir: str | os.PathLike) -> str:
    """What a run prints at its end: the answer, the tables and what is missing. Raises InputError on a bad workdir."""
    run = load(workdir)
    found = results.answer(run)
    blocks = [
        _wrapped(_title(run)),
        "\n".join(_wrapped(line) for line in (results.QUESTION, found.headline, *found.sentences)),
        to_text(verdict_table(run, ends=False)),
        to_text(final_table(run)),
    ]
    if run.last("generator") >= 1:
        blocks.append(to_text(generator_table(run)))
    if remarks := [*results.diverged_sentences(run), *results.missing(run)]:
        blocks.append("\n".join(_wrapped(f"! {remark}") for remark in remarks))
    return "\n\n".join(blocks) + "\n"


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
    return "\n".join([_wrapped(table.caption, width), aligned[0], "-" * max(map(len, aligned)), *aligned[1:]])


def to_markdown(table: Table) -> str:
    """A GitHub table; the caption stands above it."""
    marks = [":---" if i < table.num_words else "---:" for i in range(len(table.columns))]
    lines = [table.columns, marks, *table.rows]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return f"{table.caption}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def to_html(table: Table) -> str:
    """A <table> in a box that scrolls sideways on its own; verdicts carry a colour and a sign, not colour alone."""
    head = "".join(f'<th scope="col"{_class(table, i)}>{html.escape(c)}</th>' for i, c in enumerate(table.columns))
    rows = []
    for row in _without_repeats(table.rows):
        cells = [f"<td{_class(table, i)}>{_cell(table, i, cell)}</td>" for i, cell in enumerate(row)]
        rows.append(f"<tr{' class=first' if row[0] else ''}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{html.escape(table.caption)}</caption>'
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
    signs = {GREW: ("grew", "▲"), SHRANK: ("shrank", "▼"), CANNOT_TELL: ("unclear", "○")}
    for word, (css, sign) in signs.items():
        if cell == word or cell.startswith(f"{word} ("):
            return f'<span class="verdict {css}">{sign} {text}</span>'
    return text


def _order(name: Name) -> tuple:
    """By subject and metric; the whole first, then subgroups, then classes."""
    return name.subject, name.metric, *((part is not None, part or 0) for part in (name.class_, name.group))


def _without_repeats(rows: list[list[str]]) -> list[list[str]]:
    """Rows whose first cell is blank where it repeats the one above."""
    above = [None, *(row[0] for row in rows)]
    return [["" if row[0] == last else row[0], *row[1:]] for row, last in zip(rows, above, strict=False)]


def _at(points: list[Point], generation: int, digits: int = 3) -> str:
    return next((with_interval(p.estimate, digits) for p in points if p.generation == generation), NO_VALUE)


def _head(metric: str) -> str:
    return {"acc_rank_1": "worst subgroup", "within_class_diversity": "diversity"}.get(
        metric, measures.measure(metric).title
    )


def _class_name(run: Run, class_: int) -> str:
    return run.class_names[class_] if 0 <= class_ < len(run.class_names) else f"class {class_}"


def _what_cells_hold(run: Run) -> str:
    num = len(run.seeds)
    return "one seed, so no interval" if num == 1 else f"mean ± half-width of the 95% interval over {num} seeds"


def _over_seeds(run: Run) -> str:
    num = len(run.seeds)
    return "one seed, so no interval" if num == 1 else f"mean over {num} seeds"


def _title(run: Run) -> str:
    num = len(run.seeds)
    name = run.spec.get("data", {}).get("name", "?")
    return f"jaxloop: {name}, generation {run.reached} of {run.planned}, {num} seed{'s' * (num > 1)}"


def _wrapped(text: str, width: int = 99) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ")

"""The paper's table 1: how far generated images are from real ones, generation by generation; the paper's rows beside ours.

One table, written as Markdown, LaTeX and CSV.
"""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

from jaxloop.analysis import labels, results
from jaxloop.analysis.labels import BIASED, CIFAR, HARD_IMAGENET, MNIST, NOT_APPLICABLE, UNBIASED
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report.layout import Table, digits_for, to_markdown, with_interval
from jaxloop.statistics import Estimate

PAPER = "the paper"
# (data.name, initialisation) -> FID of generations 1, 2, ...
PAPERS = {
    (MNIST, UNBIASED): (111.7, 108.9, 107.8, 107.1, 104.5, 103.6, 101.0, 100.5, 103.6, 106.3),
    (MNIST, BIASED): (109.4, 106.0, 107.03, 106.4, 105.3, 114.2, 109.0, 108.6, 109.1, 116.5),
    (CIFAR, NOT_APPLICABLE): (249.3, 213.6, 210.6, 217.7, 218.8, 224.9, 233.1, 226.5, 220.6, 223.0),
    (HARD_IMAGENET, NOT_APPLICABLE): (56.6, 49.9, 55.4, 60.2, 70.6, 65.8, 153.2, 256.1, 353.1),
}  # fmt: skip
FIELDS = ("data_set", "initialisation", "run", "metric", "generation", "mean", "low", "high", "n")


class Row(NamedTuple):
    """run: a label, or PAPER.  metric: "fid" or "fd_<network>".  points: of generation 1 on; the paper's have n = 0.

    notes: what the records say against comparing.  measured_on: every (n, n_real, resize, sha256) that occurs.
    """

    data_set: str
    initialisation: str
    run: str
    metric: str
    points: list[Point]
    notes: tuple[str, ...] = ()
    measured_on: tuple[tuple, ...] = ()


def rows(runs: Sequence[Run]) -> list[Row]:
    """For each run its FID, or where it has none each of its other Fréchet distances; before it the paper's row, once.

    The paper's row stands where the data set and the kind of its colours are the paper's. A run without any distance has no row.
    """
    made = {}
    for run, label in zip(runs, labels.labels(runs), strict=True):
        of = labels.data_title(run), labels.initialisation(run)
        found = results.distances(run)
        if found and (values := PAPERS.get((labels.data_name(run), of[1]))):
            points = [
                Point(g, Estimate(value, None, 0, 0)) for g, value in enumerate(values, start=1)
            ]
            made.setdefault((*of, PAPER), Row(*of, PAPER, "fid", points))
        for metric in ["fid"] if "fid" in found else found:
            made[*of, label, metric] = _row(run, of, label, Name("generator", metric))
    # Rows of one experiment stand together, in the order of the runs.
    order = list(dict.fromkeys(key[:2] for key in made))
    return sorted(made.values(), key=lambda row: order.index(row[:2]))


def _row(run: Run, of: tuple[str, str], label: str, name: Name) -> Row:
    notes = [note for by_seed in run.notes.get(name, {}).values() for note in by_seed.values()]
    facts = [facts for by_seed in run.features.get(name, {}).values() for facts in by_seed.values()]
    on = [tuple(each.get(part) for part in ("n", "n_real", "resize", "sha256")) for each in facts]
    return Row(
        *of,
        label,
        name.metric,
        results.curve(run, name),
        tuple(dict.fromkeys(notes)),
        tuple(dict.fromkeys(on)),
    )


def warnings(made: Sequence[Row]) -> list[str]:
    """What must be known before rows are compared."""
    own = [row for row in made if row.run != PAPER]
    spaces = list(dict.fromkeys(row.metric for row in own))
    said = []
    if len(own) < len(made):
        said.append(
            f"Rows of “{PAPER}” are those of its table 1, which gives no interval. The data set and the kind of colours are the "
            "same; its generator's size and training, its image size and the numbers of images are not given or not ours."
        )
        if other := [metric for metric in spaces if metric != "fid"]:
            said.append(
                f"{', '.join(other)} is measured in another feature space than the paper's FID (Inception-V3): compare how "
                "the rows move over generations, never their values."
            )
    if len(spaces) > 1:
        said.append(
            f"The runs are measured in different feature spaces ({', '.join(spaces)}): only trends can be compared."
        )
    elif len(own) > 1 and spaces != ["fid"]:
        said.append(
            f"{spaces[0]} is measured in the features of each run's own network: between runs, only trends can be compared."
        )
    said += dict.fromkeys(f"{row.run}, {_name(row)}: {note}." for row in own for note in row.notes)
    if len(own) > 1 and len({row.measured_on for row in own if row.metric == "fid"}) > 1:
        said.append(
            "The runs' FIDs are of other numbers of images, another resize or other weights: do not compare their values."
        )
    return said


def table(made: Sequence[Row]) -> Table:
    """The table for people: a column a generation, mean ± half-width of the 95 % interval over seeds."""
    generations = _generations(made)
    lines = [
        [*row[:2], row.run, _name(row), *(_cell(row, g) for g in generations)] for row in made
    ]  # fmt: skip
    columns = ["data set", "initialisation", "run", "distance", *map(str, generations)]
    return Table(_caption(), columns, lines, num_words=4)


def markdown(made: Sequence[Row]) -> str:
    """The table, then its warnings."""
    return "\n\n".join([to_markdown(table(made)), *warnings(made)]) + "\n"


def latex(made: Sequence[Row]) -> str:
    r"""A table environment to \input; it needs no package. Half-widths stand under their means, in small type."""
    generations = _generations(made)
    head = [*map(_tex, ("Data set", "Initialisation", "Run", "Distance")), *map(str, generations)]
    body = []
    for row in made:
        found = {p.generation: p.estimate for p in row.points}
        digits = digits_for(row.points)
        means = [_number(found.get(g), digits) for g in generations]
        body.append(_line([*(_tex(word) for word in (*row[:3], _name(row))), *means]))
        widths = [_half_width(found.get(g), digits) for g in generations]
        if any(widths):
            body.append(_line(["", "", "", "", *widths]))
    notes = " ".join(_tex(said) for said in warnings(made))
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{_tex(_caption())}. {notes}}}", r"\scriptsize",
        r"\setlength{\tabcolsep}{2.5pt}", rf"\begin{{tabular}}{{llll{'r' * len(generations)}}}", r"\hline", _line(head),
        r"\hline", *body, r"\hline", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def csv_text(made: Sequence[Row]) -> str:
    """One line a row and generation, unrounded; empty where there is no value, no interval or, of the paper, no n."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in made:
        for generation, e in row.points:
            numbers = ["" if number is None else repr(number) for number in (e.mean, e.low, e.high)]
            writer.writerow([*row[:4], generation, *numbers, "" if row.run == PAPER else e.num])
    return out.getvalue()


def _generations(made: Sequence[Row]) -> list[int]:
    return sorted({p.generation for row in made for p in row.points})


def _caption() -> str:
    return "Fréchet distance between generated and real images by generation: mean ± half-width of the 95% t-interval over seeds"


def _name(row: Row) -> str:
    return "FID" if row.metric == "fid" else row.metric


def _cell(row: Row, generation: int) -> str:
    found = [p.estimate for p in row.points if p.generation == generation]
    return with_interval(found[0], digits_for(row.points)) if found else "–"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _number(e: Estimate | None, digits: int) -> str:
    return "--" if e is None or e.mean is None else f"{e.mean:.{digits}f}"


def _half_width(e: Estimate | None, digits: int) -> str:
    return rf"{{\tiny $\pm${e.half_width:.{digits}f}}}" if e is not None and e.half_width else ""


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "–": "--", "“": "``", "”": "''", "−": "$-$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "é": r"\'e",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)

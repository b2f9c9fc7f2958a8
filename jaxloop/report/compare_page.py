"""The report of one run or more in a folder: page, numbers, table 1 and the paper's figures."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jaxloop.analysis import compare, frames, labels, table1
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.run_folder import Run, load
from jaxloop.analysis.table1 import CAPTION, Table1
from jaxloop.analysis.words import QUESTION
from jaxloop.errors import InputError, refusing
from jaxloop.records import CAVEATS
from jaxloop.report import drawing, json_export, layout, page, paper_figures, rendering


def write(workdirs: Sequence[str | os.PathLike], out: str | os.PathLike) -> Path:
    """Write report.html, report.json, table1.md, .tex and .csv, and figures/ into a folder.

    The folder is made if need be; other files in it are left alone. Returns the page's path.

    Raises:
      InputError: a bad workdir or one that is given twice; `out` is no folder, or a run's own.
    """
    out, places = Path(out), [Path(workdir).resolve() for workdir in workdirs]
    if repeated := [w for i, w in enumerate(workdirs) if places[i] in places[:i]]:
        raise InputError("RUN", str(repeated[0]), "each run once")
    if out.exists() and not out.is_dir():
        raise InputError("--out", str(out), "a folder")
    if out.resolve() in places or (out / "records.jsonl").exists():
        allowed = "a folder that is not a run's own, whose report would be overwritten"
        raise InputError("--out", str(out), allowed)
    files = build([load(workdir) for workdir in workdirs])
    with refusing("--out", str(out), "a folder that can be made", OSError):
        (out / "figures").mkdir(parents=True, exist_ok=True)
    rendering.write(out, files)
    return out / "report.html"


# The names of folders may hold bytes that Arrow's strings refuse.
@pd.option_context("mode.string_storage", "python")
def build(runs: Sequence[Run]) -> dict[str, str | bytes]:
    """Return {path in the folder: content}; the same runs give the same bytes."""
    names = labels.labels(runs)
    said = dict(zip(names, map(page.contents, runs), strict=True))
    distances, comparisons = table1.table1(runs), compare.compare(runs)
    drawn, lacking = paper_figures.paper_figures(runs)
    shared = {
        "not_shared": labels.differences(runs), "comparisons": comparisons,
        "not_compared": compare.left_out(runs, comparisons),
    }  # fmt: skip
    estimates = dynamics.estimate(runs)
    html = rendering.render(
        "compare.html", runs=said, **shared, drawn=drawn, lacking=lacking, estimates=estimates,
        overview=_overview(dict(zip(names, runs, strict=True))),
        distances=table1_frame(distances),
        distance_warnings=table1_warnings(distances),
    )  # fmt: skip
    numbers = shared | {
        "question": QUESTION, "table1": distances.rows.to_dict("records"), "conjecture": estimates,
        "runs": [{"label": name, "workdir": str(each.run.path)} | json_export.of_run(each)
                 for name, each in said.items()],
    }  # fmt: skip
    captions = rendering.render("captions.md", drawn=drawn, lacking=lacking).strip() + "\n"
    return {
        "report.html": html, "report.json": json_export.text(numbers),
        **table1_files(distances), "figures/captions.md": captions,
        **{f"figures/{f.name}.{kind}": draw(f.panels, f.columns) for f in drawn
           for kind, draw in (("png", drawing.png), ("svg", drawing.svg))},
    }  # fmt: skip


def _overview(runs: dict[str, Run]) -> pd.DataFrame:
    heads = {
        "data set": labels.data_title, "colours": labels.initialisation, "weights": labels.start,
        "generator": lambda run: run.spec.get("generator", {}).get("name", "not recorded"),
        "filter": lambda run: run.spec.get("filter", {}).get("name", "not recorded"),
        "classifiers": lambda run: len(run.classifiers), "seeds": lambda run: len(run.seeds),
        "generations": lambda run: f"{run.reached} of {run.planned}",
    }  # fmt: skip
    rows = [[label, *(cell(run) for cell in heads.values())] for label, run in runs.items()]
    return frames.for_people("The runs", ["run", *heads], rows, num_words=6)


def table1_frame(table: Table1) -> pd.DataFrame | None:
    """Return table 1 for people, a column a generation; None without a row."""
    if table.rows.empty:
        return None
    generations = sorted(set(table.points.generation))
    words = table.rows[["data_set", "initialisation", "run", "distance"]]
    rows = [
        [*row, *layout.by_generation(points, generations)]
        for row, points in zip(words.to_numpy(), table.rows.points, strict=True)
    ]
    heads = ["data set", "initialisation", "run", "distance", *map(str, generations)]
    return frames.for_people(CAPTION, heads, rows, num_words=4)


def table1_warnings(table: Table1) -> list[str]:
    """Say what must be known before rows are compared."""
    rows = zip(table.rows.run, table.rows.distance, table.rows.caveats, strict=True)
    caveats = [f"{run}, {d}: {CAVEATS[code]}." for run, d, codes in rows for code in codes]
    return [*table1.warnings(table), *dict.fromkeys(caveats)]


def table1_files(table: Table1) -> dict[str, str]:
    """Return {name: content} of Markdown, LaTeX and, a line a row and generation, unrounded CSV."""
    context = {"frame": table1_frame(table), "warnings": table1_warnings(table)}
    texts = {
        name: rendering.render(name, caption=CAPTION, **context)
        for name in ("table1.md", "table1.tex")
    }
    points = table.points.map(_not_a_formula)
    return texts | {"table1.csv": points.to_csv(index=False, lineterminator="\n")}


def _not_a_formula(cell):
    """Prefix what a spreadsheet would compute with an apostrophe."""
    starts = isinstance(cell, str) and cell.lstrip().startswith(("=", "+", "-", "@"))
    return f"'{cell}" if starts else cell

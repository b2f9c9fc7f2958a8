"""The report of one run or more in a folder: page, numbers, table 1 and the paper's figures."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jaxloop.analysis import compare, frames, labels, table1
from jaxloop.analysis.answer import QUESTION
from jaxloop.analysis.run_folder import Run, load
from jaxloop.errors import InputError
from jaxloop.report import json_export, paper_figures, rendering, table1_files
from jaxloop.report.contents import contents, equation6


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
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder that can be made ({error.strerror})"
        raise InputError("--out", str(out), allowed) from None
    rendering.write(out, files)
    return out / "report.html"


# The names of folders may hold bytes that Arrow's strings refuse.
@pd.option_context("mode.string_storage", "python")
def build(runs: Sequence[Run]) -> dict[str, str | bytes]:
    """Return {path in the folder: content}; the same runs give the same bytes."""
    names = labels.labels(runs)
    said = dict(zip(names, map(contents, runs), strict=True))
    distances, estimates, comparisons = table1.table1(runs), equation6(runs), compare.compare(runs)
    drawn, lacking = paper_figures.paper_figures(runs)
    shared = {
        "not_shared": labels.differences(runs), "comparisons": comparisons,
        "not_compared": compare.left_out(runs, comparisons),
    }  # fmt: skip
    page = rendering.render(
        "compare.html", runs=said, **shared, lacking=lacking, estimates=estimates,
        title="jaxloop: " + (f"{len(runs)} runs compared" if len(runs) > 1 else names[0]),
        overview=_overview(dict(zip(names, runs, strict=True))),
        figures=[(f, rendering.drawn(f.panels, f.columns)) for f in drawn],
        distances=table1_files.for_people(distances),
        distance_warnings=table1_files.warnings(distances),
    )  # fmt: skip
    numbers = shared | {
        "question": QUESTION, "table1": distances.rows.to_dict("records"), "conjecture": estimates,
        "runs": [{"label": name, "workdir": str(each.run.path)} | json_export.of_run(each)
                 for name, each in said.items()],
    }  # fmt: skip
    pictures = {f"figures/{name}": content
                for f in drawn for name, content in paper_figures.files(f).items()}  # fmt: skip
    captions = rendering.render("captions.md", figures=drawn, lacking=lacking).strip() + "\n"
    texts = {"report.html": page, "report.json": json_export.text(numbers)}
    return texts | table1_files.files(distances) | {"figures/captions.md": captions} | pictures


def _overview(runs: dict[str, Run]) -> pd.DataFrame:
    rows = [
        [
            label, labels.data_title(run), labels.initialisation(run), labels.start(run),
            *(run.spec.get(p, {}).get("name", "not recorded") for p in ("generator", "filter")),
            len(run.classifiers), len(run.seeds), f"{run.reached} of {run.planned}",
        ]
        for label, run in runs.items()
    ]  # fmt: skip
    words = ["run", "data set", "colours", "weights", "generator", "filter"]
    columns = [*words, "classifiers", "seeds", "generations"]
    return frames.for_people("The runs", columns, rows, num_words=len(words))

"""The report of one run or more in a folder of its own: page, numbers, table 1 and the paper's figures as files."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxloop.analysis import compare, labels, table1
from jaxloop.analysis.answer import QUESTION, answer
from jaxloop.analysis.compare import Comparison
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.run_folder import Run, load
from jaxloop.analysis.table1 import Row
from jaxloop.errors import InputError
from jaxloop.files import write_atomic
from jaxloop.report import equation6_page as conjecture_page
from jaxloop.report import figures, paper_figures, remarks, tables
from jaxloop.report import json_export as export
from jaxloop.report.filter_page import audit
from jaxloop.report.layout import Table, to_html
from jaxloop.report.markup import (
    bullets,
    definitions,
    document,
    escape,
    figure,
    folded,
    heading,
    paragraphs,
    warning,
)
from jaxloop.report.paper_figures import PaperFigure

NOT_RECORDED = "not recorded"


def write(workdirs: Sequence[str | os.PathLike], out: str | os.PathLike) -> Path:
    """Writes into `out` report.html, report.json, table1.md, .tex and .csv, and figures/ (.png, .svg, captions.md).

    `out` is made if need be; other files in it are left alone. Returns the path of the page.

    Raises:
      InputError: a bad workdir, one that is given twice, or an `out` that is no folder or is the workdir of a run.
    """
    if not str(out):
        raise InputError("--out", str(out), "a folder")
    out = Path(out)
    _check(workdirs, out)
    runs = [load(workdir) for workdir in workdirs]
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "--out", str(out), f"a folder that can be made ({error.strerror})"
        ) from None
    for name, content in build(runs).items():
        write_atomic(out / name, content)
    return out / "report.html"


def _check(workdirs: Sequence[str | os.PathLike], out: Path) -> None:
    places = [Path(workdir).resolve() for workdir in workdirs]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise InputError("RUN", str(workdirs[i]), "each run once")
    if out.exists() and not out.is_dir():
        raise InputError("--out", str(out), "a folder")
    if out.resolve() in places or (out / "records.jsonl").exists():
        raise InputError(
            "--out", str(out), "a folder that is not a run's own, whose report would be overwritten"
        )


def build(runs: Sequence[Run]) -> dict[str, bytes]:
    """{path in the folder: content}. The same runs give the same bytes."""
    found, rows, conjecture = (
        compare.compare(runs),
        table1.rows(runs),
        conjecture_page.estimates(runs),
    )
    drawn, lacking = paper_figures.make(runs)
    texts = {"report.html": _page(runs, found, rows, drawn, lacking, conjecture)}
    texts["report.json"] = (
        json.dumps(
            _numbers(runs, found, rows, conjecture), indent=1, allow_nan=False, ensure_ascii=False
        )
        + "\n"
    )
    texts |= {
        "table1.md": table1.markdown(rows),
        "table1.tex": table1.latex(rows),
        "table1.csv": table1.csv_text(rows),
    }
    texts["figures/captions.md"] = (
        "\n\n".join([f"**{f.name}** {f.heading}. {f.caption}" for f in drawn] + lacking) + "\n"
    )
    files = {name: text.encode() for name, text in texts.items()}
    for f in drawn:
        files |= {
            f"figures/{f.name}.png": paper_figures.png(f),
            f"figures/{f.name}.svg": paper_figures.svg(f),
        }
    return files


def _numbers(
    runs: Sequence[Run], found: list[Comparison], rows: list[Row], conjecture: list[Dynamics]
) -> dict:
    """Every run's own numbers as in its report.json, the comparisons, table 1, and eq. (6) for all runs together."""
    return {
        "question": QUESTION,
        "runs": [{"label": label, "workdir": str(run.path)} | export.as_json(run, conjecture_page.estimates([run]), audit(run))
                 for run, label in zip(runs, labels.labels(runs), strict=True)],
        "not_shared": labels.differences(runs),
        "not_compared": compare.left_out(runs, found),
        "comparisons": [export.comparison(c) for c in found],
        "table1": [row._asdict() | {"points": [{"generation": g} | export.estimate(e) for g, e in row.points]} for row in rows],
        "conjecture": conjecture_page.as_json(conjecture),
    }  # fmt: skip


def _page(
    runs,
    found: list[Comparison],
    rows: list[Row],
    drawn: list[PaperFigure],
    lacking: list[str],
    conjecture: list[Dynamics],
) -> str:
    title = "jaxloop: " + (
        f"{len(runs)} runs compared" if len(runs) > 1 else labels.labels(runs)[0]
    )
    parts = [
        _top(runs, title),
        _compared(runs, found),
        _table1(rows),
        _figures(drawn, lacking),
        conjecture_page.blocks(conjecture),
    ]
    return document(title, [block for part in [*parts, _runs(runs)] for block in part])


def _top(runs: Sequence[Run], title: str) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1>"
    yield f'<p class="question">{escape(QUESTION)}</p></header>'
    yield '<div class="answer">'
    for run, label in zip(runs, labels.labels(runs), strict=True):
        yield f"<p><strong>{escape(label)}.</strong> {escape(answer(run).headline)}</p>"
    yield "</div>"
    if said := labels.differences(runs):
        yield warning("What the runs do not share", said)
    yield to_html(_overview(runs))


def _overview(runs: Sequence[Run]) -> Table:
    rows = []
    for run, label in zip(runs, labels.labels(runs), strict=True):
        generator, filter_ = (
            run.spec.get(part, {}).get("name", NOT_RECORDED) for part in ("generator", "filter")
        )
        rows.append([
            label, labels.data_title(run), labels.initialisation(run), labels.start(run), generator, filter_,
            str(len(run.classifiers)), str(len(run.seeds)), f"{run.reached} of {run.planned}",
        ])  # fmt: skip
    words = ["run", "data set", "colours", "weights", "generator", "filter"]
    return Table(
        "The runs", [*words, "classifiers", "seeds", "generations"], rows, num_words=len(words)
    )


def _compared(runs: Sequence[Run], found: list[Comparison]) -> Iterator[str]:
    if len(runs) == 1:
        return
    yield heading("Between runs")
    yield bullets([*compare.sentences(found), *compare.left_out(runs, found)])
    yield (
        '<p class="small">A difference is the other run less the first; bias is turned so that larger is worse. Seeds are not '
        "paired: one seed number starts two runs from the same random numbers, but these meet other images or other networks. "
        "“Cannot tell” is not “equal”.</p>"
    )
    by_pair = compare.tables(found)
    for pair, made in by_pair.items():
        shown = "".join(map(to_html, made))
        yield folded(pair, shown) if len(by_pair) > 1 else shown


def _table1(rows: list[Row]) -> Iterator[str]:
    yield heading("Distance of generated from real images (the paper's table 1)")
    if not rows:
        yield '<p class="small">No run has a Fréchet distance.</p>'
        return
    yield to_html(table1.table(rows))
    if said := table1.warnings(rows):
        yield warning("Before rows are compared", said)


def _figures(drawn: list[PaperFigure], lacking: list[str]) -> Iterator[str]:
    for f in drawn:
        yield heading(f.heading, f.name)
        yield figure(figures.drawn(f.panels, f.columns), f.name, f.heading, [f.caption])
    yield f'<p class="small">{escape(" ".join(lacking))}</p>' if lacking else ""


def _runs(runs: Sequence[Run]) -> Iterator[str]:
    yield heading("Each run")
    for run, label in zip(runs, labels.labels(runs), strict=True):
        found = answer(run)
        said = [*remarks.diverged_sentences(run), *remarks.missing(run)]
        facts = [*remarks.feature_facts(run), *remarks.noted(run)]
        inner = paragraphs([found.headline, *([found.why] if found.why else []), *found.sentences])
        inner += to_html(tables.verdict_table(run)) + to_html(tables.final_table(run))
        inner += warning("What is missing or went wrong", said) if said else ""
        inner += bullets(facts) if facts else ""
        yield folded(label, inner + definitions(_provenance(run)))


def _provenance(run: Run) -> dict[str, str]:
    kept = {"jaxloop": "version", "commit": "git_commit", "jax": "jax", "device": "device"}
    return {"folder": str(run.path)} | {
        word: run.config.get(field) or NOT_RECORDED for word, field in kept.items()
    }

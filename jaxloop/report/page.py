"""The report of a run: report.html, one file that loads nothing, and report.json with every number in it."""

import base64
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxloop.analysis import measures, results
from jaxloop.analysis.answer import QUESTION, answer
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.run_folder import Grid, Run, load
from jaxloop.files import write_atomic
from jaxloop.report import equation6_page as conjecture_page
from jaxloop.report import figures, layout, remarks, tables
from jaxloop.report import filter_page as audit_page
from jaxloop.report import json_export as export
from jaxloop.report.filter_page import Audit
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

NOT_RECORDED = "not recorded"


def write(workdir: str | os.PathLike) -> Path:
    """Writes report.html and report.json into a workdir, each as a whole; returns the path of the page.

    Raises InputError on a bad workdir; then neither file is touched.
    """
    run = load(workdir)
    conjecture, audited = conjecture_page.estimates([run]), audit_page.audit(run)
    page = _page(run, conjecture, audited)
    numbers = json.dumps(
        export.as_json(run, conjecture, audited), indent=1, allow_nan=False, ensure_ascii=False
    )
    write_atomic(run.path / "report.json", (numbers + "\n").encode())
    write_atomic(run.path / "report.html", page.encode())
    return run.path / "report.html"


def build(workdir: str | os.PathLike) -> str:
    """The page of a workdir as HTML. The same workdir gives the same page. Raises InputError on a bad workdir."""
    run = load(workdir)
    return _page(run, conjecture_page.estimates([run]), audit_page.audit(run))


def _page(run: Run, conjecture: Sequence[Dynamics], audited: Audit) -> str:
    name = run.spec.get("data", {}).get("name", "a run")
    parts = (
        _top(run, name), _reading(run), _notes(run), _results(run), audit_page.blocks(run, audited), _figures(run),
        conjecture_page.blocks(conjecture), _samples(run), _appendix(run),
    )  # fmt: skip
    return document(f"jaxloop: {name}", [block for part in parts for block in part])


def _top(run: Run, name: str) -> Iterator[str]:
    found = answer(run)
    yield f"<header><h1>jaxloop: {escape(name)}</h1>"
    yield f'<p class="question">{escape(QUESTION)}</p></header>'
    yield f'<div class="answer"><p class="headline">{escape(found.headline)}</p>'
    yield paragraphs([*([found.why] if found.why else []), *found.sentences]) + "</div>"
    yield f'<p class="facts">{escape(_facts(run))}</p>'
    if said := [*remarks.diverged_sentences(run), *remarks.missing(run)]:
        yield warning("What is missing or went wrong", said)
    yield to_html(tables.verdict_table(run))


def _facts(run: Run) -> str:
    spec, data = run.spec, run.config["data"]
    loop, filter_ = spec["loop"], spec.get("filter", {})
    num = len(run.seeds)
    facts = [
        f"Generation {run.reached} of {run.planned} measured",
        f"{num} seed{'s' * (num > 1)}",
        f"{data.get('num_train', '?')} real training, {data.get('num_validation', '?')} validation and "
        f"{data.get('num_test', '?')} test images",
        f"{run.config.get('samples_per_generation', '?')} generated images join the queue each generation "
        f"(mixing ratio p = {loop.get('mix', '?')}, capacity {loop.get('capacity', '?')} generations)",
        f"generator {spec.get('generator', {}).get('name', '?')}",
        f"filter {filter_.get('name', '?')}"
        + ("" if filter_.get("name") == "none" else f", drop rate r = {filter_.get('drop', '?')}"),
    ]
    return "; ".join(facts) + "."


def _reading(run: Run) -> Iterator[str]:
    yield heading("How to read this")
    yield bullets([
        "Generation 0 trains on real data alone; generation t ≥ 1 trains on real data and on what the generators before "
        "it made. Everything is measured on the same real test set.",
        "A verdict comes from a straight line fitted by least squares to each seed's values over generations 0 to the "
        "last one measured (for the generator: from 1). “grew” or “shrank” means that a t-test of the mean slope over "
        "seeds tells it from 0; otherwise nobody can tell from this run. “Cannot tell” is not “no change”: more seeds "
        "narrow the interval. “No spread” means that all seeds gave the same number: fractions of few images do so by "
        "chance, and there is neither an interval nor a test.",
        "p is corrected for the number of verdicts by Holm's procedure, and a verdict needs p < 0.05: where nothing changes "
        "and slopes are about normal over seeds, the chance that any verdict of a table says “grew” or “shrank” is at most 5%. The intervals of slopes are the plain 95% "
        "ones, so that one may lie beside 0 where the verdict is “cannot tell”.",
        "A straight line misses a bias that rises and falls again; look at the curves.",
        "Bands and ± are 95% Student-t intervals over seeds, not clipped to a measure's range. Seeds share the data set "
        "and its split, so they cover the chance in training and sampling; for the choice of test images, see “Within each seed” at the end.",
        "Bias is turned so that larger is worse: the mean gap is 1 − MEO (eq. 2), the largest gap is MD (eq. 4), the "
        "worst-subgroup error is 1 − the accuracy of each class's worst subgroup, averaged over classes (eq. 5), and the "
        "disparate-impact gap is 1 − DI (eq. 3).",
    ])  # fmt: skip
    yield folded("What each measure means", definitions(_meanings(run)))


def _meanings(run: Run) -> dict[str, str]:
    metrics = dict.fromkeys(name.metric for name in run.values)
    return {metric: measures.measure(metric).meaning for metric in metrics}


def _notes(run: Run) -> Iterator[str]:
    notes = [*run.config["data"].get("notes", []), *run.config.get("notes", [])]
    notes += [
        f"{metric} is a Fréchet distance in the features of {metric.removeprefix('fd_')}. It is not FID (which needs "
        "Inception-V3): compare it between generations of this run, not with papers."
        for metric in results.distances(run)
        if metric != "fid"
    ]
    notes.append(
        "Equations 2 to 4 leave room; here pairs of subgroups are unordered, each counted once, and DI, whose ratio is not "
        "symmetric, averages both directions of a pair. True positive rates are pooled over classes, except where a "
        "measure says “per class”."
    )
    yield heading("Notes on this run") + bullets([*notes, *remarks.noted(run)])


def _results(run: Run) -> Iterator[str]:
    yield heading("Before and after")
    yield to_html(tables.final_table(run))
    if run.last("generator") >= 1:
        yield to_html(tables.generator_table(run))
        if table := tables.feature_table(run):
            yield to_html(table)


def _figures(run: Run) -> Iterator[str]:
    for f in figures.FIGURES:
        yield heading(f.heading, f.name)
        drawn = figures.draw(run, f)
        if drawn is None:
            yield '<p class="small">This run has no values for this figure.</p>'
            continue
        caption = [f"{f.caption} {figures.seeds_caption(drawn.nums)}"]
        yield figure(
            drawn,
            f.name,
            f.heading,
            caption + (remarks.feature_facts(run) if f.name == "generator" else []),
        )


def _samples(run: Run) -> Iterator[str]:
    grids = [grid for grid in run.grids if grid.png is not None]
    yield heading("Generated images")
    if not grids:
        yield '<p class="small">This run has no sample grids.</p>'
        return
    yield "<p>Kept images of each generation, oldest first; in each grid, a row is a class.</p>"
    seeds = [seed for seed in run.seeds if any(grid.seed == seed for grid in grids)]
    for i, seed in enumerate(seeds):
        shown = _grids(run, [grid for grid in grids if grid.seed == seed])
        yield f"<h3>Seed {seed}</h3>{shown}" if i == 0 else folded(f"Seed {seed}", shown)


def _grids(run: Run, grids: list[Grid]) -> str:
    # Small pictures are shown at twice their size, sharp; the column is as wide as the widest grid asks for.
    cell = min(900, max(180, max(grid.width * (2 if grid.width <= 200 else 1) for grid in grids)))
    classes = ", ".join(run.class_names)
    items = [
        f'<figure><img width="{g.width}" height="{g.height}" src="data:image/png;base64,{base64.b64encode(g.png).decode()}" '
        f'alt="Generation {g.generation}, seed {g.seed}: generated images, a row for each class ({escape(classes)})">'
        f"<figcaption>generation {g.generation}</figcaption></figure>"
        for g in grids
    ]
    return f'<div class="grids" style="--cell: {cell}px">{"".join(items)}</div>'


def _appendix(run: Run) -> Iterator[str]:
    yield heading("All numbers")
    yield "<p>The same numbers, unrounded, are in <code>report.json</code> beside this file.</p>"
    if within := tables.within_seed_table(run):
        yield folded("Within each seed", to_html(within))
    for title, table in (
        ("Trends", tables.trend_table(run)),
        ("Every measure", tables.full_table(run)),
    ):
        yield folded(title, to_html(table))
    yield heading("Time and memory")
    yield (
        to_html(_timing_table(run))
        if run.timing
        else f'<p class="small">Run time: {NOT_RECORDED}.</p>'
    )
    yield heading("Provenance")
    yield definitions({
        "jaxloop": run.config.get("version") or NOT_RECORDED,
        "commit": run.config.get("git_commit") or NOT_RECORDED,
        "jax": run.config.get("jax") or NOT_RECORDED,
        "device": run.config.get("device") or NOT_RECORDED,
        "reference classifier": run.config.get("reference") or NOT_RECORDED,
        "classes": ", ".join(run.class_names),
        "subgroups": _subgroups(run),
    })  # fmt: skip
    yield folded("Configuration", definitions(dict(_flat(run.spec))))


def _subgroups(run: Run) -> str:
    if not run.subgroup_names:
        return ", ".join(run.group_names)
    rows = zip(run.class_names, run.subgroup_names, strict=True)
    return "; ".join(f"{name}: {', '.join(subgroups)}" for name, subgroups in rows)


def _timing_table(run: Run) -> Table:
    """Seconds of each stage by generation. What a stage that was done again after a kill took both times adds up."""
    # Generation 0 has the fewest stages: the order is that of the last one, then whatever only others had.
    stages = list(
        dict.fromkeys(
            row["stage"] for row in sorted(run.timing, key=lambda row: -row["generation"])
        )
    )
    rows = []
    for generation in sorted({row["generation"] for row in run.timing}):
        parts = [row for row in run.timing if row["generation"] == generation]
        seconds = {row["stage"]: 0.0 for row in parts}
        for row in parts:
            seconds[row["stage"]] += row["seconds"]
        memory = max(
            (row["peak_memory_mb"] for row in parts if row.get("peak_memory_mb") is not None),
            default=None,
        )
        cells = [
            f"{seconds[stage]:.1f}" if stage in seconds else layout.NO_VALUE for stage in stages
        ]
        total = f"{sum(seconds.values()):.1f}"
        rows.append(
            [str(generation), *cells, total, layout.NO_VALUE if memory is None else f"{memory:.0f}"]
        )
    columns = ["gen", *stages, "all", "peak MB"]
    total = sum(row["seconds"] for row in run.timing)
    return Table(
        f"Wall-clock seconds by generation and stage; {total / 60:.1f} minutes in all",
        columns,
        rows,
    )


def _flat(spec: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in spec.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value, ensure_ascii=False)

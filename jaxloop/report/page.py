"""The report of a run: report.html, one file that loads nothing, and report.json with every number in it."""

import base64
import html
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxloop.files import write_atomic
from jaxloop.report import drawing, figures, measures, results, tables
from jaxloop.report.style import CSS
from jaxloop.report.workdir import Grid, Run, load

NOT_RECORDED = "not recorded"


def write(workdir: str | os.PathLike) -> Path:
    """Writes report.html and report.json into a workdir, each as a whole; returns the path of the page.

    Raises InputError on a bad workdir; then neither file is touched.
    """
    run = load(workdir)
    page, numbers = _page(run), json.dumps(results.as_json(run), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(run.path / "report.json", (numbers + "\n").encode())
    write_atomic(run.path / "report.html", page.encode())
    return run.path / "report.html"


def build(workdir: str | os.PathLike) -> str:
    """The page of a workdir as HTML. The same workdir gives the same page. Raises InputError on a bad workdir."""
    return _page(load(workdir))


def _page(run: Run) -> str:
    name = run.spec.get("data", {}).get("name", "a run")
    sections = (_reading, _notes, _results, _figures, _samples, _appendix)
    body = "\n".join([*_top(run, name), *(block for section in sections for block in section(run))])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>jaxloop: {_e(name)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _top(run: Run, name: str) -> Iterator[str]:
    found = results.answer(run)
    yield f"<header><h1>jaxloop: {_e(name)}</h1>"
    yield f'<p class="question">{_e(results.QUESTION)}</p></header>'
    yield f'<div class="answer"><p class="headline">{_e(found.headline)}</p>'
    yield "".join(f"<p>{_e(sentence)}</p>" for sentence in found.sentences) + "</div>"
    yield f'<p class="facts">{_e(_facts(run))}</p>'
    remarks = [*results.diverged_sentences(run), *results.missing(run)]
    if remarks:
        yield f'<div class="warning"><strong>What is missing or went wrong</strong>{_list(remarks)}</div>'
    yield tables.to_html(tables.verdict_table(run))


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
    num = len(results.verdicts(run))
    yield "<h2>How to read this</h2>"
    yield _list([
        "Generation 0 trains on real data alone; generation t ≥ 1 trains on real data and on what the generators before "
        "it made. Everything is measured on the same real test set.",
        "A verdict comes from a straight line fitted by least squares to each seed's values over generations 0 to the "
        "last one measured (for the generator: from 1). “grew” or “shrank” means that the 95% Student-t interval of "
        "the mean slope over seeds lies wholly above or below 0; otherwise nobody can tell from this run. "
        "“Cannot tell” is not “no change”: more seeds narrow the interval.",
        f"The {num} verdicts are not corrected for their number: where nothing changes, about one in 20 would still say "
        "“grew” or “shrank”. A straight line also misses a bias that rises and falls again; look at the curves.",
        "Bands and ± are 95% Student-t intervals over seeds, not clipped to a measure's range. Seeds share the data set "
        "and its split, so they cover the chance in training and sampling, not the choice of test images.",
        "Bias is turned so that larger is worse: the mean gap is 1 − MEO (eq. 2), the largest gap is MD (eq. 4), and the "
        "worst-subgroup error is 1 − the accuracy of each class's worst subgroup, averaged over classes (eq. 5).",
    ])  # fmt: skip
    yield f"<details><summary>What each measure means</summary>{_definitions(_meanings(run))}</details>"


def _meanings(run: Run) -> dict[str, str]:
    metrics = dict.fromkeys(name.metric for name in run.values)
    return {metric: measures.measure(metric).meaning for metric in metrics}


def _notes(run: Run) -> Iterator[str]:
    notes = [*run.config["data"].get("notes", []), *run.config.get("notes", [])]
    notes += [
        f"{metric} is a Fréchet distance in the features of the generation-0 classifier {metric.removeprefix('fd_')}. It "
        "is not FID (which needs Inception-V3): compare it between generations of this run, not with other runs or papers."
        for metric in results.distances(run)
        if metric != "fid"
    ]
    notes.append(
        "Equations 2 to 4 leave room; here pairs of subgroups are unordered, each counted once, and DI, whose ratio is not "
        "symmetric, averages both directions of a pair. True positive rates are pooled over classes, except where a "
        "measure says “per class”."
    )
    yield f"<h2>Notes on this run</h2>{_list(notes)}"


def _results(run: Run) -> Iterator[str]:
    yield "<h2>Before and after</h2>"
    yield tables.to_html(tables.final_table(run))
    if run.last("generator") >= 1:
        yield tables.to_html(tables.generator_table(run))


def _figures(run: Run) -> Iterator[str]:
    for figure in figures.FIGURES:
        yield f'<h2 id="{figure.name}">{_e(figure.heading)}</h2>'
        drawn = figures.draw(run, figure)
        if drawn is None:
            yield '<p class="small">This run has no values for this figure.</p>'
            continue
        inline = [_inline(svg, figure, view) for svg, view in ((drawn.wide, "wide"), (drawn.narrow, "narrow"))]
        yield f"<figure>{''.join(inline)}<figcaption>{_e(figure.caption)} {_e(_seeds_caption(drawn.nums))}</figcaption></figure>"


def _inline(svg: bytes, figure: figures.Figure, view: str) -> str:
    text = drawing.scoped(svg, f"{figure.name}-{view}")
    label = f"{figure.heading}, by generation; the numbers are in the tables below"
    return text.replace("<svg ", f'<svg class="{view}" role="img" aria-label="{_e(label)}" ', 1)


def _seeds_caption(nums: list[int]) -> str:
    if nums == [1]:
        return "n = 1 seed, so no interval can be given."
    n = str(nums[0]) if len(nums) == 1 else f"{nums[0]} to {nums[-1]}"
    where = " where n > 1" if nums[0] == 1 else ""
    return f"Lines: mean over n = {n} seeds; bands: 95% t-interval of that mean{where}."


def _samples(run: Run) -> Iterator[str]:
    grids = [grid for grid in run.grids if grid.png is not None]
    yield "<h2>Generated images</h2>"
    if not grids:
        yield '<p class="small">This run has no sample grids.</p>'
        return
    yield "<p>Kept images of each generation, oldest first; in each grid, a row is a class.</p>"
    seeds = [seed for seed in run.seeds if any(grid.seed == seed for grid in grids)]
    for i, seed in enumerate(seeds):
        shown = _grids(run, [grid for grid in grids if grid.seed == seed])
        yield f"<h3>Seed {seed}</h3>{shown}" if i == 0 else f"<details><summary>Seed {seed}</summary>{shown}</details>"


def _grids(run: Run, grids: list[Grid]) -> str:
    # Small pictures are shown at twice their size, sharp; the column is as wide as the widest grid asks for.
    cell = min(900, max(180, max(grid.width * (2 if grid.width <= 200 else 1) for grid in grids)))
    classes = ", ".join(run.class_names)
    items = [
        f'<figure><img width="{g.width}" height="{g.height}" src="data:image/png;base64,{base64.b64encode(g.png).decode()}" '
        f'alt="Generation {g.generation}, seed {g.seed}: generated images, a row for each class ({_e(classes)})">'
        f"<figcaption>generation {g.generation}</figcaption></figure>"
        for g in grids
    ]
    return f'<div class="grids" style="--cell: {cell}px">{"".join(items)}</div>'


def _appendix(run: Run) -> Iterator[str]:
    yield "<h2>All numbers</h2>"
    yield "<p>The same numbers, unrounded, are in <code>report.json</code> beside this file.</p>"
    for title, table in (("Trends", tables.trend_table(run)), ("Every measure", tables.full_table(run))):
        yield f"<details><summary>{title}</summary>{tables.to_html(table)}</details>"
    yield "<h2>Time and memory</h2>"
    yield tables.to_html(_timing_table(run)) if run.timing else f'<p class="small">Run time: {NOT_RECORDED}.</p>'
    yield "<h2>Provenance</h2>"
    yield _definitions({
        "jaxloop": run.config.get("version") or NOT_RECORDED,
        "commit": run.config.get("git_commit") or NOT_RECORDED,
        "jax": run.config.get("jax") or NOT_RECORDED,
        "device": run.config.get("device") or NOT_RECORDED,
        "reference classifier": run.config.get("reference") or NOT_RECORDED,
        "classes": ", ".join(run.class_names),
        "subgroups": _subgroups(run),
    })  # fmt: skip
    yield f"<details><summary>Configuration</summary>{_definitions(dict(_flat(run.spec)))}</details>"


def _subgroups(run: Run) -> str:
    if not run.subgroup_names:
        return ", ".join(run.group_names)
    rows = zip(run.class_names, run.subgroup_names, strict=True)
    return "; ".join(f"{name}: {', '.join(subgroups)}" for name, subgroups in rows)


def _timing_table(run: Run) -> tables.Table:
    """Seconds of each stage by generation. What a stage that was done again after a kill took both times adds up."""
    # Generation 0 has the fewest stages: the order is that of the last one, then whatever only others had.
    stages = list(dict.fromkeys(row["stage"] for row in sorted(run.timing, key=lambda row: -row["generation"])))
    rows = []
    for generation in sorted({row["generation"] for row in run.timing}):
        parts = [row for row in run.timing if row["generation"] == generation]
        seconds = {row["stage"]: 0.0 for row in parts}
        for row in parts:
            seconds[row["stage"]] += row["seconds"]
        memory = max((row["peak_memory_mb"] for row in parts if row.get("peak_memory_mb") is not None), default=None)
        cells = [f"{seconds[stage]:.1f}" if stage in seconds else tables.NO_VALUE for stage in stages]
        total = f"{sum(seconds.values()):.1f}"
        rows.append([str(generation), *cells, total, tables.NO_VALUE if memory is None else f"{memory:.0f}"])
    columns = ["gen", *stages, "all", "peak MB"]
    total = sum(row["seconds"] for row in run.timing)
    return tables.Table(f"Wall-clock seconds by generation and stage; {total / 60:.1f} minutes in all", columns, rows)


def _flat(spec: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in spec.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, json.dumps(value, ensure_ascii=False)


def _definitions(pairs: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{_e(k)}</dt><dd>{_e(str(v))}</dd>" for k, v in pairs.items()) + "</dl>"


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_e(sentence)}</li>" for sentence in sentences) + "</ul>"


def _e(text: str) -> str:
    return html.escape(text)

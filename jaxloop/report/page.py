"""The report of a run: report.html, one file that loads nothing, and report.json, its numbers."""

import os
from collections import defaultdict
from pathlib import Path

from jaxloop.analysis import measures, results
from jaxloop.analysis.run_folder import load
from jaxloop.report import figures, json_export, rendering
from jaxloop.report.contents import Contents, contents


def write(workdir: str | os.PathLike) -> Path:
    """Write report.html and report.json into a workdir; return the path of the page.

    Raises:
      InputError: on a bad workdir; then neither file is touched.
    """
    said, folder = contents(load(workdir)), Path(workdir)
    numbers = json_export.text(json_export.of_run(said))
    rendering.write(folder, {"report.json": numbers, "report.html": _page(said)})
    return folder / "report.html"


def build(workdir: str | os.PathLike) -> str:
    """Return the page of a workdir; the same workdir gives the same page."""
    return _page(contents(load(workdir)))


def summary(workdir: str | os.PathLike) -> str:
    """Return what a run prints at its end: the answer, the tables and what is missing."""
    return rendering.render("summary.txt", contents=contents(load(workdir))).strip() + "\n"


def _page(said: Contents) -> str:
    run, grids = said.run, defaultdict(list)
    for grid in (grid for grid in run.grids if grid.png is not None):
        grids[grid.seed].append(grid)
    # Small pictures are shown at twice their size, sharp; a column fits the widest grid.
    widths = [g.width * (2 if g.width <= 200 else 1) for seed in grids.values() for g in seed]
    keys = [name._replace(subject="", class_=None, group=None) for name in run.names]
    words = [measures.measure(key) for key in dict.fromkeys(keys)]
    names = [n.network for n in results.distances(run) if n.metric != "fid"]
    return rendering.render(
        "run.html", title=f"jaxloop: {run.spec.get('data', {}).get('name', 'a run')}", run=run,
        contents=said, estimates=said.estimates, networks=names, grids=dict(sorted(grids.items())),
        draw=lambda name: rendering.drawn(figures.FIGURES[name](run)),
        cell=min(900, max([180, *widths])), meanings={m.title: m.meaning for m in words},
    )  # fmt: skip

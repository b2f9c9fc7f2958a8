"""The report of a run: report.html, one file that loads nothing, and report.json, its numbers."""

import os
from pathlib import Path
from types import SimpleNamespace

from jaxloop.analysis import drop_rates, exploratory, filter_arms, measures, rater_agreement
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.run_folder import Run, load
from jaxloop.report import headline, json_export, remarks, rendering


def write(workdir: str | os.PathLike) -> SimpleNamespace:
    """Write report.html and report.json into a workdir; return what they say: see `contents`.

    Raises:
      InputError: on a bad workdir; then neither file is touched.
    """
    said, folder = contents(load(workdir)), Path(workdir)
    numbers = json_export.text(json_export.of_run(said))
    rendering.write(folder, {"report.json": numbers, "report.html": _page(said)})
    return said


def build(workdir: str | os.PathLike) -> str:
    """Return the page of a workdir; the same workdir gives the same page."""
    return _page(contents(load(workdir)))


def summary(said: SimpleNamespace) -> str:
    """Return what a run prints at its end: the answer, the tables and what is missing."""
    return rendering.render("summary.txt", contents=said).strip() + "\n"


def contents(run: Run) -> SimpleNamespace:
    """Work out what a report says of a run, once for its page and its numbers.

    answer: `headline.answer`.  gaps: `exploratory.gaps`.
    problems, noted, feature_facts: sentences.  overall, groups, classes, cells: drop rates; the
    last three empty where nothing was dropped.  arms, sentence, not_compared: on the control arm.
    people: None without votes; InputError if votes.jsonl is broken.  estimates: of eq. (6).
    """
    overall, arms = drop_rates.overall(run), filter_arms.families(run)
    return SimpleNamespace(
        run=run, answer=headline.answer(run), gaps=exploratory.gaps(run),
        problems=remarks.problems(run), noted=remarks.noted(run),
        feature_facts=remarks.feature_facts(run), overall=overall,
        groups=drop_rates.by_group(run) if overall.mean else [],
        classes=drop_rates.by_class(run) if overall.mean else [],
        cells=drop_rates.by_cell(run) if overall.mean else [],
        arms=arms, sentence=filter_arms.sentence(run, arms),
        not_compared=filter_arms.left_out(run, arms), people=rater_agreement.people(run),
        estimates=dynamics.estimate([run]),
    )  # fmt: skip


def _page(said: SimpleNamespace) -> str:
    keys = [name._replace(subject="", class_=None, group=None) for name in said.run.names]
    by_title = {measures.measure(key).title: key for key in keys}
    context = {"run": said.run, "contents": said, "estimates": said.estimates}
    return rendering.render("run.html", by_title=by_title, **context)

"""Sentences on a run beside its verdicts; here alone the codes of records become words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import pandas as pd

from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.measures import FIELDS, Name
from jaxloop.analysis.results import diverged
from jaxloop.analysis.run_folder import Run
from jaxloop.records import CAVEATS, REASONS
from jaxloop.report.layout import metric_label


def words(code: str | None) -> str:
    """Return what a code of a record says."""
    return (REASONS | CAVEATS).get(code or "", "no reason was recorded")


def problems(run: Run) -> list[str]:
    """Say what diverged and what is missing."""
    sentences = []
    for subject in (*run.classifiers, "generator"):
        if at := [(g, seed) for g, seeds in diverged(run, subject).items() for seed in seeds]:
            values = "its values there, if any, are in every mean and trend."
            sentences.append(f"{subject} diverged in {_where(at)}; {values}")
    return sentences + missing(run)


def missing(run: Run) -> list[str]:
    """Say what a reader expects and does not find, in the run and in its control arm."""
    sentences = []
    if run.reached < run.planned:
        sentences.append(
            f"The run is unfinished: generation {run.reached} of {run.planned} is the last one "
            "measured. Trends are over what is there."
        )
    planned = {(g, s) for g in range(run.reached + 1) for s in run.seeds}
    for subject in run.classifiers:
        if lacking := planned.difference(_places(run.rows(Name(subject, "accuracy")))):
            sentences.append(f"{subject}: not measured in {_where(lacking)}.")
    nulls = run.records.loc[run.records.value.isna()]
    sentences += [
        f"{measures}: no value in {_where(places)} ({words(code)})."
        for measures, code, places in _grouped(nulls, "reason")
    ]
    torn = [grid.path.name for grid in run.grids if not grid.png]
    sentences += [f"{name} is not a whole PNG file and is left out." for name in torn]
    grids = {(grid.generation, grid.seed) for grid in run.grids if grid.png}
    if lacking := {place for place in planned - grids if place[0]}:
        sentences.append(f"Sample grids: none for {_where(lacking)}.")
    deleted = run.rows(Name("filter", "deleted_classes"))
    sentences += [
        f"The filter deleted {num:.0f} class{'es' * (num > 1)}, of which no image was kept, in "
        f"{_where(_places(deleted.loc[deleted.value == num]))}."
        for num in sorted(set(deleted.value.dropna()) - {0})
    ]
    if run.control:
        sentences += [f"Control arm: {sentence}" for sentence in problems(run.control)]
    elif run.spec.get("filter", {}).get("control", False):
        sentences.append("The control arm has not been measured yet.")
    return sentences


def noted(run: Run) -> list[str]:
    """Return a sentence for each caveat on values; and on votes that the filter did not follow."""
    rows = run.records.loc[run.records.caveat.notna()]
    said = [
        f"{measures}: {words(code)}, in {_where(places)}."
        for measures, code, places in _grouped(rows, "caveat")
    ]
    for metric, what in (
        ("voted_out_kept", "voted out were kept"), ("voted_in_dropped", "voted in were dropped"),
    ):  # fmt: skip
        rows = run.rows(Name("filter", metric))
        if rows.value.sum():
            said.append(
                f"{rows.value.sum():.0f} images that people had {what} all the same, since the "
                f"number to be kept is fixed: in {_where(_places(rows.loc[rows.value > 0]))}."
            )
    return said


def feature_facts(run: Run) -> list[str]:
    """Say what distances were measured on, once for the measures that share it."""
    of_all = run.records["class"].isna() & run.records.group.isna()
    rows = run.records.loc[run.records.features.notna() & of_all]
    facts, labels = defaultdict(list), defaultdict(list)
    for name, fact in zip(names_of(rows), rows.features, strict=True):
        facts[metric_label(name)].append(fact)
    for label, measured_on in facts.items():
        labels[_facts(measured_on)].append(label)
    return [f"{listed_words(names)}: {sentence}." for sentence, names in labels.items()]


def _facts(facts: list[dict]) -> str:
    """Return the facts of a measure over generations and seeds; where they differ, all of them."""
    n, n_real, d, resize = (
        " or ".join(
            map(str, sorted({fact.get(field) for fact in facts}, key=lambda v: (v is None, v)))
        )
        for field in ("n", "n_real", "d", "resize")
    )
    hashes = dict.fromkeys(fact.get("sha256") for fact in facts)
    weights = [f"weights {sha[:12]}" if sha else "weights trained in this run" for sha in hashes]
    return (
        f"n = {n} generated and {n_real} real images, d = {d} features, resized: {resize}, "
        f"{' or '.join(weights)}"
    )


def _grouped(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, str | None, frozenset]]:
    """Yield (measures of a subject, code, places); measures of one code and places come together.

    Classes, subgroups and epochs of a measure are told together.
    """
    places = defaultdict(set)
    codes = rows[column].where(rows[column].notna(), None)
    for name, code, place in zip(names_of(rows), codes, _places(rows), strict=True):
        places[name.subject, metric_label(name), code].add(place)
    together = defaultdict(list)
    for (subject, label, code), at in places.items():
        together[subject, code, frozenset(at)].append(label)
    for (subject, code, at), labels in together.items():
        yield f"{subject}, {listed_words(labels)}", code, at


def names_of(rows: pd.DataFrame) -> list[Name]:
    """Return what each record is of."""
    cells = rows[list(FIELDS)].astype(object)
    return [Name(*cell) for cell in cells.where(cells.notna(), None).itertuples(index=False)]


def _places(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows.generation, rows.seed, strict=True))


def _where(places: Iterable[tuple[int, int]]) -> str:
    """Return (generation, seed)s as "generations 1 and 2 (seed 0); generation 4 (seed 1)"."""
    seeds = defaultdict(list)
    for generation, seed in sorted(places):
        seeds[generation].append(seed)
    generations = defaultdict(list)
    for generation, same in seeds.items():
        generations[tuple(same)].append(generation)
    return "; ".join(
        f"generation{'s' * (len(gs) > 1)} {_span(gs)} "
        f"(seed{'s' * (len(ss) > 1)} {listed_words([str(s) for s in ss])})"
        for ss, gs in generations.items()
    )


def _span(generations: list[int]) -> str:
    """Return "1 to 10" where there are more than four and none is missing between, else a list."""
    first, last = generations[0], generations[-1]
    if len(generations) > 4 and last - first == len(generations) - 1:
        return f"{first} to {last}"
    return listed_words([str(g) for g in generations])

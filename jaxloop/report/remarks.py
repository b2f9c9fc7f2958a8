"""What is missing, special or to be known in a run; the words are in templates/remarks.txt."""

from collections import defaultdict
from collections.abc import Iterable

import pandas as pd

from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run, names_of
from jaxloop.report.layout import metric_label
from jaxloop.report.rendering import sentences


def problems(run: Run) -> list[str]:
    """Say what diverged, and what a reader expects and does not find; of the other arms too."""
    generates = "generation" in run.config or "arm" not in run.config
    planned = {(g, s) for g in range(run.reached + 1) for s in run.seeds}
    grids = {(grid.generation, grid.seed) for grid in run.grids if grid.png}
    measured = {s: run.rows(Name(s, "accuracy")) for s in run.classifiers}
    diverged = {s: run.rows(Name(s, "diverged")) for s in (*run.classifiers, "generator")}
    deleted = run.rows(Name("filter", "deleted_classes")).query("value > 0").groupby("value")
    return sentences(
        "problems", run=run, arms={name: problems(arm) for name, arm in run.arms.items()},
        diverged={s: _by_seeds(_places(rows.query("value > 0"))) for s, rows in diverged.items()},
        unmeasured={s: _by_seeds(planned.difference(_places(rows)))
                    for s, rows in measured.items()},
        nulls=_together(run.records.loc[run.records.value.isna()], "reason"),
        without_grid=_by_seeds(place for place in planned - grids if place[0] and generates),
        deleted={num: _by_seeds(_places(rows)) for num, rows in deleted},
    )  # fmt: skip


def noted(run: Run) -> list[str]:
    """Return a sentence for each caveat on values; and on votes that the filter did not follow."""
    votes = {m: run.rows(Name("filter", m)) for m in ("voted_out_kept", "voted_in_dropped")}
    return sentences(
        "noted", caveats=_together(run.records.loc[run.records.caveat.notna()], "caveat"),
        overruled=[(metric, rows.value.sum(), _by_seeds(_places(rows.query("value > 0"))))
                   for metric, rows in votes.items()],
    )  # fmt: skip


def feature_facts(run: Run) -> list[str]:
    """Say what distances were measured on, once for the measures that share it."""
    of_all = run.records["class"].isna() & run.records.group.isna()
    rows = run.records.loc[run.records.features.notna() & of_all]
    facts, shared = defaultdict(list), defaultdict(list)
    for name, fact in zip(names_of(rows), rows.features, strict=True):
        facts[metric_label(name)].append(fact)
    for label, of_label in facts.items():
        fields = ("n", "n_real", "d", "resize", "sha256")
        alternatives = ({fact.get(field) for fact in of_label} for field in fields)
        in_order = (tuple(sorted(each, key=lambda v: (v is None, v))) for each in alternatives)
        shared[tuple(in_order)].append(label)
    return sentences("feature_facts", facts=shared)


def _together(rows: pd.DataFrame, column: str) -> list[tuple[tuple, list[str]]]:
    """Return ((subject, code, places), its measures): those of one code and places together.

    Classes, subgroups and epochs of a measure are told together.
    """
    places, measures = defaultdict(set), defaultdict(list)
    for name, code, place in zip(names_of(rows), rows[column], _places(rows), strict=True):
        places[name.subject, metric_label(name), code].add(place)
    for (subject, label, code), at in places.items():
        measures[subject, code, frozenset(at)].append(label)
    return [((s, code, _by_seeds(at)), labels) for (s, code, at), labels in measures.items()]


def _places(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows.generation, rows.seed, strict=True))


def _by_seeds(places: Iterable[tuple[int, int]]) -> dict[tuple[int, ...], list[int]]:
    """Return {seeds: the generations that have just these} of (generation, seed)s."""
    seeds, generations = defaultdict(list), defaultdict(list)
    for generation, seed in sorted(places):
        seeds[generation].append(seed)
    for generation, same in seeds.items():
        generations[tuple(same)].append(generation)
    return generations

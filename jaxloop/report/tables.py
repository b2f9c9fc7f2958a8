"""The tables of a run. `layout` says how they are written."""

import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import frames, measures, results, shares
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run
from jaxloop.report.layout import by_generation, metric_label

FINAL = (*(Name("", m) for m in measures.OVERALL), Name("", "accuracy", rank=1))
# Where the title of a measure is too long for a column.
_HEADS = {FINAL[-1]: "worst subgroup", Name("", "within_class_diversity"): "diversity"}
_FAITHFUL = ("precision", "recall", "coverage")
_SLOPE = ["slope", "95% interval"]


def final_table(run: Run) -> pd.DataFrame:
    """Return every classifier at generation 0 and at the last one that it has."""
    rows = []
    for subject in run.classifiers:
        curves = [results.curve(run, key._replace(subject=subject)) for key in FINAL]
        estimates = [{p.generation: p.estimate for p in curve} for curve in curves]
        for generation in sorted({0, run.last(subject)} - {-1}):
            mark = "†" if generation in results.diverged(run, subject) else ""
            rows.append([subject, f"{generation}{mark}", *(e.get(generation) for e in estimates)])
    caption = "Classifiers on the real test set, generation 0 and the last one: " + _seeds(run)
    if any("†" in row[1] for row in rows):
        caption += "; † diverged in at least one seed"
    return frames.for_people(caption, ["classifier", "gen", *map(_head, FINAL)], rows)


def _head(name: Name) -> str:
    return _HEADS.get(name._replace(subject="")) or measures.measure(name).title


def adequacy_table(run: Run) -> pd.DataFrame | None:
    """Return what the first generator's images are like beside real ones; None without any."""
    in_features = [n for n in results.scalars(run, "generator") if n.metric in _FAITHFUL]
    unknown, agreement, nearest = (
        Name("generator", m) for m in ("unknown_share", "label_agreement", "nearest_real")
    )
    ideals = [(unknown, "0"), *((n, "about 1") for n in (agreement, *in_features, nearest))]
    judge, u = Name("judge", "subgroup_accuracy"), "imbalance u of subgroups"
    columns, least = [], "0"
    if shares.is_estimated(run):
        accuracy = run.table(judge).get(0)  # told once, of the real test images
        columns = [(f"{_head(judge)} by the judge, of real test images", accuracy, "about 1")]
        u, least = f"{u}, estimated", "near 0; the judge's noise adds to it"
    columns += [(u, shares.imbalances(run).table.get(1), least)]
    columns += [(_head(n), run.table(n).get(1), ideal) for n, ideal in ideals if run.has(n)]
    rows = [
        [title, statistics.estimate(values.tolist()), ideal]
        for title, values, ideal in columns
        if values is not None
    ]
    caption = f"The kept images of generation 1: {_seeds(run)}"
    return frames.for_people(caption, ["measure", "value", "ideal"], rows) if rows else None


def generator_table(run: Run) -> pd.DataFrame:
    """Return the generator's Fréchet distances, label agreement and diversity by generation."""
    names = [*results.distances(run), *(Name("generator", m) for m in measures.GENERATOR)]
    return _of_generator(run, "Generator", {_head(name): name for name in names})


def feature_table(run: Run) -> pd.DataFrame | None:
    """Return its other measures in features of networks: KID, precision and so on."""
    scalars = results.scalars(run, "generator")
    names = {metric_label(n): n for n in scalars if measures.is_of_features(n.metric)}
    return _of_generator(run, "Generator, in features of a network", names) if names else None


def _of_generator(run: Run, what: str, names: dict[str, Name]) -> pd.DataFrame:
    generations = range(1, run.last("generator") + 1)
    columns = [by_generation(results.curve(run, name), generations) for name in names.values()]
    rows = [[str(g), *cells] for g, *cells in zip(generations, *columns, strict=True)]
    return frames.for_people(f"{what}, by generation: {_seeds(run)}", ["gen", *names], rows)


def within_seed_table(run: Run) -> pd.DataFrame | None:
    """Return `final_table` seed by seed, with bootstrap intervals; None if no record has one."""
    rows = []
    for subject in run.classifiers:
        for key in FINAL:
            records = run.rows(key._replace(subject=subject))
            bounded = set(records.generation[records.low.notna()])
            for generation in sorted({0, run.last(subject)} & bounded):
                at = records[records.generation == generation].set_index("seed")
                cells = at[["value", "low", "high"]].reindex(run.seeds).itertuples(index=False)
                rows.append([subject, _head(key), str(generation), *map(tuple, cells)])
    columns = ["classifier", "measure", "gen", *(f"seed {seed}" for seed in run.seeds)]
    caption = (
        "Within each seed, generation 0 and the last one: value and its 95% bootstrap interval "
        "over test images. It tells what one trained network's value owes to the choice of test "
        "images, not what another seed would give"
    )
    return frames.for_people(caption, columns, rows, num_words=2) if rows else None


def full_table(run: Run) -> pd.DataFrame:
    """Return a row for each measure of a subject, class and subgroup, a column a generation."""
    generations, rows = range(run.planned + 1), []
    for name in sorted(run.names, key=results.order):
        class_ = "" if name.class_ is None else results.class_name(run, name.class_)
        words = [name.subject, metric_label(name), class_, _group(run, name)]
        rows.append([*words, *by_generation(results.curve(run, name), generations)])
    columns = ["subject", "metric", "class", "subgroup", *(f"gen {g}" for g in generations)]
    return frames.for_people(f"Every measure: {_seeds(run)}", columns, rows, num_words=4)


def trend_table(run: Run) -> pd.DataFrame:
    """Return the slope of every measure of no class, its verdict and counts of points."""
    rows = []
    for name, (t, decision) in results.trends(run).items():
        words = [name.subject, metric_label(name), _group(run, name), decision.word]
        numbers = [t.slope.mean, (t.slope.low, t.slope.high), decision.p]
        rows.append([*words, *numbers, str(t.num_points), str(t.num_points_missing)])
    # That "it grew" is good news for some measures and bad for others: no column called "verdict",
    # which would be coloured.
    columns = ["subject", "metric", "subgroup", "it", *_SLOPE, "p", "points", "left out"]
    caption = "Trends of every measure over generations" + _corrected(rows, columns)
    return frames.for_people(caption, columns, rows, 4, 4, _SLOPE)


def timing_table(run: Run) -> pd.DataFrame:
    """Return seconds by generation and stage. Both times of a stage that was done twice count."""
    columns = ["generation", "stage", "seconds", "peak_memory_mb"]
    timing = pd.DataFrame(run.timing).reindex(columns=columns).astype({columns[3]: float})
    # Generation 0 has the fewest stages: the order is that of the last one.
    stages = timing.sort_values("generation", ascending=False, kind="stable").stage.unique()
    seconds = timing.pivot_table("seconds", "generation", "stage", "sum")[stages]
    peaks = timing.groupby("generation").peak_memory_mb.max()
    rows = [
        [f"{g:.0f}", *row, sum(s for s in row if s == s), None if p != p else f"{p:.0f}"]
        for (g, *row), p in zip(seconds.itertuples(), peaks, strict=True)
    ]
    total = f"{timing.seconds.sum() / 60:.1f} minutes in all"
    caption = f"Wall-clock seconds by generation and stage; {total}"
    return frames.for_people(caption, ["gen", *stages, "all", "peak MB"], rows, digits=1)


def _group(run: Run, name: Name) -> str:
    return "" if name.group is None else results.group_name(run, name.group, name.class_)


def _seeds(run: Run, what: str = "mean ± half-width of the 95% interval") -> str:
    """Say what the cells of a table hold."""
    num = len(run.seeds)
    return "one seed, so no interval" if num == 1 else f"{what} over {num} seeds"


def _corrected(rows: list[list], columns: list[str]) -> str:
    num = sum(row[columns.index("p")] is not None for row in rows)
    return f"; uncorrected interval; {frames.holm_note(num)}" if num else ""

"""The tables of a run. `layout` says how they look."""

import os

from jaxloop.analysis import filter_arms as arms
from jaxloop.analysis import measures, results
from jaxloop.analysis.answer import QUESTION, answer
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Name, Run, load
from jaxloop.report import remarks
from jaxloop.report.layout import (
    NO_VALUE,
    Table,
    at,
    digits_for,
    interval,
    p_value,
    signed,
    to_text,
    wrapped,
)

FINAL = ("accuracy", "meo", "di", "md", "acc_rank_1")


def verdict_table(run: Run, ends: bool = True) -> Table:
    """For each classifier and kind of bias: grew, shrank or cannot tell, its slope; with `ends`, the bias at both ends."""
    rows = []
    for v in results.verdicts(run):
        slope = v.trend.slope
        rows.append([
            v.subject, v.bias.title, v.decision.word,
            signed(slope.mean), interval(slope), p_value(v.decision.p),
            *(_end(point) for point in (v.first, v.last) if ends),
        ])  # fmt: skip
    caption = f"Change of bias per generation: slope over generations 0 to {run.reached}, {_over_seeds(run)}"
    if len(run.seeds) > 1:
        caption += _corrected(sum(v.decision.p is not None for v in results.verdicts(run)))
    columns = [
        "classifier",
        "bias",
        "verdict",
        "slope",
        "95% interval",
        "p",
        *(("first", "last") if ends else ()),
    ]
    return Table(caption, columns, rows, num_words=3)


def _corrected(num: int) -> str:
    return (
        f"; uncorrected interval; verdict and p corrected for {num} verdicts (Holm)" if num else ""
    )


def _end(point: Point | None) -> str:
    return (
        NO_VALUE if point is None or point.estimate.mean is None else f"{point.estimate.mean:.3f}"
    )


def final_table(run: Run) -> Table:
    """Every classifier at generation 0 and at the last generation that it has, mean ± half-width of the interval."""
    rows = []
    for subject in run.classifiers:
        for generation in sorted({0, run.last(subject)} - {-1}):
            cells = [at(results.curve(run, Name(subject, metric)), generation) for metric in FINAL]
            mark = "†" if generation in results.diverged(run, subject) else ""
            rows.append([subject, f"{generation}{mark}", *cells])
    caption = (
        f"Classifiers on the real test set, generation 0 and the last one: {_what_cells_hold(run)}"
    )
    if any("†" in row[1] for row in rows):
        caption += "; † diverged in at least one seed"
    return Table(caption, ["classifier", "gen", *map(_head, FINAL)], rows)


def generator_table(run: Run) -> Table:
    """The generator by generation: its Fréchet distances, label agreement and diversity."""
    return _by_generation(run, "Generator", [*results.distances(run), *measures.GENERATOR])


def feature_table(run: Run) -> Table | None:
    """The generator's other measures in feature spaces, by generation: KID, precision, recall, density, coverage."""
    metrics = [m for m in results.scalar_metrics(run, "generator") if measures.is_of_features(m)]
    return _by_generation(run, "Generator, in features of a network", metrics) if metrics else None


def _by_generation(run: Run, caption: str, metrics: list[str]) -> Table:
    curves = [results.curve(run, Name("generator", metric)) for metric in metrics]
    # Generation 0 has no generator, whatever the generations that the run reached.
    generations = range(1, run.last("generator") + 1)
    rows = [
        [str(g), *(at(points, g, digits_for(points)) for points in curves)] for g in generations
    ]
    # Measures in features go by their own names, which are shorter and hold the network's.
    own = [measures.is_distance(metric) or measures.is_of_features(metric) for metric in metrics]
    columns = [
        "gen",
        *(
            metric if by_name else _head(metric)
            for metric, by_name in zip(metrics, own, strict=True)
        ),
    ]
    return Table(f"{caption}, by generation: {_what_cells_hold(run)}", columns, rows)


def within_seed_table(run: Run) -> Table | None:
    """Values of the last table's kind seed by seed, each with its bootstrap interval over test images; None if none has one."""
    rows = []
    for subject in run.classifiers:
        for metric in FINAL:
            series = run.intervals.get(Name(subject, metric), {})
            for generation in sorted({0, run.last(subject)} & series.keys()):
                cells = [within(run, Name(subject, metric), generation, seed) for seed in run.seeds]
                rows.append([subject, _head(metric), str(generation), *cells])
    columns = ["classifier", "measure", "gen", *(f"seed {seed}" for seed in run.seeds)]
    caption = (
        "Within each seed, generation 0 and the last one: value and its 95% bootstrap interval over test images. It tells "
        "what one trained network's value owes to the choice of test images, not what another seed would give"
    )
    return Table(caption, columns, rows, num_words=2) if rows else None


def within(run: Run, name: Name, generation: int, seed: int) -> str:
    """The cell of one seed: "0.972 [0.960, 0.981]", the value alone without an interval, or a dash."""
    value = run.values.get(name, {}).get(generation, {}).get(seed)
    ends = run.intervals.get(name, {}).get(generation, {}).get(seed)
    if value is None:
        return NO_VALUE
    return f"{value:.3f}" if ends is None else f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def full_table(run: Run) -> Table:
    """Every number: a row for each measure of a subject, class and subgroup; a column a generation."""
    generations = range(run.planned + 1)
    rows = []
    for name in sorted(run.values, key=results.order):
        points = results.curve(run, name)
        class_ = "" if name.class_ is None else results.class_name(run, name.class_)
        cells = [at(points, g, digits_for(points)) for g in generations]
        rows.append([name.subject, name.metric, class_, _group_name(run, name), *cells])
    columns = ["subject", "metric", "class", "subgroup", *(f"gen {g}" for g in generations)]
    return Table(f"Every measure: {_what_cells_hold(run)}", columns, rows, num_words=4)


def trend_table(run: Run) -> Table:
    """Slopes of every measure that is of no class: per generation, with interval, verdict and counts of points."""
    rows, judged = [], results.trends(run)
    for name, (t, decision) in judged.items():
        counts = [str(t.num_points), str(t.num_points_missing)]
        numbers = [signed(t.slope.mean), interval(t.slope), p_value(decision.p), *counts]
        rows.append([name.subject, name.metric, _group_name(run, name), decision.word, *numbers])
    # "it grew" is good news for some measures and bad for others: no column "verdict" here, which would be coloured.
    columns = [
        "subject",
        "metric",
        "subgroup",
        "it",
        "slope",
        "95% interval",
        "p",
        "points",
        "left out",
    ]
    num = sum(decision.p is not None for _, decision in judged.values())
    return Table(
        f"Trends of every measure over generations{_corrected(num)}", columns, rows, num_words=4
    )


def summary(workdir: str | os.PathLike) -> str:
    """What a run prints at its end: the answer, the tables and what is missing. Raises InputError on a bad workdir."""
    run = load(workdir)
    found = answer(run)
    lines = [QUESTION, found.headline, *([found.why] if found.why else []), *found.sentences]
    blocks = [
        wrapped(_title(run)),
        "\n".join(map(wrapped, lines)),
        to_text(verdict_table(run, ends=False)),
        to_text(final_table(run)),
    ]
    if run.last("generator") >= 1:
        blocks.append(to_text(generator_table(run)))
    if said := arms.sentence(run, arms.families(run)):
        blocks.append(wrapped(said))
    if told := [*remarks.diverged_sentences(run), *remarks.missing(run)]:
        blocks.append("\n".join(wrapped(f"! {remark}") for remark in told))
    return "\n\n".join(blocks) + "\n"


def _head(metric: str) -> str:
    return {"acc_rank_1": "worst subgroup", "within_class_diversity": "diversity"}.get(
        metric, measures.measure(metric).title
    )


def _group_name(run: Run, name: Name) -> str:
    return "" if name.group is None else results.group_name(run, name.group, name.class_)


def _what_cells_hold(run: Run) -> str:
    num = len(run.seeds)
    return (
        "one seed, so no interval"
        if num == 1
        else f"mean ± half-width of the 95% interval over {num} seeds"
    )


def _over_seeds(run: Run) -> str:
    num = len(run.seeds)
    return "one seed, so no interval" if num == 1 else f"mean over {num} seeds"


def _title(run: Run) -> str:
    num = len(run.seeds)
    name = run.spec.get("data", {}).get("name", "?")
    return (
        f"jaxloop: {name}, generation {run.reached} of {run.planned}, {num} seed{'s' * (num > 1)}"
    )

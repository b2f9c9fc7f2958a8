"""What the records of a run amount to: curves, trends and verdicts. Page, tables and JSON quote it."""

from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import measures
from jaxloop.analysis.measures import BIASES, Bias
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.statistics import Decision, Estimate, Trend


class Point(NamedTuple):
    generation: int
    estimate: Estimate


class Verdict(NamedTuple):
    """Whether one kind of bias of one classifier grew. first, last: the bias at generation 0 and at the last one."""

    subject: str
    bias: Bias
    trend: Trend
    decision: Decision
    first: Point | None
    last: Point | None


def curve(run: Run, name: Name, complement: bool = False) -> list[Point]:
    """Mean and interval over seeds in every generation that has a record; 1 - value instead, where `complement`."""
    by_seed = values_by_seed(run, name, complement)
    generations = sorted(run.values.get(name, {}))
    return [Point(g, statistics.estimate([values[g] for values in by_seed])) for g in generations]


def trend(run: Run, name: Name, complement: bool = False) -> Trend:
    """The trend of a measure over its generations: 0 to the last for classifiers, 1 to the last for the generator."""
    return statistics.trend(values_by_seed(run, name, complement))


def values_by_seed(run: Run, name: Name, complement: bool = False) -> list[dict[int, float | None]]:
    """One {generation: value} a seed; 1 - value instead, where `complement`."""
    by_seed = run.by_seed(name)
    return [_complement(values) for values in by_seed] if complement else by_seed


def _complement(values: dict[int, float | None]) -> dict[int, float | None]:
    return {g: None if value is None else 1 - value for g, value in values.items()}


def verdicts(run: Run) -> list[Verdict]:
    """One for each classifier and kind of bias, in that order: together the family that their p values are corrected for."""
    of = [(subject, bias) for subject in run.classifiers for bias in BIASES]
    trends = [trend(run, Name(subject, bias.metric), bias.complement) for subject, bias in of]
    decisions = statistics.decide([(t.slope, t.p) for t in trends])
    answers = []
    for (subject, bias), t, decision in zip(of, trends, decisions, strict=True):
        points = curve(run, Name(subject, bias.metric), bias.complement)
        first, last = (points[0], points[-1]) if points else (None, None)
        answers.append(Verdict(subject, bias, t, decision, first, last))
    return answers


def trends(run: Run) -> dict[Name, tuple[Trend, Decision]]:
    """Of every measure that is of no class, in the order of their names; one family."""
    names = sorted(
        (n for n in run.values if n.class_ is None and n.metric != "diverged"), key=order
    )
    found = [trend(run, name) for name in names]
    decisions = statistics.decide([(t.slope, t.p) for t in found])
    return dict(zip(names, zip(found, decisions, strict=True), strict=True))


def order(name: Name) -> tuple:
    """By subject and metric; the whole first, then subgroups, then classes."""
    return (
        name.subject,
        name.metric,
        *((part is not None, part or 0) for part in (name.class_, name.group)),
    )


def diverged(run: Run, subject: str) -> dict[int, list[int]]:
    """{generation: seeds} in which a subject's training diverged."""
    series = run.values.get(Name(subject, "diverged"), {})
    found = {
        g: [seed for seed in run.seeds if by_seed.get(seed)]
        for g, by_seed in sorted(series.items())
    }
    return {generation: seeds for generation, seeds in found.items() if seeds}


def scalar_metrics(run: Run, subject: str) -> list[str]:
    """The metrics of a subject that have any value and are neither of a class nor of a subgroup, in order of record."""
    names = [
        n
        for n in run.values
        if n.subject == subject and n.class_ is None and n.group is None and run.has(n)
    ]
    return [name.metric for name in names]


def distances(run: Run) -> list[str]:
    """The generator's Fréchet distances that have any value: "fid", "fd_<network>"."""
    return [metric for metric in scalar_metrics(run, "generator") if measures.is_distance(metric)]


def ranks(run: Run, subject: str) -> list[str]:
    """acc_rank_1 .. acc_rank_G of a classifier, worst first."""
    found = [metric for metric in scalar_metrics(run, subject) if measures.rank(metric) is not None]
    return sorted(found, key=measures.rank)


def class_name(run: Run, class_: int) -> str:
    """A class's name; a number that has none goes by itself."""
    return run.class_names[class_] if 0 <= class_ < len(run.class_names) else f"class {class_}"


def group_name(run: Run, group: int, class_: int | None = None) -> str:
    """A subgroup's name, its own in that class where classes differ; a number that has none goes by itself (-1 is "unknown")."""
    if group < 0:
        return "unknown"
    rows = run.subgroup_names
    own = rows[class_] if class_ is not None and 0 <= class_ < len(rows) else []
    for names in (own, run.group_names):
        if group < len(names):
            return names[group]
    return f"subgroup {group}"

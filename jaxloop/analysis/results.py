"""What the records of a run amount to: curves, trends and verdicts over seeds."""

from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import measures
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import Decision, Estimate, Trend


class Point(NamedTuple):
    generation: int
    estimate: Estimate


def curve(run: Run, name: Name, complement: bool = False) -> list[Point]:
    """Return mean and interval over seeds by generation; of 1 - value where `complement`."""
    table = run.table(name, complement)
    return [Point(g, statistics.estimate(values)) for g, values in table.to_dict("list").items()]


def trend(run: Run, name: Name, complement: bool = False) -> Trend:
    """Return the trend over the generations that a measure has any record of."""
    return statistics.trend(list(run.table(name, complement).to_dict("index").values()))


def trends(run: Run) -> dict[Name, tuple[Trend, Decision]]:
    """Return those of every measure of no class, in the order of their names; one family."""
    names = [n for n in run.names if n.class_ is None and n.metric != "diverged"]
    by_name = {name: trend(run, name) for name in sorted(names, key=order)}
    decisions = statistics.decide([(t.slope, t.p) for t in by_name.values()])
    return dict(zip(by_name, zip(by_name.values(), decisions, strict=True), strict=True))


def order(name: Name) -> tuple:
    """Sort by subject, metric, its parameters; of one the whole first, then subgroups, classes."""
    parts = (*name[4:], name.class_, name.group)
    return name[:2] + tuple((part is not None, part or 0) for part in parts)


def diverged(run: Run, subject: str) -> dict[int, list[int]]:
    """Return {generation: seeds} in which a subject's training diverged."""
    rows = run.rows(Name(subject, "diverged")).query("value > 0").sort_values("generation")
    return {int(g): sorted(group) for g, group in rows.groupby("generation").seed}


def scalars(run: Run, subject: str) -> list[Name]:
    """Return the measures of a subject, of no class and no subgroup, that have any value."""
    return [
        name
        for name in run.names
        if name.subject == subject and name.class_ is name.group is None and run.has(name)
    ]


def distances(run: Run) -> list[Name]:
    """Return the generator's Fréchet distances that have any value."""
    return [name for name in scalars(run, "generator") if measures.is_distance(name.metric)]


def class_name(run: Run, class_: int | None) -> str:
    """Name a class; a number that has no name goes by itself."""
    names = dict(enumerate(run.class_names))
    return names.get(-1 if class_ is None else class_, f"class {class_}")


def group_name(run: Run, group: int | None, class_: int | None = None) -> str:
    """Name a subgroup, as in that class where classes differ; -1 (or None) is "unknown"."""
    if group is None or group < 0:
        return "unknown"
    rows = run.subgroup_names
    in_class = rows[class_] if class_ is not None and 0 <= class_ < len(rows) else []
    for names in (in_class, run.group_names):
        if group < len(names):
            return names[group]
    return f"subgroup {group}"

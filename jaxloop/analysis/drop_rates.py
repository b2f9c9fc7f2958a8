"""Whom did the filter drop? Its drop rate by subgroup, by class and by both, against what it dropped of the whole.

Subgroups are told by name, and by how rare they are in their class: where each class has another minority, the rarest of
every class together show whether the filter drops minorities, and names do not.

One number a seed: the drop rate averaged over the generations, each of which weighs the same. A subgroup's rate is
compared with the rate over all images, seed by seed and over the generations in which both have a value; so is a
class's, unless it is fixed. A subgroup within a class has few images: its rates are shown and not tested. Intervals are
over seeds; what each generation and seed owes to the number of its images is in the records, as a Wilson interval. That
one is slightly conservative: it takes images as dropped independently, and r and rounding fix the number dropped.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import compare, measures, results
from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report import tables
from jaxloop.report.layout import NO_VALUE, Table, interval, p_value, signed, with_interval
from jaxloop.statistics import HIGHER, LOWER, Decision, Difference, Estimate

ALL = Name("filter", "drop_rate")


class Rate(NamedTuple):
    """The drop rate of the images that `name` is of.

    rate: in [0, 1].  difference: it less the rate of the whole.
    decision: on the difference; word "" where it is not tested, nor is there a p then.
    """

    name: Name
    rate: Estimate
    difference: Difference
    decision: Decision


def overall(run: Run) -> Estimate:
    """Over all images; its mean is None where no generation has a drop rate."""
    return statistics.estimate([compare.average(values) for values in run.by_seed(ALL)])


def asked(run: Run) -> float | None:
    """The rate r that the filter was asked for; None where there is no filter."""
    filter_ = run.spec.get("filter", {})
    return None if filter_.get("name", "none") == "none" else filter_.get("drop")


def by_group(run: Run) -> list[Rate]:
    """Of each subgroup, and of the k-th rarest subgroups of all classes together, against the whole; one family."""
    return _rates(run, _of_groups(run), lambda name: ALL)


def by_class(run: Run) -> list[Rate]:
    """Of each class, against the whole; one family, but not tested where images are ranked within their class."""
    found = _rates(
        run, [n for n in _names(run) if n.class_ is not None and n.group is None], lambda name: ALL
    )
    return _not_tested(found) if fixed_by_class(run) else found


def by_cell(run: Run) -> list[Rate]:
    """Of each subgroup within each class, less that class's; never tested."""
    both = [n for n in _names(run) if n.class_ is not None and n.group is not None]
    return _not_tested(_rates(run, both, lambda name: name._replace(group=None)))


def _not_tested(found: Sequence[Rate]) -> list[Rate]:
    return [
        r._replace(difference=r.difference._replace(p=None), decision=Decision("", None))
        for r in found
    ]


def fixed_by_class(run: Run) -> bool:
    """Whether the same share of every class is dropped, whatever the scores."""
    return run.spec.get("filter", {}).get("ranking", "class") == "class"


def _names(run: Run) -> list[Name]:
    found = (
        n
        for n in run.values
        if n.subject == ALL.subject and n.metric.partition(measures.RARITY)[0] == ALL.metric
    )
    return sorted(found, key=results.order)


def _of_groups(run: Run) -> list[Name]:
    return [n for n in _names(run) if n.class_ is None and n != ALL]


def _rates(run: Run, names: Sequence[Name], whole: Callable[[Name], Name]) -> list[Rate]:
    """Each against the whole that it is part of, as one family; names without any value are left out."""
    found = []
    for name in names:
        if compared := compare.difference(
            run.by_seed(whole(name)), run.by_seed(name), compare.MEAN, paired=True
        ):
            found.append((name, *compared[2:]))
    decisions = statistics.decide([(d.estimate, d.p) for _, _, d in found], HIGHER, LOWER)
    return [Rate(*own, decision) for own, decision in zip(found, decisions, strict=True)]


def sentences(run: Run, groups: Sequence[Rate]) -> list[str]:
    """What was dropped of the whole, and which subgroups (of `by_group`) were dropped more or less often."""
    e, r = overall(run), asked(run)
    if e.mean is None:
        return ["No generation has a drop rate: whom the filter dropped is not known."]
    start = "The filter" if r is None else f"Asked to drop a share r = {r:g}, the filter"
    if e.mean == 0:
        return [
            f"{start} dropped none of the generated images: there are no drop rates to compare."
        ]
    by = "" if r is None else ": r and rounding to whole images set this rate, not the scores"
    said = [f"{start} dropped {with_interval(e)} of the generated images{by}."]
    if fixed_by_class(run):
        said.append(
            "Images are ranked within their class: the rates of classes are the same by design, and are not tested."
        )
    if not groups:
        return [
            *said,
            "No drop rate by subgroup has a value: the subgroup of a generated image is not known.",
        ]
    known = {rate.name for rate in groups}
    if lacking := [_group(run, n) for n in _of_groups(run) if n not in known]:
        said.append(f"Of {listed_words(lacking)} no drop rate has a value.")
    few, untested = (
        compare.few_pairs([g.difference for g in groups]),
        compare.no_spread([g.decision for g in groups]),
    )
    sure = [
        f"{_group(run, g.name)} {g.decision.word}"
        for g in groups
        if g.decision.word in (HIGHER, LOWER)
    ]
    if not sure:
        return [
            *said,
            f"In none of {len(groups)} subgroups can the drop rate be told from that of all images{few}.{untested}",
        ]
    rest = (
        f" In the other {len(groups) - len(sure)} it cannot be told{few}."
        if len(sure) < len(groups)
        else ""
    )
    start = f"In {len(sure)} of {len(groups)} subgroups the drop rate is another than that of all images"
    return [*said, f"{start}: {'; '.join(sure)}.{rest}{untested}"]


def group_table(run: Run, found: Sequence[Rate]) -> Table | None:
    """All images, what was asked for, and each subgroup (of `by_group`); None without subgroups."""
    r = asked(run)
    whole = [("all images", with_interval(overall(run)))] + (
        [] if r is None else [("asked for (r)", f"{r:.3f}")]
    )
    rows = [[what, "", rate, *[NO_VALUE] * 4] for what, rate in whole]
    rows += [[_group(run, rate.name), *_cells(rate)] for rate in found]
    columns = ["subgroup", "verdict", "drop rate", "less overall", "95% interval", "p", "seeds"]
    return (
        Table(f"Drop rate by subgroup, {_averaged(run, found)}", columns, rows, 2)
        if found
        else None
    )


def class_table(run: Run, found: Sequence[Rate]) -> Table | None:
    """Each class (of `by_class`); without tests where its rate is fixed; None where the records hold no such rates."""
    if not found:
        return None
    names = [results.class_name(run, r.name.class_) for r in found]
    if fixed_by_class(run):
        rows = [[name, with_interval(r.rate)] for name, r in zip(names, found, strict=True)]
        return Table(f"Drop rate by class, {_averaged(run, [])}", ["class", "drop rate"], rows)
    rows = [[name, *_cells(r)] for name, r in zip(names, found, strict=True)]
    columns = ["class", "verdict", "drop rate", "less overall", "95% interval", "p", "seeds"]
    return Table(f"Drop rate by class, {_averaged(run, found)}", columns, rows, 2)


def cell_table(run: Run, found: Sequence[Rate]) -> Table | None:
    """Each subgroup within each class (of `by_cell`); None where the records hold no such rates."""
    rows = [
        [
            results.class_name(run, r.name.class_),
            _group(run, r.name),
            with_interval(r.rate),
            str(r.rate.num),
        ]
        for r in found
    ]
    caption = f"Drop rate by class and subgroup, {_averaged(run, [])}"
    caption += ". Exploratory: each rests on few images, and none is tested"
    return Table(caption, ["class", "subgroup", "drop rate", "seeds"], rows, 2) if found else None


def within_seed_table(run: Run) -> Table | None:
    """All images and each subgroup in the last generation, seed by seed.

    None if nothing was dropped, or no record has an interval.
    """
    if not overall(run).mean:
        return None
    last = run.last("filter")
    names = [n for n in _names(run) if n.class_ is None and last in run.intervals.get(n, {})]
    rows = [
        [
            "all images" if n == ALL else _group(run, n),
            *(tables.within(run, n, last, seed) for seed in run.seeds),
        ]
        for n in names
    ]
    caption = (
        f"Drop rate within each seed, generation {last}: value and its 95% Wilson interval over the images of that seed. "
        "It tells what one generation's rate owes to the number of its images, not what another seed would give. It is "
        "slightly too wide, since the number dropped in all is fixed"
    )
    return (
        Table(caption, ["subgroup", *(f"seed {seed}" for seed in run.seeds)], rows)
        if rows
        else None
    )


def _cells(r: Rate) -> list[str]:
    e = r.difference.estimate
    numbers = [
        with_interval(r.rate),
        signed(e.mean, 3),
        interval(e, 3),
        p_value(r.decision.p),
        str(e.num),
    ]
    return [r.decision.word, *numbers]


def _averaged(run: Run, family: Sequence[Rate]) -> str:
    """How a table's numbers came about, and what its verdicts are corrected for."""
    e, last = overall(run), run.last("filter")
    over = f"averaged over generations 1 to {last}: " if last > 1 else "in generation 1: "
    if e.num < 2:
        return f"{over}one seed, so no interval"
    num = sum(r.decision.p is not None for r in family)
    tested = (
        f"; uncorrected paired interval; verdict and p corrected for {num} verdicts (Holm)"
        if num
        else ""
    )
    return f"{over}mean ± half-width of the 95% interval over {e.num} seeds{tested}"


def _group(run: Run, name: Name) -> str:
    k = measures.rarity(name.metric)
    return (
        f"{measures.rarity_name(k, len(run.group_names))} of its class"
        if k
        else results.group_name(run, name.group, name.class_)
    )

"""The filter's drop rate by subgroup, by class and by both, against what it dropped of the whole.

Subgroups are told by name, and by how rare they are in their class: where each class has another
minority, the rarest of every class together show whether the filter drops minorities, and names do
not.

One number a seed: the drop rate averaged over the generations, each of which weighs the same. A
subgroup's rate is compared with the rate over all images, seed by seed and over the generations in
which both have a value; so is a class's, unless it is fixed. Shown and not tested are a judge's
estimates and the rates of a subgroup within a class, which has few images. Intervals are over
seeds; what each generation and seed owes to the number of its images is in the records, as a Wilson
interval. That one is slightly conservative: it takes images as dropped independently, and r and
rounding fix the number dropped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import contrasts, frames, measures, results, shares
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import Decision, Difference, Estimate

ALL = Name("filter", "drop_rate")
_TESTED = ["verdict", "drop rate", "less overall", "95% interval", "p", "seeds"]
_SIGNED = ["less overall", "95% interval"]


class Rate(NamedTuple):
    """The drop rate of the images of `name`.

    rate: in [0, 1].  difference: it less the rate of the whole.
    decision: on the difference; where it is not tested the word is "" and there is no p.
    """

    name: Name
    rate: Estimate
    difference: Difference
    decision: Decision = Decision("", None)


def overall(run: Run) -> Estimate:
    """Return the rate over all images; its mean is None where no generation has one."""
    return statistics.estimate(contrasts.summarized(run.table(ALL), contrasts.MEAN))


def asked(run: Run) -> float | None:
    """Return the rate r that the filter was asked for; None where there is no filter."""
    filter_ = run.spec.get("filter", {})
    return None if filter_.get("name", "none") == "none" else filter_.get("drop")


def by_group(run: Run) -> list[Rate]:
    """Return that of each subgroup, and of the k-th rarest of all classes together; one family.

    A judge's estimates are not tested: it errs more on the hard images that filters drop, and that
    looks like a drop of rare subgroups.
    """
    return _rates(run, _groups(run), tested=not shares.is_estimated(run))


def by_class(run: Run) -> list[Rate]:
    """Return that of each class; one family, not tested where images are ranked within classes."""
    names = [n for n in _names(run) if n.class_ is not None and n.group is None]
    return _rates(run, names, tested=not fixed_by_class(run))


def by_cell(run: Run) -> list[Rate]:
    """Return that of each subgroup within each class, less that class's; never tested."""
    names = [n for n in _names(run) if n.class_ is not None and n.group is not None]
    return _rates(run, names, tested=False)


def fixed_by_class(run: Run) -> bool:
    """Whether the same share of every class is dropped, whatever the scores."""
    return run.spec.get("filter", {}).get("ranking", "class") == "class"


def _names(run: Run) -> list[Name]:
    return sorted((n for n in run.names if n[:2] == ALL[:2]), key=results.order)


def _groups(run: Run) -> list[Name]:
    return [n for n in _names(run) if n.class_ is None and n != ALL]


def _rates(run: Run, names: Sequence[Name], tested: bool = True) -> list[Rate]:
    """Compare each with its whole, as one family; names without any value are left out."""
    rates = []
    for name in names:
        whole = ALL if name.group is None else name._replace(group=None)
        pair = run.table(whole), run.table(name)
        if contrast := contrasts.difference(*pair, contrasts.MEAN, paired=True):
            _, _, rate, gap = contrast
            rates.append(Rate(name, rate, gap if tested else gap._replace(p=None)))
    return contrasts.decided(rates) if tested else rates


def lacking(run: Run, groups: Sequence[Rate]) -> list[str]:
    """Return the subgroups with a record and without any rate (of `by_group`)."""
    known = {rate.name for rate in groups}
    return [group_name(run, name) for name in _groups(run) if name not in known]


def group_table(run: Run, rates: Sequence[Rate]) -> pd.DataFrame | None:
    """Return all images, what was asked for, and each of `by_group`; None without subgroups."""
    if not rates:
        return None
    if shares.is_estimated(run):  # none is tested
        rows = [[group_name(run, r.name), r.rate, r.rate.num] for r in rates]
        caption = f"Drop rate by subgroup, estimated by the judge, {_averaged(run, rates)}"
        return frames.for_people(caption, ["subgroup", "drop rate", "seeds"], rows)
    r = asked(run)
    whole = [("all images", overall(run)), *([] if r is None else [("asked for (r)", float(r))])]
    rows = [[what, "", rate, None, None, None, None] for what, rate in whole]
    rows += [[group_name(run, rate.name), *_cells(rate)] for rate in rates]
    caption = f"Drop rate by subgroup, {_averaged(run, rates)}"
    return frames.for_people(caption, ["subgroup", *_TESTED], rows, 2, signed=_SIGNED)


def class_table(run: Run, rates: Sequence[Rate]) -> pd.DataFrame | None:
    """Return each of `by_class`, without tests where its rate is fixed; None without rates."""
    rows = [[results.class_name(run, r.name.class_), *_cells(r)] for r in rates]
    caption = f"Drop rate by class, {_averaged(run, rates)}"
    if fixed_by_class(run):  # no rate has a p
        rows = [[name, rate] for name, _, rate, *_ in rows]
        return frames.for_people(caption, ["class", "drop rate"], rows) if rows else None
    columns = ["class", *_TESTED]
    return frames.for_people(caption, columns, rows, 2, signed=_SIGNED) if rows else None


def cell_table(run: Run, rates: Sequence[Rate]) -> pd.DataFrame | None:
    """Return each of `by_cell`; None without rates."""
    rows = [
        [results.class_name(run, r.name.class_), group_name(run, r.name), r.rate, r.rate.num]
        for r in rates
    ]
    caption = (
        f"Drop rate by class and subgroup, {_averaged(run, [])}. Exploratory: each rests on few "
        "images, and none is tested"
    )
    columns = ["class", "subgroup", "drop rate", "seeds"]
    return frames.for_people(caption, columns, rows, 2) if rates else None


def within_seed_table(run: Run) -> pd.DataFrame | None:
    """Return all images and each subgroup in the last generation, a (value, low, high) a seed.

    None if nothing was dropped, or no record has an interval.
    """
    if not overall(run).mean:
        return None
    last, rows = run.last("filter"), []
    for name in (n for n in _names(run) if n.class_ is None):
        within = run.rows(name).query("generation == @last").set_index("seed")
        if within.low.notna().any():
            cells = within[["value", "low", "high"]].reindex(run.seeds).to_numpy().tolist()
            what = "all images" if name == ALL else group_name(run, name)
            rows.append([what, *(None if cell[0] != cell[0] else tuple(cell) for cell in cells)])
    caption = (
        f"Drop rate within each seed, generation {last}: value and its 95% interval over the "
        "images of that seed. It tells what one generation's rate owes to the number of its "
        "images, not what another seed would give"
    )
    if not shares.is_estimated(run):
        caption += ". It is Wilson's, slightly too wide, since the number dropped in all is fixed"
    columns = ["subgroup", *(f"seed {seed}" for seed in run.seeds)]
    return frames.for_people(caption, columns, rows) if rows else None


def _cells(r: Rate) -> list:
    e = r.difference.estimate
    return [r.decision.word, r.rate, e.mean, (e.low, e.high), r.decision.p, e.num]


def _averaged(run: Run, family: Sequence[Rate]) -> str:
    """Say how a table's numbers came about, and what its verdicts are corrected for."""
    e, last = overall(run), run.last("filter")
    over = f"averaged over generations 1 to {last}: " if last > 1 else "in generation 1: "
    if e.num < 2:
        return f"{over}one seed, so no interval"
    num = sum(r.decision.p is not None for r in family)
    tested = f"; uncorrected paired interval; {frames.holm_note(num)}" if num else ""
    return f"{over}mean ± half-width of the 95% interval over {e.num} seeds{tested}"


def group_name(run: Run, name: Name) -> str:
    """Name the subgroup of a drop rate, or which rarest of its class it is."""
    if name.rarity is None:
        return results.group_name(run, name.group, name.class_)
    return f"{measures.rarity_name(name.rarity, len(run.group_names))} of its class"

"""One mean over seeds less another, of runs, arms or rates: value, verdict and sentence."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import frames, shares
from jaxloop.analysis.measures import BIASES, Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.words import ENOUGH_SEEDS
from jaxloop.statistics import HIGHER, LOWER, NO_SPREAD, Decision, Difference, Estimate

COMPARED = (Bias("accuracy", Name("", "accuracy")), *BIASES)
IMBALANCE = Bias("imbalance u of subgroups", Name("", "imbalance"))  # made of recorded shares
MEAN, LEVEL, SLOPE = "mean", "level", "slope"
_PART = {MEAN: "average ", LEVEL: "", SLOPE: "slope of "}
MOST_NAMED = 6  # differences that a sentence names one by one


class Comparison(NamedTuple):
    """One measure of one classifier, or of the generator, in two runs.

    part: MEAN, over generations 1 to `generation`; LEVEL, the value at `generation`; or SLOPE, per
      generation over those up to `generation`. Of the generations that both runs have.
    first, other: the means of the two runs; where `paired`, of the seeds with a value in both.
    difference: other less first.
    """

    first_run: str
    other_run: str
    subject: str
    measure: Bias
    part: str
    generation: int
    first: Estimate
    other: Estimate
    difference: Difference
    decision: Decision = Decision("", None)
    paired: bool = False

    @property
    def name(self) -> Name:
        return self.measure.name(self.subject)


def table_of(run: Run, subject: str, measure: Bias) -> pd.DataFrame:
    """Return a measure by seed and generation, turned as it says."""
    if measure == IMBALANCE:
        return shares.imbalances(run).table
    return run.table(measure.name(subject), measure.complement)


def difference(
    first: pd.DataFrame, other: pd.DataFrame, part: str, paired: bool = False
) -> tuple[int, Estimate, Estimate, Difference] | None:
    """Compare two tables by seed (rows) and generation (columns).

    Args:
      part: MEAN, LEVEL or SLOPE, as in Comparison.
      paired: the rows are the same seeds. A value then counts where both sides have it.

    Returns:
      (last common generation, estimates of both, difference); None if a side has no value.
    """
    first, other = first.align(other, join="inner", axis="columns")
    if first.empty:
        return None
    if paired:
        both = np.isfinite(first) & np.isfinite(other)
        first, other = first.where(both), other.where(both)
    sides = summarized(first, part), summarized(other, part)
    a, b = map(statistics.estimate, sides)
    if a.mean is None or b.mean is None:
        return None
    test = statistics.paired if paired else statistics.welch
    return int(first.columns[-1]), a, b, test(*sides)


def summarized(table: pd.DataFrame, part: str) -> list[float | None]:
    """Return what each seed comes to over the generations; None or NaN: no value."""
    if part == LEVEL:
        return table.iloc[:, -1].tolist()
    if part == SLOPE:
        return [statistics.slope(row) for row in table.to_dict("index").values()]
    generated = table.loc[:, table.columns > 0].to_numpy()
    return [statistics.estimate(row).mean for row in generated.tolist()]


def compared(
    runs: dict[str, Run], subject: str, measure: Bias, parts: Sequence[str], paired: bool = False
) -> list[Comparison]:
    """Return the comparisons, as in `difference`, of two named runs that exist; not yet decided."""
    first, other = runs
    tables = {name: table_of(run, subject, measure) for name, run in runs.items()}
    return [
        Comparison(first, other, subject, measure, part, *result, paired=paired)
        for part in parts
        if (result := difference(tables[first], tables[other], part, paired))
    ]


def are_paired(first: Run, other: Run) -> bool:
    """Tell whether two runs share data, seeds and, as their records say, generation 0.

    Their classifiers in common then start alike in each seed, and only what comes after differs.
    """
    shared = set(first.classifiers) & set(other.classifiers)
    names = [n for n in first.names if n.subject in shared and n in other.names]
    starts = ([run.table(n).get(0) for n in names] for run in (first, other))
    alike = [a is not None and a.equals(b) for a, b in zip(*starts, strict=True)]
    same_data = first.spec.get("data") == other.spec.get("data")
    return same_data and first.seeds == other.seeds and any(alike) and all(alike)


def decided(comparisons: Sequence[Any]) -> list[Any]:
    """Return what has a `difference` each with its `decision`, as one family."""
    family = [(c.difference.estimate, c.difference.p) for c in comparisons]
    decisions = statistics.decide(family, HIGHER, LOWER)
    return [c._replace(decision=d) for c, d in zip(comparisons, decisions, strict=True)]


def outcome(comparisons: Sequence[Comparison]) -> str:
    """Return the end of a sentence on the comparisons of a pair of runs."""
    num, sure = len(comparisons), [c for c in comparisons if c.decision.word in (HIGHER, LOWER)]
    untested, few = no_spread(comparisons), _few(comparisons)
    if not sure:
        return f"in none of {num} comparisons can a difference be told{few}.{untested}"
    unclear = num - len(sure)
    others = f" In the other {unclear} nothing can be told{few}." if unclear else ""
    return f"{len(sure)} of {num} differences can be told: {_named(sure)}.{others}{untested}"


def _named(sure: Sequence[Comparison]) -> str:
    """Name few differences one by one; of many count each kind, and name the only one of a kind."""
    kinds = defaultdict(list)
    for c in sure:
        kind = "bias" if c.measure in BIASES else c.measure.title
        kinds[f"{_PART[c.part]}{kind} {c.decision.word}"].append(
            f"{c.subject}, {_PART[c.part]}{c.measure.title} {c.decision.word}"
        )
    return "; ".join(
        f"{kind} in {len(names)}" if len(names) > 1 and len(sure) > MOST_NAMED else "; ".join(names)
        for kind, names in kinds.items()
    )


def few_pairs(comparisons: Sequence[Any]) -> str:
    """ " with 2 to 3 seeds", as many as paired differences rest on; "" where these are enough."""
    nums = [c.difference.estimate.num for c in comparisons]
    low, high = min(nums), max(nums)
    if low >= ENOUGH_SEEDS:
        return ""
    return f" with {low if low == high else f'{low} to {high}'} seed{'s' * (high > 1)}"


def no_spread(comparisons: Sequence[Any]) -> str:
    """Return a sentence on those that were not tested for want of spread, or ""."""
    num = sum(c.decision.word == NO_SPREAD for c in comparisons)
    return f" Not tested, since seeds show no spread: {num} of {len(comparisons)}." if num else ""


def _few(comparisons: Sequence[Comparison]) -> str:
    if comparisons[0].paired:
        return few_pairs(comparisons)
    first, other = (max(getattr(c, side).num for c in comparisons) for side in ("first", "other"))
    if min(first, other) >= ENOUGH_SEEDS:
        return ""
    return f" with {first} seeds a run" if first == other else f" with {first} and {other} seeds"


def table(comparisons: Sequence[Comparison], family: Sequence[Comparison]) -> pd.DataFrame:
    """Return comparisons of one pair of runs and one part, out of a family of verdicts."""
    one, num = comparisons[0], sum(c.decision.p is not None for c in family)
    at = " or ".join(map(str, sorted({c.generation for c in comparisons})))
    what = {
        MEAN: f"Mean over generations 1 to {at}",
        LEVEL: f"Generation {at}",
        SLOPE: f"Slope per generation, up to generation {at}",
    }[one.part]
    test = "95% t interval over seeds, paired" if one.paired else "95% Welch interval over seeds"
    note = (
        f"uncorrected {test}; {frames.holm_note(num)}"
        if num
        else "neither interval nor test: one seed alone, or no spread over seeds"
    )
    sides, differences = [one.first_run, one.other_run], ["difference", "95% interval"]
    columns = ["classifier", "measure", "verdict", *sides, *differences, "p", "pairs"]
    rows = [
        [
            c.subject, c.measure.title, c.decision.word, c.first.mean, c.other.mean, e.mean,
            (e.low, e.high), c.decision.p, e.num,
        ]
        for c in comparisons for e in [c.difference.estimate]
    ]  # fmt: skip
    caption = f"{what}: “{one.other_run}” against “{one.first_run}”; {note}"
    digits, signed = (4, sides + differences) if one.part == SLOPE else (3, differences)
    frame = frames.for_people(caption, columns, rows, 3, digits, signed)
    return frame if one.paired else frame.iloc[:, :-1]

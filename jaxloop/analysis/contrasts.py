"""One mean over seeds less another, of runs, arms or rates: value, verdict and sentence."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import frames
from jaxloop.analysis.answer import ENOUGH_SEEDS
from jaxloop.analysis.measures import BIASES, Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import HIGHER, LOWER, NO_SPREAD, Decision, Difference, Estimate

ACCURACY = Bias("accuracy", Name("", "accuracy"))
COMPARED = (ACCURACY, *BIASES)
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


def turned(run: Run, subject: str, measure: Bias) -> pd.DataFrame:
    """Return `Run.table` of a measure, turned as the measure says."""
    table = run.table(measure.name(subject))
    return 1 - table if measure.complement else table


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
    shared, *at = np.intersect1d(first.columns, other.columns, return_indices=True)
    if not len(shared):
        return None
    tables = [side.to_numpy()[:, i] for side, i in zip((first, other), at, strict=True)]
    if paired:
        both = np.isfinite(tables[0]) & np.isfinite(tables[1])
        tables = [np.where(both, table, np.nan) for table in tables]
    sides = [summarized(table, shared, part) for table in tables]
    a, b = (statistics.estimate(side) for side in sides)
    if a.mean is None or b.mean is None:
        return None
    return int(shared[-1]), a, b, (statistics.paired if paired else statistics.welch)(*sides)


def summarized(table: np.ndarray, generations: np.ndarray, part: str) -> list[float | None]:
    """Return what each row comes to over the generations of the columns; None or NaN: no value."""
    if part == LEVEL:
        return table[:, -1].tolist()
    if part == SLOPE:
        rows = [dict(zip(generations.tolist(), row, strict=True)) for row in table.tolist()]
        return [statistics.slope(row) for row in rows]
    return [statistics.estimate(row).mean for row in table[:, generations > 0].tolist()]


def compared(
    names: tuple[str, str],
    subject: str,
    measure: Bias,
    sides: tuple[pd.DataFrame, pd.DataFrame],
    parts: Sequence[str],
    paired: bool = False,
) -> list[Comparison]:
    """Return the comparisons of two tables, as in `difference`, that exist; not yet decided."""
    results = [(part, difference(*sides, part, paired)) for part in parts]
    return [
        Comparison(*names, subject, measure, part, *result, paired=paired)
        for part, result in results
        if result
    ]


def decided(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return them with their verdicts, as one family."""
    family = [(c.difference.estimate, c.difference.p) for c in comparisons]
    decisions = statistics.decide(family, HIGHER, LOWER)
    return [c._replace(decision=d) for c, d in zip(comparisons, decisions, strict=True)]


def outcome(comparisons: Sequence[Comparison]) -> str:
    """Return the end of a sentence on the comparisons of a pair of runs."""
    num, sure = len(comparisons), [c for c in comparisons if c.decision.word in (HIGHER, LOWER)]
    untested, few = no_spread([c.decision for c in comparisons]), _few(comparisons)
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


def few_pairs(differences: Sequence[Difference]) -> str:
    """ " with 2 to 3 seeds", as many as paired differences rest on; "" where these are enough."""
    nums = [d.estimate.num for d in differences]
    low, high = min(nums), max(nums)
    if low >= ENOUGH_SEEDS:
        return ""
    return f" with {low if low == high else f'{low} to {high}'} seed{'s' * (high > 1)}"


def no_spread(decisions: Sequence[Decision]) -> str:
    """Return a sentence on those that were not tested for want of spread, or ""."""
    num = sum(d.word == NO_SPREAD for d in decisions)
    return f" Not tested, since seeds show no spread: {num} of {len(decisions)}." if num else ""


def _few(comparisons: Sequence[Comparison]) -> str:
    if comparisons[0].paired:
        return few_pairs([c.difference for c in comparisons])
    first, other = (max(getattr(c, side).num for c in comparisons) for side in ("first", "other"))
    if min(first, other) >= ENOUGH_SEEDS:
        return ""
    return f" with {first} seeds a run" if first == other else f" with {first} and {other} seeds"


def table(comparisons: Sequence[Comparison], family: Sequence[Comparison]) -> pd.DataFrame:
    """Return comparisons of one pair of runs and one part, out of a family of verdicts."""
    num = sum(c.decision.p is not None for c in family)
    first, other, part, paired = (
        getattr(comparisons[0], field) for field in ("first_run", "other_run", "part", "paired")
    )
    at = " or ".join(map(str, sorted({c.generation for c in comparisons})))
    what = {
        MEAN: f"Mean over generations 1 to {at}",
        LEVEL: f"Generation {at}",
        SLOPE: f"Slope per generation, up to generation {at}",
    }[part]
    test = "95% t interval over seeds, paired" if paired else "95% Welch interval over seeds"
    note = (
        f"uncorrected {test}; {frames.holm_note(num)}"
        if num
        else "neither interval nor test: one seed alone, or no spread over seeds"
    )
    columns = ["classifier", "measure", "verdict", first, other, "difference", "95% interval", "p"]
    rows = [
        [
            c.subject, c.measure.title, c.decision.word, c.first.mean, c.other.mean, e.mean,
            (e.low, e.high), c.decision.p, e.num,
        ]
        for c in comparisons for e in [c.difference.estimate]
    ]  # fmt: skip
    signed = ["difference", "95% interval", *((first, other) if part == SLOPE else ())]
    frame = frames.for_people(
        f"{what}: “{other}” against “{first}”; {note}",
        [*columns, "pairs"], rows, 3, 4 if part == SLOPE else 3, signed,
    )  # fmt: skip
    return frame if paired else frame.iloc[:, :-1]

"""Is bias higher in one run than in another? Every run against the first, by classifier and measure.

Seeds are not paired: seed s of two runs starts from the same random numbers, but where the configurations differ these
meet other images and other networks, and runs may have other seeds. Welch's interval and test ask for no pairs and no
equal spread; where seeds of two runs do rise and fall together, they are wider than they need be. Where two runs share
generation 0 and all random numbers, as a run and its control arm do, seeds are paired (see arms.py).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import labels, results
from jaxloop.analysis.answer import ENOUGH_SEEDS, listed_words
from jaxloop.analysis.measures import BIASES, Bias
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report.layout import Table, interval, p_value, signed
from jaxloop.statistics import HIGHER, LOWER, NO_SPREAD, Decision, Difference, Estimate

ACCURACY = Bias("accuracy", "accuracy", False)
COMPARED = (ACCURACY, *BIASES)
MEAN, LEVEL, SLOPE = "mean", "level", "slope"
MOST_NAMED = 6  # differences that a sentence names one by one

Series = Mapping[int, float | None]


class Comparison(NamedTuple):
    """One measure of one classifier, or of the generator, in two runs.

    of: MEAN, over generations 1 to `generation`; LEVEL, the value at `generation`; or SLOPE, per generation over those
      up to `generation`. Of the generations that both runs have.
    first, other: the means of the two runs; where `paired`, of the seeds that have a value in both.
    difference: other less first.
    group: the subgroup that the measure is of, if any.
    """

    first_run: str
    other_run: str
    subject: str
    measure: Bias
    of: str
    generation: int
    first: Estimate
    other: Estimate
    difference: Difference
    decision: Decision = Decision("", None)
    paired: bool = False
    group: int | None = None


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Every run against the first; all verdicts are one family. Classifiers and measures that a pair lacks are left out."""
    names = labels.labels(runs)
    found = []
    for other, name in zip(runs[1:], names[1:], strict=True):
        for subject in (s for s in runs[0].classifiers if s in other.classifiers):
            for measure in COMPARED:
                sides = [series(run, subject, measure) for run in (runs[0], other)]
                for of in (LEVEL, SLOPE):
                    if compared := difference(*sides, of):
                        found.append(Comparison(names[0], name, subject, measure, of, *compared))
    return decided(found)


def series(run: Run, subject: str, measure: Bias, group: int | None = None) -> list[Series]:
    """One {generation: value} a seed, turned as the measure says."""
    return results.values_by_seed(
        run, Name(subject, measure.metric, None, group), measure.complement
    )


def decided(found: Sequence[Comparison]) -> list[Comparison]:
    """With their verdicts, as one family."""
    decisions = statistics.decide(
        [(c.difference.estimate, c.difference.p) for c in found], HIGHER, LOWER
    )
    return [c._replace(decision=decision) for c, decision in zip(found, decisions, strict=True)]


def difference(
    first: Sequence[Series], other: Sequence[Series], of: str, paired: bool = False
) -> tuple[int, Estimate, Estimate, Difference] | None:
    """(last common generation, estimates of both, difference); None if either side has nothing to compare.

    Args:
      first, other: one {generation: value} a seed, all seeds of a side over the same generations.
      of: MEAN, LEVEL or SLOPE, as in Comparison.
      paired: the sides have the same seeds in the same order. A value then counts where both sides have it.
    """
    shared = sorted(set().union(*first) & set().union(*other))
    if paired:
        both = [
            {g for g in shared if statistics.is_number(a.get(g)) and statistics.is_number(b.get(g))}
            for a, b in zip(first, other, strict=True)
        ]
        first, other = (
            [{g: values[g] for g in own} for values, own in zip(side, both, strict=True)]
            for side in (first, other)
        )
    sides = [[_one(values, of, shared) for values in side] for side in (first, other)]
    estimates = [statistics.estimate(side) for side in sides]
    if None in [e.mean for e in estimates]:
        return None
    return shared[-1], *estimates, (statistics.paired if paired else statistics.welch)(*sides)


def _one(values: Series, of: str, generations: Sequence[int]) -> float | None:
    """What one seed's series comes to over these generations; None without a value."""
    if not generations:
        return None
    if of == LEVEL:
        return values.get(generations[-1])
    if of == SLOPE:
        return statistics.slope({g: values.get(g) for g in generations})
    return average({g: values.get(g) for g in generations})


def average(values: Series) -> float | None:
    """The mean of one seed's series over its generations from 1 on; None without a value."""
    return statistics.estimate([value for g, value in values.items() if g > 0]).mean


def left_out(runs: Sequence[Run], found: Sequence[Comparison]) -> list[str]:
    """Sentences on what both runs of a pair should have and one has no value of."""
    said = []
    names = labels.labels(runs)
    for other, name in zip(runs[1:], names[1:], strict=True):
        classifiers_of: dict[tuple[str, ...], list[str]] = {}
        for subject in (s for s in runs[0].classifiers if s in other.classifiers):
            have = [
                {c.measure for c in found if (c.other_run, c.subject, c.of) == (name, subject, of)}
                for of in (LEVEL, SLOPE)
            ]
            lacking = tuple(
                m.title for m in COMPARED if any(m not in measures for measures in have)
            )
            classifiers_of.setdefault(lacking, []).append(subject)
        said += [
            f"{name} against {names[0]}: a run lacks values to compare {listed_words(list(lacking))} of {listed_words(subjects)}."
            for lacking, subjects in classifiers_of.items()
            if lacking
        ]
    return said


def sentences(found: Sequence[Comparison]) -> list[str]:
    """For each pair of runs, how many differences can be told, and which."""
    pairs = dict.fromkeys((c.first_run, c.other_run) for c in found)
    return [
        f"{other} against {first}: {told([c for c in found if (c.first_run, c.other_run) == (first, other)])}"
        for first, other in pairs
    ]


def told(own: Sequence[Comparison]) -> str:
    """The rest of a sentence on the comparisons of one pair of runs, and more on those that say nothing."""
    sure = [c for c in own if c.decision.word in (HIGHER, LOWER)]
    untested = no_spread([c.decision for c in own])
    if not sure:
        return f"in none of {len(own)} comparisons can a difference be told{_few(own)}.{untested}"
    rest = (
        f" In the other {len(own) - len(sure)} nothing can be told{_few(own)}."
        if len(sure) < len(own)
        else ""
    )
    return f"{len(sure)} of {len(own)} differences can be told: {_named(sure)}.{rest}{untested}"


def _named(sure: Sequence[Comparison]) -> str:
    """Each difference by its name where they are few; else how many of each kind, and by its name the only one of a kind."""
    kinds: dict[str, list[Comparison]] = {}
    for c in sure:
        kind = "bias" if c.measure in BIASES else c.measure.title
        kinds.setdefault(f"{_PART[c.of]}{kind} {c.decision.word}", []).append(c)
    return "; ".join(
        f"{kind} in {len(own)}"
        if len(own) > 1 and len(sure) > MOST_NAMED
        else "; ".join(
            f"{c.subject}, {_PART[c.of]}{c.measure.title} {c.decision.word}" for c in own
        )
        for kind, own in kinds.items()
    )


_PART = {MEAN: "average ", LEVEL: "", SLOPE: "slope of "}


def few_pairs(found: Sequence[Difference]) -> str:
    """ " with 2 to 3 seeds", as many as paired differences rest on; "" where all rest on enough."""
    low, high = (pick(d.estimate.num for d in found) for pick in (min, max))
    if low >= ENOUGH_SEEDS:
        return ""
    return f" with {low if low == high else f'{low} to {high}'} seed{'s' * (high > 1)}"


def no_spread(decisions: Sequence[Decision]) -> str:
    """A sentence on those that were not tested for want of spread, or ""."""
    num = sum(d.word == NO_SPREAD for d in decisions)
    return f" Not tested, since seeds show no spread: {num} of {len(decisions)}." if num else ""


def _few(own: Sequence[Comparison]) -> str:
    if own[0].paired:
        return few_pairs([c.difference for c in own])
    nums = [max(getattr(c, side).num for c in own) for side in ("first", "other")]
    if min(nums) >= ENOUGH_SEEDS:
        return ""
    return (
        f" with {nums[0]} seeds a run"
        if nums[0] == nums[1]
        else f" with {nums[0]} and {nums[1]} seeds"
    )


def tables(found: Sequence[Comparison]) -> dict[str, list[Table]]:
    """{"other against first": its tables}: values at the last common generation, and slopes."""
    made: dict[str, list[Table]] = {}
    for first, other in dict.fromkeys((c.first_run, c.other_run) for c in found):
        own = [c for c in found if (c.first_run, c.other_run) == (first, other)]
        kinds = [[c for c in own if c.of == of] for of in (LEVEL, SLOPE)]
        made[f"{other} against {first}"] = [table(kind, found) for kind in kinds if kind]
    return made


def table(own: Sequence[Comparison], family: Sequence[Comparison]) -> Table:
    """Comparisons of one pair of runs and of one kind, out of the family that their verdicts were taken in."""
    num = sum(c.decision.p is not None for c in family)
    first, other, of = own[0].first_run, own[0].other_run, own[0].of
    at = " or ".join(map(str, sorted({c.generation for c in own})))
    what = {
        MEAN: f"Mean over generations 1 to {at}",
        LEVEL: f"Generation {at}",
        SLOPE: f"Slope per generation, up to generation {at}",
    }[of]
    test = "95% t interval over seeds, paired" if own[0].paired else "95% Welch interval over seeds"
    rest = (
        f"uncorrected {test}; verdict and p corrected for {num} verdicts (Holm)"
        if num
        else "neither interval nor test: one seed alone, or no spread over seeds"
    )
    caption = f"{what}: “{other}” against “{first}”; {rest}"
    columns = ["classifier", "measure", "verdict", first, other, "difference", "95% interval", "p"]
    rows = [_row(c) for c in own]
    if own[0].paired:
        columns.append("pairs")
        rows = [[*row, str(c.difference.estimate.num)] for row, c in zip(rows, own, strict=True)]
    return Table(caption, columns, rows, 3)


def _row(c: Comparison) -> list[str]:
    e = c.difference.estimate
    digits = 4 if c.of == SLOPE else 3
    means = [signed(mean, digits) for mean in (c.first.mean, c.other.mean)]
    if c.of != SLOPE:
        means = [mean.removeprefix("+") for mean in means]
    numbers = [*means, signed(e.mean, digits), interval(e, digits), p_value(c.decision.p)]
    return [c.subject, c.measure.title, c.decision.word, *numbers]

"""Is bias higher in one run than in another? Every run against the first, by classifier and measure.

Seeds are not paired: seed s of two runs starts from the same random numbers, but where the configurations differ these
meet other images and other networks, and runs may have other seeds. Welch's interval and test ask for no pairs and no
equal spread; where seeds of two runs do rise and fall together, they are wider than they need be.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxloop.report import labels, results, statistics
from jaxloop.report.answer import ENOUGH_SEEDS, listed_words
from jaxloop.report.layout import Table, interval, p_value, signed
from jaxloop.report.measures import BIASES, Bias
from jaxloop.report.statistics import HIGHER, LOWER, Decision, Difference, Estimate
from jaxloop.report.workdir import Name, Run

ACCURACY = Bias("accuracy", "accuracy", False)
COMPARED = (ACCURACY, *BIASES)
LEVEL, SLOPE = "level", "slope"
MOST_NAMED = 6  # differences that a sentence names one by one


class Comparison(NamedTuple):
    """One measure of one classifier in two runs.

    of: LEVEL, the value at `generation`, or SLOPE, per generation over those up to `generation` that both runs have.
    first, other: the means of the two runs.  difference: other less first.
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
    decision: Decision


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Every run against the first; all verdicts are one family. Classifiers and measures that a pair lacks are left out."""
    names = labels.labels(runs)
    found = [
        Comparison(names[0], name, subject, measure, of, *compared, Decision("", None))
        for other, name in zip(runs[1:], names[1:], strict=True)
        for subject in runs[0].classifiers
        if subject in other.classifiers
        for measure in COMPARED
        for of in (LEVEL, SLOPE)
        if (compared := _compared(runs[0], other, Name(subject, measure.metric), measure.complement, of))
    ]
    decisions = statistics.decide([(c.difference.estimate, c.difference.p) for c in found], HIGHER, LOWER)
    return [c._replace(decision=decision) for c, decision in zip(found, decisions, strict=True)]


def _compared(first: Run, other: Run, name: Name, complement: bool, of: str):
    """(last common generation, estimates of both, difference); None if either run has nothing to compare."""
    shared = sorted(first.values.get(name, {}).keys() & other.values.get(name, {}).keys())
    if not shared:
        return None
    sides = []
    for run in (first, other):
        by_seed = results.values_by_seed(run, name, complement)
        if of == LEVEL:
            sides.append([values[shared[-1]] for values in by_seed])
        else:
            sides.append([statistics.slope({g: values[g] for g in shared}) for values in by_seed])
    estimates = [statistics.estimate(side) for side in sides]
    return None if None in [e.mean for e in estimates] else (shared[-1], *estimates, statistics.welch(*sides))


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
            lacking = tuple(m.title for m in COMPARED if any(m not in measures for measures in have))
            classifiers_of.setdefault(lacking, []).append(subject)
        said += [
            f"{name} against {names[0]}: a run lacks values to compare {listed_words(list(lacking))} of {listed_words(subjects)}."
            for lacking, subjects in classifiers_of.items()
            if lacking
        ]
    return said


def sentences(found: Sequence[Comparison]) -> list[str]:
    """For each pair of runs, how many differences can be told, and which."""
    said = []
    for pair in dict.fromkeys((c.first_run, c.other_run) for c in found):
        own = [c for c in found if (c.first_run, c.other_run) == pair]
        told = [c for c in own if c.decision.word in (HIGHER, LOWER)]
        start = f"{pair[1]} against {pair[0]}: "
        if not told:
            said.append(f"{start}in none of {len(own)} comparisons can a difference be told{_few(own)}.")
            continue
        rest = f" In the other {len(own) - len(told)} nothing can be told{_few(own)}." if len(told) < len(own) else ""
        said.append(f"{start}{len(told)} of {len(own)} differences can be told: {_told(told)}.{rest}")
    return said


def _told(told: Sequence[Comparison]) -> str:
    """Each difference by its name where they are few; else how many of each kind."""
    if len(told) <= MOST_NAMED:
        return "; ".join(f"{c.subject}, {_what(c)} {c.decision.word}" for c in told)
    kinds = [
        ("slope of " * (c.of == SLOPE) + ("accuracy" if c.measure == ACCURACY else "bias"), c.decision.word)
        for c in told
    ]
    return "; ".join(f"{kind} {word} in {kinds.count((kind, word))}" for kind, word in dict.fromkeys(kinds))


def _few(own: Sequence[Comparison]) -> str:
    nums = [max(getattr(c, side).num for c in own) for side in ("first", "other")]
    if min(nums) >= ENOUGH_SEEDS:
        return ""
    return f" with {nums[0]} seeds a run" if nums[0] == nums[1] else f" with {nums[0]} and {nums[1]} seeds"


def _what(c: Comparison) -> str:
    return c.measure.title if c.of == LEVEL else f"slope of {c.measure.title}"


def tables(found: Sequence[Comparison]) -> dict[str, list[Table]]:
    """{"other against first": its two tables}: values at the last common generation, and slopes."""
    num = sum(c.decision.p is not None for c in found)
    made: dict[str, list[Table]] = {}
    for first, other in dict.fromkeys((c.first_run, c.other_run) for c in found):
        for of in (LEVEL, SLOPE):
            own = [c for c in found if (c.first_run, c.other_run, c.of) == (first, other, of)]
            at = " or ".join(map(str, sorted({c.generation for c in own})))
            what = f"Generation {at}" if of == LEVEL else f"Slope per generation, up to generation {at}"
            rest = (
                f"uncorrected 95% Welch interval over seeds; verdict and p corrected for {num} verdicts (Holm)"
                if num
                else "one seed in a run, so no interval"
            )
            caption = f"{what}: “{other}” against “{first}”; {rest}"
            columns = ["classifier", "measure", "verdict", first, other, "difference", "95% interval", "p"]
            made.setdefault(f"{other} against {first}", []).append(Table(caption, columns, [_row(c) for c in own], 3))
    return made


def _row(c: Comparison) -> list[str]:
    e = c.difference.estimate
    digits = 3 if c.of == LEVEL else 4
    means = [signed(mean, digits) for mean in (c.first.mean, c.other.mean)]
    if c.of == LEVEL:
        means = [mean.removeprefix("+") for mean in means]
    numbers = [*means, signed(e.mean, digits), interval(e, digits), p_value(c.decision.p)]
    return [c.subject, c.measure.title, c.decision.word, *numbers]

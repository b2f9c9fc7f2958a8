"""Is bias higher in one run than in another? Every run against the first, by classifier, measure.

Where two runs share data, seeds and generation 0 (`contrasts.are_paired`), seeds are paired. Else
they are not: seed s of two runs starts from the same random numbers, but these meet other images
and other networks, and runs may have other seeds. Welch's interval and test ask for no pairs and no
equal spread; where seeds of two runs do rise and fall together, they are wider than they need be.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

import pandas as pd

from jaxloop.analysis import contrasts
from jaxloop.analysis.contrasts import COMPARED, LEVEL, SLOPE, Comparison
from jaxloop.analysis.labels import labels
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.words import listed_words


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Compare every run with the first; all verdicts are one family.

    Classifiers and measures that a pair lacks are left out.
    """
    comparisons = []
    for pair, subject in _pairs(runs):
        paired = contrasts.are_paired(*pair.values())
        for measure in COMPARED:
            comparisons += contrasts.compared(pair, subject, measure, (LEVEL, SLOPE), paired)
    return contrasts.decided(comparisons)


def left_out(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> list[str]:
    """Return sentences on what both runs of a pair should have and one has no value of."""
    subjects = defaultdict(list)
    have = {(c.other_run, c.subject, c.measure, c.part) for c in comparisons}
    for (first, other), subject in _pairs(runs):
        lacking = tuple(
            m.title
            for m in COMPARED
            if not {(other, subject, m, part) for part in (LEVEL, SLOPE)} <= have
        )
        subjects[first, other, lacking].append(subject)
    return [
        f"{other} against {first}: a run lacks values to compare "
        f"{listed_words(list(lacking))} of {listed_words(classifiers)}."
        for (first, other, lacking), classifiers in subjects.items()
        if lacking
    ]


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """Say for each pair of runs how many differences can be told, and which."""
    return [f"{pair}: {contrasts.outcome(group)}" for pair, group in _by_pair(comparisons).items()]


def tables(comparisons: Sequence[Comparison]) -> dict[str, list[pd.DataFrame]]:
    """Return {"other against first": its tables}: the last common generation, and slopes."""
    return {
        pair: [
            contrasts.table(part, comparisons)
            for kind in (LEVEL, SLOPE)
            if (part := [c for c in group if c.part == kind])
        ]
        for pair, group in _by_pair(comparisons).items()
    }


def _by_pair(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    pairs = groupby(comparisons, lambda c: f"{c.other_run} against {c.first_run}")
    return {pair: list(group) for pair, group in pairs}


def _pairs(runs: Sequence[Run]) -> Iterator[tuple[dict[str, Run], str]]:
    """Yield {label: run} of the first run and another, with each classifier that both have."""
    first, *names = labels(runs)
    for name, other in zip(names, runs[1:], strict=True):
        for subject in runs[0].classifiers:
            if subject in other.classifiers:
                yield {first: runs[0], name: other}, subject

"""The tables below the headline: answers, accuracy, the generator's gate and profile, all gaps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxloop.analysis import exploratory, frames, measures, questions
from jaxloop.analysis.adequacy import Change, Check
from jaxloop.analysis.answers import Accuracy, Answer
from jaxloop.analysis.exploratory import Row
from jaxloop.report.layout import metric_label

# The words of verdicts as people read them.
WORDS = {
    questions.GREW: "grew", questions.SHRANK: "shrank", questions.NO_CHANGE: "no change",
    questions.CANNOT_TELL: "cannot tell",
}  # fmt: skip
_TITLES = exploratory.TITLES | {"rank_gap_excess": "rank gap, excess"}


def answer_table(answers: Sequence[Answer]) -> pd.DataFrame | None:
    """Return a row for each answer, the primary ones first; None without any."""
    columns = ["classifier", "question", "measure", "verdict", "", "estimate", "95% interval", "p",
               "smallest"]  # fmt: skip
    rows = [
        [
            one.classifier, one.question, _TITLES[one.measure], WORDS[a.verdict.word],
            "primary" if one.primary else "", one.change.estimate,
            one.change.interval(), a.verdict.p, a.smallest_detectable,
        ]
        for a in sorted(answers, key=lambda a: not a.asked.primary)
        for one in [a.asked]
    ]  # fmt: skip
    num = sum(a.asked.primary for a in answers)
    caption = (
        "Change of bias, in units of accuracy (effect) or of accuracy a generation (trend, slope); "
        "intervals over seeds and test images together, uncorrected; "
        f"{frames.holm_note(num)} where primary; other rows are exploratory and uncorrected"
    )
    signed = ["estimate", "95% interval"]
    return frames.for_people(caption, columns, rows, 5, 3, signed) if rows else None


def short(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `answer_table` for a terminal: the primary rows, or all where none is."""
    rows = np.flatnonzero(frame[""] == "primary")
    narrow = (frame.iloc[rows] if len(rows) else frame).drop(columns=["", "p"])
    narrow.attrs = frame.attrs | {"num_words": 4}
    return narrow


def accuracy_table(accuracies: Sequence[Accuracy]) -> pd.DataFrame | None:
    """Return what became of accuracy; None before generation 1."""
    columns = ["classifier", "generation 0", "last", "change", "95% interval", "p",
               "loop − no loop", "95% interval "]  # fmt: skip
    rows = [
        [
            a.classifier, a.first, a.last, a.since.estimate, a.since.interval(), a.since.p(),
            a.effect and a.effect.estimate, a.effect.interval() if a.effect else (None, None),
        ]
        for a in accuracies
    ]  # fmt: skip
    caption = "Accuracy; intervals over seeds and test images together, uncorrected"
    signed = [*columns[3:5], *columns[6:]]
    return frames.for_people(caption, columns, rows, 1, 3, signed) if rows else None


def gate_table(checks: Sequence[Check]) -> pd.DataFrame | None:
    """Return the limits of the gate and what was found; None where nothing could be looked at."""
    titles = {"imbalance": "imbalance u in excess of chance"}
    rows = [
        [
            titles.get(c.metric) or measures.measure(c.metric).title,
            "passed" if c.passed else "failed", c.value,
            f"{'at most' if c.metric == 'imbalance' else 'at least'} {c.limit:g}",
        ]
        for c in checks
    ]  # fmt: skip
    caption = "Is the generator fit to answer? Generation 1, mean over seeds"
    columns = ["measure", "gate", "value", "asked"]
    return frames.for_people(caption, columns, rows, 2) if rows else None


def profile_table(changes: Sequence[Change]) -> pd.DataFrame | None:
    """Return what became of the generator; None before generation 2."""
    rows = [
        [metric_label(c.name), c.first, c.last, e.mean, (e.low, e.high), c.difference.p]
        for c in changes
        for e in [c.difference.estimate]
    ]
    caption = "What became of the generator: generation 1 and the last one, paired by seed"
    columns = ["measure", "generation 1", "last", "change", "95% interval", "p"]
    return frames.for_people(caption, columns, rows, 1, 3, columns[3:5]) if rows else None


def waterfall_table(waterfall: Sequence[dict]) -> pd.DataFrame | None:
    """Return `adequacy.waterfall` for people; None where it is empty."""
    classifiers = list(waterfall[0])[4:] if waterfall else []
    columns = ["gen", "real", "generated", "kept", *classifiers]
    rows = [[str(g), *values] for g, *values in (row.values() for row in waterfall)]
    caption = (
        "Share of each class's commonest subgroup in the data, among generated images (before the "
        "filter) and among kept ones; and the alignment gap of each classifier; means over seeds"
    )
    return frames.for_people(caption, columns, rows, 1, 3, classifiers) if rows else None


def gap_table(gaps: Sequence[Row]) -> pd.DataFrame | None:
    """Return every gap beside its chance level, at generation 0 and the last one, by arm."""
    last = max((row.generation for row in gaps), default=0)
    rows = [
        [r.classifier, _TITLES[r.measure], str(r.generation), r.arm if r.generation else "both",
         r.value, r.chance, r.excess]
        for r in gaps
        if (r.generation == 0 and r.arm == exploratory.LOOP) or (r.generation == last > 0)
    ]  # fmt: skip
    caption = (
        "Gaps in accuracy between subgroups, what chance alone gives as accurate a classifier "
        "(subgroup labels permuted within classes), and the excess; means over seeds"
    )
    columns = ["classifier", "measure", "gen", "arm", "value", "chance", "excess"]
    return frames.for_people(caption, columns, rows, 4, 3, ["excess"]) if rows else None

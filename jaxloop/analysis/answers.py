"""The answers of a run, from predictions/ alone: what generated data do to bias, and to accuracy.

One measure is primary, fixed by the data before anything is looked at: the alignment gap where the
training data have unbalanced subgroups, else the rank gap in excess of chance. Verdicts on it, one
a classifier for EFFECT and for TREND, are one family, corrected by Holm. All others are exploratory
and uncorrected.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxloop import statistics
from jaxloop.analysis import gaps, questions
from jaxloop.analysis.crossed import Crossed
from jaxloop.analysis.gaps import ALIGNMENT, RANK, Gap
from jaxloop.analysis.questions import EFFECT, SLOPE, TREND, Verdict
from jaxloop.analysis.run_folder import Run
from jaxloop.spec import Answer as Settings

NO_LOOP = "no_loop"


class Asked(NamedTuple):
    """A question on one measure of one classifier, and the estimate.

    change: of accuracy (EFFECT), or of accuracy a generation (TREND, SLOPE).
    margin: changes below it count as none: `answer.smallest` (EFFECT), or that much over all the
      generations that a slope is over.
    generations: first and last that it is over.
    """

    classifier: str
    question: str
    measure: str
    change: Crossed
    margin: float
    generations: tuple[int, int]
    primary: bool


class Answer(NamedTuple):
    """verdict: corrected for the family where `asked` is primary.

    smallest_detectable: told with a power of 0.8 by as many seeds and test images; None: no error.
    seeds_needed, images_needed: seeds, or multiples of the test images, that would tell the margin,
      each alone; None: not even `questions.MOST`, or no error is known.
    """

    asked: Asked
    verdict: Verdict
    smallest_detectable: float | None
    seeds_needed: int | None
    images_needed: float | None


class Accuracy(NamedTuple):
    """What became of a classifier's accuracy: means over seeds with both ends, generation 0 and the
    last.

    since: the change between them.  effect: loop less no loop, as EFFECT; None without that arm.
    """

    classifier: str
    first: float
    last: float
    generation: int
    since: Crossed
    effect: Crossed | None


class Tables(NamedTuple):
    """A run's predictions as arrays.

    right: by classifier, float [S T n]; NaN where it diverged.
    label, group, side: int [n].  levels: of `gaps.rank_excess`.
    Classes with too few test images (`gaps.few`) have neither sides nor levels.
    """

    right: dict[str, np.ndarray]
    label: np.ndarray
    group: np.ndarray
    side: np.ndarray
    levels: np.ndarray

    def gap(self, classifier: str, measure: str) -> Gap:
        right = self.right[classifier]
        if measure == ALIGNMENT:
            return gaps.alignment(right, self.label, self.side)
        if measure == RANK:
            return gaps.rank_excess(right, self.label, self.group, self.levels)
        return Gap(right.mean(axis=-1), right / len(self.label), self.label)


class Arms(NamedTuple):
    """Predictions of the loop and, if the run has that arm, without it; cut to what both have.

    window: bool [T], the generations in which the queue is full.
    """

    loop: Tables
    without: Tables | None
    window: np.ndarray


def arms(run: Run) -> Arms | None:
    """Return the predictions of a run; None before it has any."""
    loop = _tables(run, run.predictions)
    if loop is None:
        return None
    other = run.arms.get(NO_LOOP)
    without = _tables(run, other.predictions) if other else None
    nums = [len(right[0]) for t in (loop, without) if t for right in t.right.values()]
    return Arms(loop, without, np.arange(min(nums, default=0)) >= window_start(run))


def _tables(run: Run, predictions: dict[int, dict[str, np.ndarray]]) -> Tables | None:
    num = next((g for g in range(run.planned + 2) if g not in predictions), 0)
    if num == 0:
        return None
    label, group = (np.asarray(predictions[0][name]) for name in ("label", "group"))
    right = {}
    for name in run.classifiers if num else ():
        if any(name not in predictions[g] for g in range(num)):
            continue
        predicted = np.stack([predictions[g][name] for g in range(num)], axis=1)
        right[name] = np.where(predicted < 0, np.nan, predicted == label)
    shape = len(run.class_names), len(run.group_names)
    side = gaps.sides(label, group, np.asarray(run.config["data"]["train_cells"]))
    side = np.where(gaps.few(label, side, shape[0])[label], -1, side)
    levels = gaps.levels_of(label, group, shape)
    levels = np.where(gaps.few(label, group, shape[0])[:, None], np.nan, levels)
    return Tables(right, label, group, side, levels)


def primary_measure(tables: Tables) -> str | None:
    """Return the measure that the data choose; None where no class has two subgroups."""
    sides = [set(tables.side[tables.label == c]) for c in np.unique(tables.label)]
    if any({gaps.ALIGNED, gaps.CONFLICTING} <= found for found in sides):
        return ALIGNMENT
    several = tables.group.max(initial=0) > 0 and np.isfinite(tables.levels[:, 0]).any()
    return RANK if several else None


def settings(run: Run) -> Settings:
    """Return the fields `answer` of a run's configuration."""
    return Settings(**run.spec.get("answer", {}))


def window_start(run: Run) -> int:
    """Return the first generation in which the queue is full: D of the policy fifo, else 1.

    The last generation planned where it is earlier than D.
    """
    loop = run.spec["loop"]
    full = loop.get("capacity", 1) if loop.get("policy", "fifo") == "fifo" else 1
    return max(1, min(full, run.planned))


def answers(run: Run) -> list[Answer]:
    """Return the answers: the primary measure first, by classifier, then the other."""
    both = arms(run)
    primary = both and primary_measure(both.loop)
    if both is None or primary is None:
        return []
    measures = [ALIGNMENT, RANK] if primary == ALIGNMENT else [RANK]
    asked = [
        one
        for measure in measures
        for name in both.loop.right
        for one in _asked(both, name, measure, settings(run).smallest, measure == primary)
    ]
    family = [one for one in asked if one.primary]
    decided = iter(questions.decide([(one.change, one.margin) for one in family]))
    return [
        _answer(one, next(decided), len(family))
        if one.primary
        else _answer(one, questions.decide([(one.change, one.margin)])[0], 1)
        for one in asked
    ]


def _asked(both: Arms, name: str, measure: str, smallest: float, primary: bool) -> Iterator[Asked]:
    loop, window = both.loop.gap(name, measure), both.window
    if both.without and name in both.without.right and window.any():
        first, last = (int(g) for g in np.flatnonzero(window)[[0, -1]])
        cut, other = (_cut(gap, len(window)) for gap in (loop, both.without.gap(name, measure)))
        change = questions.effect(cut, other, window)
        yield Asked(name, EFFECT, measure, change, smallest, (first, last), primary)
        if last > first:
            change, margin = questions.trend(cut, other, window), smallest / (last - first)
            yield Asked(name, TREND, measure, change, margin, (first, last), primary)
    if last := loop.value.shape[1] - 1:
        change = questions.slope(loop)
        yield Asked(name, SLOPE, measure, change, smallest / last, (0, last), False)


def _cut(gap: Gap, num: int) -> Gap:
    return Gap(gap.value[:, :num], gap.contribution[:, :num], gap.stratum)


def _answer(asked: Asked, verdict: Verdict, num_tests: int) -> Answer:
    detectable = asked.change.smallest_detectable(num_tests)
    seeds, images = questions.needed(asked.change, asked.margin, num_tests)
    return Answer(asked, verdict, detectable, seeds, images)


def width(run: Run) -> float | None:
    """Return how wide the widest interval of EFFECT on the primary measure is, uncorrected.

    None where a classifier has none yet; 0 where there is no such measure or arm to wait for.
    """
    widths = []
    for asked in (answer.asked for answer in answers(run)):
        if asked.primary and asked.question == EFFECT:
            wide = asked.change.width()
            same = wide is None and asked.change.num_seeds > 1  # neither seeds nor images differ
            widths.append(0.0 if same else wide)
    return None if None in widths else max(widths, default=0.0)


def accuracies(run: Run) -> list[Accuracy]:
    """Return what became of each classifier's accuracy; nothing before generation 1."""
    both, found = arms(run), []
    if both is None:
        return []
    for name in both.loop.right:
        loop = both.loop.gap(name, "accuracy")
        last = loop.value.shape[1] - 1
        ends = loop.value[:, [0, last]]
        ends = ends[np.isfinite(ends).all(axis=1)]  # seeds that `since` is over
        first, end = (statistics.estimate(x.tolist()).mean for x in ends.T)
        effect = None
        if both.without and name in both.without.right and both.window.any():
            without = both.without.gap(name, "accuracy")
            num = len(both.window)
            effect = questions.effect(_cut(loop, num), _cut(without, num), both.window)
        if last and first is not None and end is not None:
            found.append(Accuracy(name, first, end, last, questions.since_start(loop), effect))
    return found

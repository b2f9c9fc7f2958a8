"""Does eq. (6) predict? It is fitted to the first generations of each run and predicts the others, beside two baselines.

The baselines are no change, and a constant factor for each classifier and data set, fitted to the same generations. All
three predict log B(t + 1) one step ahead, from the B(t), q and u that were measured.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxloop import statistics
from jaxloop.analysis.equation6 import conjecture
from jaxloop.analysis.equation6.conjecture import Broken, Step
from jaxloop.statistics import CANNOT_TELL, Estimate

FITTED = 2 / 3
CONJECTURE, NO_CHANGE, CONSTANT = "the conjecture", "no change", "a constant factor"
NOTHING = Estimate(None, None, 0, 0)


class Judgement(NamedTuple):
    """One-step predictions of the last generations, by fits to the first ones, from measured q, u and B(t).

    scores: {CONJECTURE, NO_CHANGE, CONSTANT: root mean squared error of log B(t+1)}, empty if nothing could be judged.
    rival: the better of the two baselines on the held-out steps, so that it is the harder one to beat.  difference: of squared errors, conjecture - rival, a mean over clusters.
    verdict: "predicts better than ...", "predicts worse than ..." or "cannot tell (why)".
    """

    num_fitted: int
    num_held_out: int
    scores: dict[str, float]
    rival: str
    difference: Estimate
    verdict: str


def judge(steps: Sequence[Step], datasets: Sequence[str], fitted: float = FITTED) -> Judgement:
    """Fits to the first `fitted` of each run's generations, rounded up, and scores on the others.

    The interval of the difference is a t-interval over clusters, given the fits: those are made once, not once a cluster.
    """
    early, late = _split(steps, fitted)
    constants = _constants(early)
    late = [step for step in late if (step.architecture, step.dataset) in constants]
    found = (
        conjecture.fit(early, datasets)
        if late
        else Broken("no generation to hold out" if early else "no step")
    )
    if isinstance(found, Broken) or not found.has_slope:
        why = getattr(
            found, "reason", "without delta_Q and delta_U the conjecture has nothing that moves"
        )
        return Judgement(len(early), len(late), {}, "", NOTHING, f"{CANNOT_TELL} ({why})")
    baselines = {
        NO_CHANGE: _squared_errors(late, lambda step: 1),
        CONSTANT: _squared_errors(late, lambda step: constants[step.architecture, step.dataset]),
    }
    scores = {name: _score(errors) for name, errors in baselines.items()}
    rival = min(scores, key=scores.get)
    if wrong := sum(conjecture.factor(found, step) <= 0 for step in late):
        verdict = (
            f"predicts worse than {rival}: a bias of 0 or less in {wrong} of {len(late)} steps"
        )
        return Judgement(len(early), len(late), scores, rival, NOTHING, verdict)
    errors = _squared_errors(late, lambda step: conjecture.factor(found, step))
    difference = statistics.estimate(
        [float(np.mean(errors[c]) - np.mean(baselines[rival][c])) for c in errors]
    )
    scores = {CONJECTURE: _score(errors)} | scores
    return Judgement(len(early), len(late), scores, rival, difference, _verdict(difference, rival))


def _constants(steps: Sequence[Step]) -> dict[tuple[str, str], float]:
    """{(architecture, data set): factor}, the least-squares fit of a factor that never changes."""
    ratios: dict[tuple[str, str], list[float]] = {}
    for step in steps:
        ratios.setdefault((step.architecture, step.dataset), []).append(step.log_ratio)
    return {key: math.exp(np.mean(values)) for key, values in ratios.items()}


def _squared_errors(
    steps: Sequence[Step], factor: Callable[[Step], float]
) -> dict[tuple[int, int], list[float]]:
    """{cluster: squared errors of log B(t + 1)}."""
    errors: dict[tuple[int, int], list[float]] = {}
    for step in steps:
        errors.setdefault(step.cluster, []).append((math.log(factor(step)) - step.log_ratio) ** 2)
    return errors


def _split(all_steps: Sequence[Step], fitted: float) -> tuple[list[Step], list[Step]]:
    """Steps of the first share of each run's generations, and of the rest."""
    generations: dict[int, set[int]] = {}
    for step in all_steps:
        generations.setdefault(step.cluster[0], set()).add(step.generation)
    early = {
        run: sorted(found)[: math.ceil(fitted * len(found) - 1e-9)]
        for run, found in generations.items()
    }
    is_early = [step.generation in early[step.cluster[0]] for step in all_steps]
    return (
        [step for step, first in zip(all_steps, is_early, strict=True) if first],
        [step for step, first in zip(all_steps, is_early, strict=True) if not first],
    )


def _score(errors: dict[tuple[int, int], list[float]]) -> float:
    """Every cluster weighs the same, as in the test of the difference."""
    return math.sqrt(np.mean([np.mean(own) for own in errors.values()]))


def _verdict(difference: Estimate, rival: str) -> str:
    if difference.low is None:
        return statistics.untested(difference)
    if difference.high < 0:
        return f"predicts better than {rival}"
    return f"predicts worse than {rival}" if difference.low > 0 else CANNOT_TELL

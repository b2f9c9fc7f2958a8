"""Does eq. (6) predict? It is fitted to the first generations of each run and predicts the others.

Beside it stand two baselines: no change, and a constant factor for each classifier and data set,
fitted to the same generations. All three predict log B(t + 1) one step ahead, from the B(t), q and
u that were measured.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis.equation6 import conjecture
from jaxloop.analysis.equation6.conjecture import Broken, Step
from jaxloop.statistics import CANNOT_TELL, Estimate

FITTED = 2 / 3
CONJECTURE, NO_CHANGE, CONSTANT = "the conjecture", "no change", "a constant factor"
NOTHING = Estimate(None, None, 0, 0)


class Judgement(NamedTuple):
    """One-step predictions of the last generations, by fits to the first ones.

    scores: {CONJECTURE, NO_CHANGE, CONSTANT: root mean squared error of log B(t+1)}, empty if
      nothing could be judged.
    rival: the better of the two baselines on the held-out steps, so that it is harder to beat.
    difference: of squared errors, conjecture - rival, a mean over clusters.
    verdict: "predicts better than ...", "predicts worse than ..." or "cannot tell (why)".
    """

    num_fitted: int
    num_held_out: int
    scores: dict[str, float]
    rival: str
    difference: Estimate
    verdict: str


def assess(steps: Sequence[Step], datasets: Sequence[str], fitted: float = FITTED) -> Judgement:
    """Fit to the first `fitted` of each run's generations, rounded up, and score on the others.

    The interval of the difference is a t-interval over clusters, given the fits: those are made
    once, not once a cluster.
    """
    early, late = _split(steps, fitted)
    ratios = pd.DataFrame(early, columns=Step._fields)
    constants = ratios.groupby(["architecture", "dataset"]).log_ratio.mean().to_dict()
    late = [step for step in late if (step.architecture, step.dataset) in constants]
    nums, no_step = (len(early), len(late)), "no generation to hold out" if early else "no step"
    fit = conjecture.fit(early, datasets) if late else Broken(no_step)
    if isinstance(fit, Broken) or not fit.has_slope:
        constant = "without delta_Q and delta_U the conjecture has nothing that moves"
        reason = fit.reason if isinstance(fit, Broken) else constant
        return Judgement(*nums, {}, "", NOTHING, f"{CANNOT_TELL} ({reason})")
    constant = [constants[step.architecture, step.dataset] for step in late]
    errors = {NO_CHANGE: _errors(late, np.zeros(len(late))), CONSTANT: _errors(late, constant)}
    # Every cluster weighs the same, as in the test of the difference.
    scores = {name: math.sqrt(by_cluster.mean()) for name, by_cluster in errors.items()}
    rival = min(scores, key=scores.__getitem__)
    factors = np.array([conjecture.factor(fit, step) for step in late])
    if wrong := int((factors <= 0).sum()):
        verdict = (
            f"predicts worse than {rival}: a bias of 0 or less in {wrong} of {len(late)} steps"
        )
        return Judgement(*nums, scores, rival, NOTHING, verdict)
    by_cluster = _errors(late, np.log(factors))
    difference = statistics.estimate((by_cluster - errors[rival]).tolist())
    scores = {CONJECTURE: math.sqrt(by_cluster.mean())} | scores
    return Judgement(*nums, scores, rival, difference, _verdict(difference, rival))


def _errors(steps: Sequence[Step], log_factors: Sequence[float] | np.ndarray) -> pd.Series:
    """Mean squared error of log B(t + 1) by cluster."""
    errors = pd.Series(log_factors) - [step.log_ratio for step in steps]
    runs, seeds = zip(*(step.cluster for step in steps), strict=True)
    return pd.Series((errors**2).groupby([list(runs), list(seeds)]).mean())


def _split(steps: Sequence[Step], fitted: float) -> tuple[list[Step], list[Step]]:
    """Steps of the first share of each run's generations, and of the rest."""
    generations: dict[int, set[int]] = {}
    for step in steps:
        generations.setdefault(step.cluster[0], set()).add(step.generation)
    first = {
        run: sorted(ts)[math.ceil(fitted * len(ts) - 1e-9) - 1] for run, ts in generations.items()
    }
    early = [step for step in steps if step.generation <= first[step.cluster[0]]]
    return early, [step for step in steps if step.generation > first[step.cluster[0]]]


def _verdict(difference: Estimate, rival: str) -> str:
    if difference.low is None or difference.high is None:
        return statistics.untested(difference)
    if difference.high < 0:
        return f"predicts better than {rival}"
    return f"predicts worse than {rival}" if difference.low > 0 else CANNOT_TELL

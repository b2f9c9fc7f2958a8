"""Eq. (6) estimated from records: how does bias move, and does the conjecture predict it?

What is fitted, and what cannot be told apart: `conjecture`. How q and u are read off: `steps`.

Intervals are 95 % jackknife intervals that leave out one cluster at a time, with clusters - 1
degrees of freedom. A cluster is one seed of one run: a seed's generations and classifiers depend on
each other. A seed that two runs share counts as two, although they may start from the same numbers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import labels
from jaxloop.analysis.equation6 import conjecture
from jaxloop.analysis.equation6.conjecture import Fit, Q, U, delta, gamma
from jaxloop.analysis.equation6.steps import Reading, read
from jaxloop.analysis.measures import Bias
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import CANNOT_TELL, Estimate

FITTED = 2 / 3  # of each run's generations, rounded up
CONJECTURE, NO_CHANGE, CONSTANT = "the conjecture", "no change", "a constant factor"


class Judgement(NamedTuple):
    """Predictions of log B(t + 1) one step ahead, on the generations that no fit has seen.

    scores: {CONJECTURE, NO_CHANGE, CONSTANT: root mean squared error}, empty if there is none.
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


class Dynamics(NamedTuple):
    """What the steps say about eq. (6) for one kind of bias. NaN: there is no such value.

    datasets: labels, the first of which fixes the gauge.  num_clusters: (run, seed) pairs.
    parameters: every gamma, every delta_D, delta_Q, delta_U: "name", "value", "low" and "high" of
      its interval, "reason" (why there is no value or no interval, or "").
    factors: A_t of a classifier in a run from t to t + 1, at the seeds' mean q and u: "run" (its
      label), "architecture", "generation" (t), "q", "u", "value" (> 1: bias grows), "low", "high".
    """

    bias: Bias
    datasets: list[str]
    reading: Reading
    parameters: pd.DataFrame
    factors: pd.DataFrame
    judgement: Judgement
    num_clusters: int


@pd.option_context("mode.string_storage", "python")  # names may hold bytes that Arrow refuses
def estimate(runs: Sequence[Run], bias: Bias) -> Dynamics:
    """Fit eq. (6) to all steps of all runs (one or more), and judge it on the last generations."""
    reading = read(runs, bias)
    datasets = reading.steps.dataset.unique().tolist()
    fits = conjecture.fits(reading.steps, datasets)
    parameters, factors = _parameters(reading, datasets, fits), _factors(reading.steps, fits)
    factors["run"] = factors.run.map(dict(enumerate(labels.labels(runs))))
    num_clusters = reading.steps.groupby(["run", "seed"]).ngroups
    judged = judgement(reading.steps, datasets)
    return Dynamics(bias, datasets, reading, parameters, factors, judged, num_clusters)


def judgement(steps: pd.DataFrame, datasets: Sequence[str]) -> Judgement:
    """Fit to the first FITTED of each run's generations, and predict the others.

    From the B(t), q and u that were measured. Beside the conjecture stand two baselines: no change,
    and a constant factor for each classifier and data set, fitted to the same generations. The
    interval of the difference is a t-interval over clusters, given the fits.
    """
    last_fitted = steps.groupby("run").generation.transform(
        lambda ts: np.unique(ts)[math.ceil(FITTED * ts.nunique() - 1e-9) - 1]
    )
    is_late, kind = steps.generation > last_fitted, ["architecture", "dataset"]
    early, late = steps.loc[~is_late], steps.loc[is_late]
    constants = early.groupby(kind).log_ratio.mean().rename("constant")
    late = late.join(constants, on=kind, how="inner")
    judged = Judgement(len(early), len(late), {}, "", statistics.estimate([]), "")
    fit = conjecture.fit(early, datasets)
    if early.empty or late.empty:
        fit = "no step" if early.empty else "no generation to hold out"
    elif isinstance(fit, Fit) and not fit.centre:
        fit = "without delta_Q and delta_U the conjecture has nothing that moves"
    if isinstance(fit, str):
        return judged._replace(verdict=f"{CANNOT_TELL} ({fit})")
    factors = conjecture.factor(fit, late)
    num_wrong = np.count_nonzero(factors <= 0)
    predictions = {} if num_wrong else {CONJECTURE: np.log(factors)}
    predictions |= {NO_CHANGE: 0.0, CONSTANT: late.constant}
    errors = pd.DataFrame(predictions, late.index).sub(late.log_ratio, axis=0) ** 2
    # Every cluster weighs the same, as in the test of the difference.
    by_cluster = pd.DataFrame(errors.groupby([late.run, late.seed]).mean())
    scores = {name: math.sqrt(np.mean(by_cluster[name])) for name in predictions}
    rival = min((NO_CHANGE, CONSTANT), key=scores.__getitem__)
    judged = judged._replace(scores=scores, rival=rival)
    if num_wrong:
        wrong = f"a bias of 0 or less in {num_wrong} of {len(late)} steps"
        return judged._replace(verdict=f"predicts worse than {rival}: {wrong}")
    difference = statistics.estimate((by_cluster[CONJECTURE] - by_cluster[rival]).tolist())
    family = [(difference, statistics.p_value(difference))]
    words = f"predicts worse than {rival}", f"predicts better than {rival}"
    [decision] = statistics.decide(family, *words)
    return judged._replace(difference=difference, verdict=decision.word)


def _parameters(reading: Reading, datasets: list[str], fits: list[Fit | str]) -> pd.DataFrame:
    names = [*map(gamma, reading.steps.architecture.unique()), *map(delta, datasets), Q, U]
    fit, *replicates = fits
    if isinstance(fit, str):
        reasons = dict.fromkeys(names, fit)
    else:
        reasons = fit.reasons | ({U: "u is unknown"} if reading.unknown_u else {})
        if not conjecture.has_clear_base(fit, *replicates):
            unclear = "the factor at q = 1 and u = 0, to which all parameters are relative"
            reasons = dict.fromkeys(names, f"{unclear}, cannot be told from 0") | reasons
    values, table = [conjecture.parameters(each) for each in fits], []
    for name in names:
        value, *others = [math.nan if name in reasons else v.get(name, math.nan) for v in values]
        if name.startswith("gamma"):  # 1 - gamma is positive
            ends = conjecture.jackknife_log(1 - value, *(1 - other for other in others))
            low, high = 1 - ends[1], 1 - ends[0]
        else:
            low, high = conjecture.jackknife(value, *others)
        reason = reasons.get(name) or (_why_no_interval(others) if math.isnan(low) else "")
        table.append((name, value, low, high, reason))
    return pd.DataFrame(table, columns=["name", "value", "low", "high", "reason"])


def _why_no_interval(replicates: list[float]) -> str:
    if len(replicates) < 2:
        return "no interval: one seed of one run"
    if np.all(np.isfinite(replicates)):
        return "no interval: without any one of the seeds it is the same"
    return "no interval: without one of the seeds it cannot be estimated"


def _factors(steps: pd.DataFrame, fits: list[Fit | str]) -> pd.DataFrame:
    steps = steps.iloc[:0] if isinstance(fits[0], str) else steps
    alike = steps.groupby(["run", "architecture", "generation", "dataset"], sort=False)
    factors = alike[["q", "u"]].agg(lambda column: column.to_numpy().mean()).reset_index()
    amplification = np.array([conjecture.factor(fit, factors) for fit in fits])
    factors["value"] = amplification[0]
    ends = [conjecture.jackknife_log(*of_step) for of_step in amplification.T]
    factors[["low", "high"]] = np.reshape(ends, (-1, 2))
    return factors.drop(columns="dataset")


def rows_with_interval(frame: pd.DataFrame) -> list[list]:
    """Return rows for `frames.for_people`, whose last two cells, low and high, are one."""
    return [[*row[:-2], row[-2:]] for row in frame.itertuples(index=False, name=None)]

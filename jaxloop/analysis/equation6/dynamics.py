"""Does eq. (6) predict the bias of seeds that it was not fitted to better than simple rules do?

What is fitted: `conjecture`. How q and u are read off: `reading`.

A cluster is one seed of a run; of runs that share generation 0 (`contrasts.are_paired`) it is one
seed of all of them. Each is left out once, the parameters are fitted to the others, and each
generation of the cluster is predicted from its generations before it, and its q and u. Eq. (6) is
said to predict better where its squared errors are smaller than those of all RULES: one-sided
t-tests over clusters on the logarithm of their ratio, the largest p of them, corrected by Holm for
the kinds of bias. Only then are its parameters told, with 95 % jackknife intervals over the same
clusters. The rules:

- NO_CHANGE, MEAN: the last value, the mean of those so far.
- ZERO: where there is no bias, what shrinks predicts better than a mean.
- CONSTANT: a factor for each classifier and data set.  STEP: in generation 1, the first with
  generated images, another one.  COURSE: the mean of the others at each generation. Without these
  two, a q or u that drifts would pass for the cause of a step.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import frames
from jaxloop.analysis.equation6 import conjecture
from jaxloop.analysis.equation6.conjecture import Curves, Design
from jaxloop.analysis.equation6.reading import Reading, read
from jaxloop.analysis.measures import BIASES, Bias
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import CONFIDENCE, NEGLIGIBLE

CONJECTURE = "eq. (6)"
NO_CHANGE, MEAN, ZERO = "no change", "the mean so far", "no bias"
CONSTANT, STEP = "a constant factor", "a step and a constant factor"
COURSE = "the course of the other seeds"
RULES = (NO_CHANGE, MEAN, ZERO, CONSTANT, STEP, COURSE)
FEWEST = 3  # generations after generation 0: two factors that may differ, and one to predict


class Judgement(NamedTuple):
    """What one kind of bias says about eq. (6).

    why_not: why nothing can be estimated, or ""; then all else is empty.
    scores: {CONJECTURE and RULES: root mean squared error of the predictions, all clusters alike}.
    p: of "it predicts better than all rules"; None without a spread over clusters.
    parameters: "name", "value", "low", "high"; NaN: no interval, since a cluster alone has it.
    left_out: {name of a parameter: why it cannot be told}.
    """

    why_not: str
    scores: dict[str, float]
    p: float | None
    parameters: pd.DataFrame
    left_out: dict[str, str]

    @property
    def rival(self) -> str:
        """The best of RULES."""
        return min(RULES, key=self.scores.__getitem__)


class Dynamics(NamedTuple):
    """A judgement, with p corrected for all kinds of bias, and what it rests on."""

    bias: Bias
    judgement: Judgement
    reading: Reading

    @property
    def is_better(self) -> bool:
        return self.judgement.p is not None and self.judgement.p < 1 - CONFIDENCE


@pd.option_context("mode.string_storage", "python")  # names may hold bytes that Arrow refuses
def estimate(runs: Sequence[Run], biases: Sequence[Bias] = BIASES) -> list[Dynamics]:
    """Judge eq. (6) by all runs (one or more) together, for each kind of bias."""
    readings = [read(runs, bias) for bias in biases]
    judged = [judge(reading.curves) for reading in readings]
    adjusted = statistics.holm([j.p for j in judged])
    judged = [j._replace(p=p) for j, p in zip(judged, adjusted, strict=True)]
    return [Dynamics(*each) for each in zip(biases, judged, readings, strict=True)]


def judge(curves: Curves) -> Judgement:
    """Judge eq. (6) by one kind of bias."""
    empty = pd.DataFrame(columns=["name", "value", "low", "high"])
    nothing = Judgement("", {}, None, empty, {})
    clusters = np.unique(curves.about.cluster)
    lengths = np.isfinite(curves.bias).sum(axis=1)
    if not len(lengths):
        return nothing._replace(why_not="no generation has both a bias and a q")
    if lengths.max() <= FEWEST:
        return nothing._replace(why_not=f"fewer than {FEWEST} generations after generation 0")
    if len(clusters) < 2:
        return nothing._replace(why_not="there is one seed")
    design = conjecture.design(curves)
    if not design.moves:
        reasons = "; ".join(reason for name, reason in design.reasons.items() if "[" not in name)
        return nothing._replace(why_not=reasons)
    if lengths.sum() - len(lengths) <= len(design.names):
        return nothing._replace(why_not=f"too few values for {len(design.names)} parameters")
    everything = conjecture.fit(design, curves.bias, np.full(len(lengths), True))
    bracket = 1 + design.columns[..., design.num_scales :] @ everything[design.num_scales :]
    if bracket.min() <= conjecture.FLOOR:
        return nothing._replace(why_not="the factor that fits best is not positive")
    without = np.array([
        conjecture.fit(design, curves.bias, (curves.about.cluster != c).to_numpy(), everything)
        for c in clusters
    ])  # fmt: skip
    errors = _errors(curves, design, without)
    scores = {name: math.sqrt(np.mean(squares)) for name, squares in errors.items()}
    parameters = _parameters(design, everything, without)
    return Judgement("", scores, _p_better(errors), parameters, design.reasons)


def _errors(curves: Curves, design: Design, without: np.ndarray) -> dict[str, np.ndarray]:
    """Return {CONJECTURE and RULES: mean squared error by cluster} of the same predictions.

    without: parameters [K P] that were fitted to all but each of the clusters.
    """
    bias, cluster = curves.bias, curves.about.cluster.to_numpy()
    kind = curves.about.groupby(["architecture", "dataset"]).ngroup().to_numpy()
    known = np.isfinite(bias)
    fitted = {CONJECTURE: design, CONSTANT: design.constant(), STEP: design.step()}
    shapes = {name: np.full(bias.shape, np.nan) for name in (*fitted, COURSE)}
    for parameters, left_out in zip(without, np.unique(cluster), strict=True):
        rows = cluster == left_out
        for name, each in fitted.items():
            best = parameters if each is design else conjecture.fit(each, bias, ~rows)
            shapes[name][rows] = conjecture.growth(each, best, known)[rows]
        means = pd.DataFrame(pd.DataFrame(bias[~rows]).groupby(kind[~rows]).mean())
        shapes[COURSE][rows] = means.reindex(kind[rows]).to_numpy()
    shapes[MEAN] = np.ones(bias.shape)
    predicted = {name: conjecture.predictions(shape, bias) for name, shape in shapes.items()}
    predicted[ZERO] = np.zeros(bias[:, 1:].shape)
    predicted[NO_CHANGE] = pd.DataFrame(bias).ffill(axis=1).to_numpy()[:, :-1]
    squares = np.stack([(predicted[name] - bias[:, 1:]) ** 2 for name in (CONJECTURE, *RULES)])
    has_all = np.isfinite(squares).all(axis=0)
    used = [rows for c in np.unique(cluster) if (rows := has_all & (cluster == c)[:, None]).any()]
    means = np.array([squares[:, rows].mean(axis=1) for rows in used]).T
    return dict(zip((CONJECTURE, *RULES), means, strict=True))


def _p_better(errors: dict[str, np.ndarray]) -> float | None:
    """Return p of "its errors are smaller than those of all rules"; None: no test can be made."""
    logs, p_values = {n: np.log(np.maximum(e, NEGLIGIBLE**2)) for n, e in errors.items()}, []
    for rule in RULES:
        ratio = statistics.estimate((logs[CONJECTURE] - logs[rule]).tolist())
        p = statistics.p_value(ratio)
        if ratio.mean is None or p is None:
            return None
        p_values.append(p / 2 if ratio.mean < 0 else 1 - p / 2)
    return max(p_values)


def _parameters(design: Design, everything: np.ndarray, without: np.ndarray) -> pd.DataFrame:
    """Return the parameters, with intervals of the jackknife's pseudo-values."""
    fits, num = np.vstack([everything, without]), len(without)
    fits[:, : design.num_scales] = 1 - np.exp(fits[:, : design.num_scales])
    rows = []
    for name, (value, *others) in zip(design.names, fits.T, strict=True):
        spread = statistics.estimate([num * value - (num - 1) * other for other in others])
        half = (spread.half_width if spread.num == num else None) or math.nan
        rows.append((name, value, value - half, value + half))
    return pd.DataFrame(rows, columns=["name", "value", "low", "high"])


def table(d: Dynamics) -> pd.DataFrame:
    """Return the parameters for people."""
    caption = f"Equation (6) for {d.bias.title}: least squares, 95% jackknife interval over seeds"
    cells = d.judgement.parameters.itertuples(index=False, name=None)
    rows = [[*row, None if math.isnan(low) else (low, high)] for *row, low, high in cells]
    return frames.for_people(caption, ["parameter", "value", "95% interval"], rows)

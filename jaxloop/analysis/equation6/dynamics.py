"""The paper's conjecture, eq. (6), estimated from records: how does bias move, does it predict?

What is fitted, in which gauge, and what cannot be told apart: `conjecture`. How q and u are read
off the records, and of which generation they are: `steps`. By default the step from t to t + 1
takes them of generation t + 1, on whose images the classifiers of t + 1 are trained; with `lag` of
generation t, the paper's index read literally.

Intervals are 95 % jackknife intervals that leave out one cluster at a time, with clusters - 1
degrees of freedom. A cluster is one seed of one run: a seed's generations and classifiers depend on
each other. A seed that two runs share counts as two, although they may start from the same numbers.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis import frames, labels, measures
from jaxloop.analysis.equation6 import conjecture, judgement, steps
from jaxloop.analysis.equation6.conjecture import Broken, Fit, Q, Step, U
from jaxloop.analysis.equation6.judgement import FITTED, Judgement
from jaxloop.analysis.measures import Bias
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.shares import REFERENCES
from jaxloop.statistics import CANNOT_TELL


class Parameter(NamedTuple):
    """value: by least squares, None if it cannot be told.  low, high: of 95 %, None if none.

    reason: why there is no value, or no interval; "" if there are both.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    reason: str


class Factor(NamedTuple):
    """A_t of a classifier in a run from t to t + 1, at the seeds' mean q and u (None: unknown).

    value > 1: bias grows.  low, high: of 95 %, None if none.
    """

    run: str
    architecture: str
    generation: int
    q: float
    u: float | None
    value: float
    low: float | None
    high: float | None


class Dynamics(NamedTuple):
    """What the steps say about eq. (6) for one kind of bias.

    datasets: labels, the first of which fixes the gauge.  num_clusters: (run, seed) pairs.
    parameters: every gamma, every delta_D (the first is the gauge), delta_Q, delta_U.
    factors: A_t.  left_out: {why: number of steps}.
    """

    bias: Bias
    datasets: list[str]
    parameters: list[Parameter]
    factors: list[Factor]
    judgement: Judgement
    sentences: list[str]
    num_steps: int
    num_clusters: int
    left_out: dict[str, int]

    @property
    def identifiable(self) -> dict[str, str]:
        """{parameter: "", or why it cannot be told, alone or at all}."""
        one = len(self.datasets) == 1
        joint = "not told apart from delta_D: relative to delta_D = 0" if one else ""
        return {
            p.name: p.reason if p.value is None else joint * p.name.startswith("gamma")
            for p in self.parameters
        }


def estimate(
    runs: Sequence[Run],
    bias: Bias,
    quality: str = "both",
    against: str = "real",
    lag: bool = False,
    fitted: float = FITTED,
) -> Dynamics:
    """Fit eq. (6) to all steps of all runs, and judge it on the last generations.

    Args:
      runs: one or more.
      bias: one of `measures.BIASES`: B_M. Steps from or to a bias <= 0 are left out and counted.
      quality: q_t is label agreement / (1 + FD / V) ("both") or agreement alone ("agreement").
      against: u_t compares subgroup shares with those of the "real" training images or "uniform".
      lag: whether the step from t to t + 1 takes q and u of generation t instead of t + 1.
      fitted: share in (0, 1) of each run's generations, rounded up, that the judgement fits to.

    Raises ValueError on an argument that is none of these.
    """
    _check(runs, bias, quality, against, lag, fitted)
    reading = steps.read(runs, bias, quality, against, lag)
    datasets = list(dict.fromkeys(step.dataset for step in reading.steps))
    broken = Broken("there is no step to fit")
    fit = conjecture.fit(reading.steps, datasets) if reading.steps else broken
    replicates = conjecture.without_each_cluster(reading.steps, datasets)
    parameters = _parameters(reading, datasets, fit, replicates)
    factors = _factors(reading.steps, labels.labels(runs), fit, replicates)
    judged = judgement.assess(reading.steps, datasets, fitted)
    num = len(reading.steps), len({step.cluster for step in reading.steps})
    result = Dynamics(bias, datasets, parameters, factors, judged, [], *num, reading.left_out)
    return result._replace(sentences=_sentences(result, reading, lag))


def _check(runs, bias, quality, against, lag, fitted) -> None:
    all_runs = len(runs) > 0 and all(isinstance(run, Run) for run in runs)
    for name, value, right, allowed in (
        ("runs", runs, all_runs, "one or more Run"),
        ("bias", bias, bias in measures.BIASES, f"one of {measures.BIASES}"),
        ("quality", quality, quality in steps.QUALITIES, f"one of {steps.QUALITIES}"),
        ("against", against, against in REFERENCES, f"one of {REFERENCES}"),
        ("lag", lag, isinstance(lag, bool), "a boolean"),
        ("fitted", fitted, 0 < fitted < 1, "a number in (0, 1)"),
    ):
        if not right:
            raise ValueError(f"{name} must be {allowed}, not {value!r}")


def _parameters(
    reading: steps.Reading, datasets: list[str], fit: Fit | Broken, replicates: list[Fit | Broken]
) -> list[Parameter]:
    architectures = dict.fromkeys(step.architecture for step in reading.steps)
    names = [*map(conjecture.gamma, architectures), *map(conjecture.delta, datasets), Q, U]
    if isinstance(fit, Broken):
        return [Parameter(name, None, None, None, fit.reason) for name in names]
    reasons = fit.reasons | ({U: "u is unknown"} if reading.unknown_u else {})
    if unclear := conjecture.unclear_base(fit, replicates):
        reasons = dict.fromkeys(names, unclear) | reasons
    values, others = conjecture.parameters(fit), list(map(conjecture.parameters, replicates))
    return [
        Parameter(name, None, None, None, reasons[name])
        if name in reasons
        else _parameter(name, values[name], [other.get(name, math.nan) for other in others])
        for name in names
    ]


def _parameter(name: str, value: float, replicates: list[float]) -> Parameter:
    if name.startswith("gamma"):  # 1 - gamma is positive
        complements = [1 - replicate for replicate in replicates]
        _, *ends = conjecture.jackknife_log(1 - value, complements)
        low, high = (None if end is None else 1 - end for end in ends[::-1])
    else:
        _, low, high = conjecture.jackknife(value, replicates)
    return Parameter(name, value, low, high, _no_interval(replicates) if low is None else "")


def _no_interval(replicates: list[float]) -> str:
    """Return why a parameter has none."""
    if len(replicates) < 2:
        return "no interval: one seed of one run"
    same = "any one of the seeds it is the same"
    broken = "one of the seeds it cannot be estimated"
    return f"no interval: without {same if np.all(np.isfinite(replicates)) else broken}"


def _factors(
    used: Sequence[Step], names: list[str], fit: Fit | Broken, replicates: Sequence[Fit | Broken]
) -> list[Factor]:
    if isinstance(fit, Broken):
        return []
    alike: dict[tuple, list[Step]] = defaultdict(list)
    for step in used:
        alike[step.cluster[0], step.architecture, step.generation].append(step)
    factors = []
    for (run, architecture, generation), group in alike.items():
        q, u = (
            None if None in values else float(np.mean(values))
            for values in zip(*(step[-2:] for step in group), strict=True)
        )
        middle = group[0]._replace(q=q, u=u)
        others = [conjecture.factor(replicate, middle) for replicate in replicates]
        value = conjecture.jackknife_log(conjecture.factor(fit, middle), others)
        factors.append(Factor(names[run], architecture, generation, middle.q, u, *value))
    return factors


def as_json(d: Dynamics) -> dict:
    """Return all of it in plain values; what does not exist is None."""
    gap = d.judgement.difference
    difference = {"value": gap.mean, "low": gap.low, "high": gap.high}
    return d._asdict() | d.bias.key.parameters | {
        "equation": "B(t+1) = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t) B(t)",
        "bias": d.bias.title, "complement": d.bias.complement, "metric": d.bias.metric,
        "parameters": [p._asdict() for p in d.parameters], "identifiable": d.identifiable,
        "factors": [f._asdict() for f in d.factors],
        "judgement": d.judgement._asdict() | {"difference": difference},
    }  # fmt: skip


def tables_of(d: Dynamics) -> list[pd.DataFrame]:
    """Return parameters, A_t by classifier and generation, and the judgement; no empty table."""
    title, j = d.bias.title, d.judgement
    # Why a parameter has no value is in the sentences.
    parameters = [[p.name, p.value, (p.low, p.high)] for p in d.parameters]
    factors = [[*f[:5], f.value, (f.low, f.high)] for f in d.factors]
    tables = [
        frames.for_people(
            f"Equation (6) for {title}: least squares, 95% jackknife interval over "
            f"{d.num_clusters} (run, seed) pairs",
            ["parameter", "value", "95% interval"], parameters,
        ),
        frames.for_people(
            f"Amplification A_t of {title}, from generation t to t + 1 (above 1: it grows), by "
            "eq. (6)",
            ["run", "classifier", "t", "q", "u", "A_t", "95% interval"], factors, 2,
        ),
        frames.for_people(
            f"Prediction of {title} one generation ahead, {j.num_held_out} steps held out of the "
            f"fit: {j.verdict}",
            ["predicted by", "root mean squared error of log bias"], j.scores.items(), digits=4,
        ),
    ]  # fmt: skip
    return [table for table in tables if len(table)]


def _sentences(d: Dynamics, reading: steps.Reading, lag: bool) -> list[str]:
    """What was seen; whether it predicts; what cannot be told; what it is based on."""
    images = "t" if lag else "t + 1, on whose images the classifiers of t + 1 are trained"
    left_out = "".join(f"; {num} left out: {why}" for why, num in d.left_out.items())
    return [
        *_growth(d),
        f"The conjecture: {judged(d.judgement)}",
        *_not_identified(d, reading),
        f"The step from generation t to t + 1 takes q and u of generation {images}.",
        *reading.remarks,
        f"{d.num_steps} steps of {d.num_clusters} clusters were used (a seed of a run is a "
        f"cluster; a seed that two runs share counts twice){left_out}.",
    ]


def _growth(d: Dynamics) -> Iterator[str]:
    if num := len(d.factors):
        grew = sum(f.low is not None and f.low > 1 for f in d.factors)
        shrank = sum(f.high is not None and f.high < 1 for f in d.factors)
        yield (
            f"By eq. (6) {d.bias.title} grows (A_t > 1) in {grew} of {num} steps of a classifier "
            f"and shrinks in {shrank}; in {num - grew - shrank} it cannot be told."
        )
    words = {Q: "worse", U: "more unbalanced"}
    for p in d.parameters:
        if p.name in words and p.low is not None and p.high is not None:
            sign = "more" if p.low > 0 else "less" if p.high < 0 else "more or less"
            says = f"bias grows {sign}, the {words[p.name]} the generated images are"
            unclear = p.low <= 0 <= p.high
            says = f"Whether {says}, cannot be told" if unclear else says.capitalize()
            yield f"{says}: {p.name} = {p.value:+.3f}, 95% interval [{p.low:+.3f}, {p.high:+.3f}]."


def judged(j: Judgement) -> str:
    """Return the judgement in a sentence or two."""
    if not j.scores:
        return f"whether the conjecture predicts: {j.verdict}."
    says = f"it {j.verdict}"
    if j.verdict.startswith(CANNOT_TELL):
        why = j.verdict.removeprefix(CANNOT_TELL)
        says = f"whether it predicts better or worse than {j.rival} cannot be told{why}"
    scores = ", ".join(f"{name} {score:.3f}" for name, score in j.scores.items())
    return (
        f"fitted to the first generations, {says}. Root mean squared error of log bias one "
        f"generation ahead, over {j.num_held_out} held-out steps: {scores}."
    )


def _not_identified(d: Dynamics, reading: steps.Reading) -> Iterator[str]:
    if not d.num_steps:
        return
    one = "; with one data set, gamma and delta_D cannot be told apart"
    yield (
        f"Only products are seen in eq. (6): delta_D of {d.datasets[0]} is set to 0, all else is "
        f"relative to it{one if len(d.datasets) == 1 else ''}."
    )
    known = {conjecture.delta(d.datasets[0]), *([U] if reading.unknown_u else [])}
    names = defaultdict(list)
    for p in d.parameters:
        if p.reason and p.name not in known:
            names[p.reason].append(p.name)
    yield from (f"{', '.join(group)}: {reason}." for reason, group in names.items())
    if runs := ", ".join(reading.unknown_u):
        unknown = "nobody knows the subgroups of generated images, and so no u"
        yield f"The fit goes without delta_U: in {runs} {unknown}."

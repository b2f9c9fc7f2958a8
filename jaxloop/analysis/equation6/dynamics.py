"""The paper's conjecture, eq. (6), estimated from the records of runs: does it say how bias moves, and does it predict?

What is fitted, in which gauge, and what cannot be told apart: `conjecture`. How q and u are read off the records, and of
which generation they are: `steps`. By default the step from t to t + 1 takes them of generation t + 1, on whose images
the classifiers of t + 1 are trained; with `lag` of generation t, the paper's index read literally.

Intervals are 95 % jackknife intervals that leave out one cluster at a time, with clusters - 1 degrees of freedom. A
cluster is one seed of one run: a seed's generations and classifiers depend on each other. A seed that two runs share
counts as two clusters, although they may start from the same numbers.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxloop.analysis import labels, measures
from jaxloop.analysis.equation6 import conjecture, judgement, steps
from jaxloop.analysis.equation6.conjecture import Broken, Fit, Q, Step, U
from jaxloop.analysis.equation6.judgement import FITTED, Judgement
from jaxloop.analysis.measures import Bias
from jaxloop.analysis.run_folder import Run
from jaxloop.report.tables import NO_VALUE, Table
from jaxloop.statistics import CANNOT_TELL


class Parameter(NamedTuple):
    """value: by least squares, None if it cannot be told.  low, high: of the 95 % interval, None if there is none.

    reason: why there is no value, or no interval; "" if there are both.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    reason: str


class Factor(NamedTuple):
    """A_t of a classifier in a run from generation t to t + 1, at the mean q and u of the run's seeds (u may be unknown).

    value > 1: bias grows.  low, high: of the 95 % interval, None if there is none.
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

    parameters: every gamma, every delta_D (the first is the gauge), delta_Q, delta_U.  factors: A_t.
    datasets: labels, the first of which fixes the gauge.  sentences: for a reader, in plain English.
    num_clusters: (run, seed) pairs.  left_out: {why: number of steps}.
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
        joint = (
            "" if len(self.datasets) > 1 else "not told apart from delta_D: relative to delta_D = 0"
        )
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
    """Fits eq. (6) to all steps of all runs, and judges it on the last generations.

    Args:
      runs: one or more.
      bias: one of `measures.BIASES`: B_M. Steps from or to a bias <= 0 have no logarithm: left out and counted.
      quality: q_t is label agreement / (1 + FD / V) ("both") or label agreement alone ("agreement").
      against: what u_t compares subgroup shares with: those of the "real" training images, or "uniform" ones.
      lag: whether the step from t to t + 1 takes q and u of generation t instead of t + 1.
      fitted: share of each run's generations that the judgement fits to, in (0, 1), rounded up; the rest are predicted.

    Raises:
      ValueError: an argument is none of these.
    """
    _check(runs, bias, quality, against, lag, fitted)
    reading = steps.read(runs, bias, quality, against, lag)
    datasets = list(dict.fromkeys(step.dataset for step in reading.steps))
    found = (
        conjecture.fit(reading.steps, datasets)
        if reading.steps
        else Broken("there is no step to fit")
    )
    replicates = conjecture.without_each_cluster(reading.steps, datasets)
    parameters = _parameters(reading, datasets, found, replicates)
    factors = _factors(reading.steps, labels.labels(runs), found, replicates)
    judged = judgement.judge(reading.steps, datasets, fitted)
    num = len(reading.steps), len({step.cluster for step in reading.steps})
    result = Dynamics(bias, datasets, parameters, factors, judged, [], *num, reading.left_out)
    return result._replace(sentences=_sentences(result, reading, lag))


def _check(runs, bias, quality, against, lag, fitted) -> None:
    allowed = {
        "runs": (
            runs,
            len(runs) > 0 and all(isinstance(run, Run) for run in runs),
            "one or more Run",
        ),
        "bias": (bias, bias in measures.BIASES, f"one of {measures.BIASES}"),
        "quality": (quality, quality in steps.QUALITIES, f"one of {steps.QUALITIES}"),
        "against": (against, against in steps.REFERENCES, f"one of {steps.REFERENCES}"),
        "lag": (lag, isinstance(lag, bool), "a boolean"),
        "fitted": (fitted, 0 < fitted < 1, "a number in (0, 1)"),
    }
    for name, (value, right, words) in allowed.items():
        if not right:
            raise ValueError(f"{name} must be {words}, not {value!r}")


def _parameters(
    reading: steps.Reading, datasets, found: Fit | Broken, replicates
) -> list[Parameter]:
    gammas = [
        conjecture.gamma(name)
        for name in dict.fromkeys(step.architecture for step in reading.steps)
    ]
    names = [*gammas, *map(conjecture.delta, datasets), Q, U]
    if isinstance(found, Broken):
        return [Parameter(name, None, None, None, found.reason) for name in names]
    reasons = dict(found.reasons)
    if reading.unknown_u:
        reasons[U] = "u is unknown"
    if unclear := conjecture.unclear_base(found, replicates):
        reasons |= {name: unclear for name in names if name not in reasons}
    values = conjecture.parameters(found)
    others = [{} if isinstance(fit, Broken) else conjecture.parameters(fit) for fit in replicates]
    return [
        Parameter(name, None, None, None, reasons[name])
        if name in reasons
        else _parameter(name, values[name], [other.get(name, math.nan) for other in others])
        for name in names
    ]


def _parameter(name: str, value: float, replicates: list[float]) -> Parameter:
    if name.startswith("gamma"):  # 1 - gamma is positive
        _, low, high = conjecture.jackknife_log(
            1 - value, [1 - replicate for replicate in replicates]
        )
        low, high = (None, None) if low is None else (1 - high, 1 - low)
    else:
        _, low, high = conjecture.jackknife(value, replicates)
    return Parameter(name, value, low, high, _no_interval(replicates) if low is None else "")


def _no_interval(replicates: list[float]) -> str:
    """Why a parameter has none."""
    if len(replicates) < 2:
        return "no interval: one seed of one run"
    if np.all(np.isfinite(replicates)):
        return "no interval: without any one of the seeds it is the same"
    return "no interval: without one of the seeds it cannot be estimated"


def _factors(
    used: Sequence[Step], names: list[str], found: Fit | Broken, replicates
) -> list[Factor]:
    if isinstance(found, Broken):
        return []
    together: dict[tuple, list[Step]] = {}
    for step in used:
        together.setdefault((step.cluster[0], step.architecture, step.generation), []).append(step)
    factors = []
    for (run, architecture, generation), alike in together.items():
        u = None if alike[0].u is None else float(np.mean([step.u for step in alike]))
        middle = alike[0]._replace(q=float(np.mean([step.q for step in alike])), u=u)
        others = [
            math.nan if isinstance(fit, Broken) else conjecture.factor(fit, middle)
            for fit in replicates
        ]
        value = conjecture.jackknife_log(conjecture.factor(found, middle), others)
        factors.append(Factor(names[run], architecture, generation, middle.q, u, *value))
    return factors


def as_json(d: Dynamics) -> dict:
    """All of it in plain values, for report.json; what does not exist is null."""
    j, gap = d.judgement, d.judgement.difference
    return {
        "equation": "B(t+1) = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t) B(t)",
        "bias": d.bias.title, "metric": d.bias.metric, "complement": d.bias.complement,
        "datasets": d.datasets,
        "parameters": [p._asdict() for p in d.parameters],
        "identifiable": d.identifiable,
        "factors": [f._asdict() for f in d.factors],
        "judgement": j._asdict() | {"difference": {"value": gap.mean, "low": gap.low, "high": gap.high}},
        "sentences": d.sentences,
        "num_steps": d.num_steps, "num_clusters": d.num_clusters, "left_out": d.left_out,
    }  # fmt: skip


def tables_of(d: Dynamics) -> list[Table]:
    """Parameters, A_t by classifier and generation, and the judgement, for the page; a table without a row is left out."""
    title, over = d.bias.title, f"{d.num_clusters} (run, seed) pairs"
    parameters = [
        [p.name, *_cells(p)] for p in d.parameters
    ]  # why one has no value: in the sentences
    factors = [
        [f.run, f.architecture, str(f.generation), f"{f.q:.3f}", NO_VALUE if f.u is None else f"{f.u:.3f}", *_cells(f)]
        for f in d.factors
    ]  # fmt: skip
    j = d.judgement
    scores = [[name, f"{score:.4f}"] for name, score in j.scores.items()]
    found = [
        Table(f"Equation (6) for {title}: least squares, 95% jackknife interval over {over}",
              ["parameter", "value", "95% interval"], parameters),
        Table(f"Amplification A_t of {title}, from generation t to t + 1 (above 1: it grows), by eq. (6)",
              ["run", "classifier", "t", "q", "u", "A_t", "95% interval"], factors, num_words=2),
        Table(f"Prediction of {title} one generation ahead, {j.num_held_out} steps held out of the fit: {j.verdict}",
              ["predicted by", "root mean squared error of log bias"], scores),
    ]  # fmt: skip
    return [table for table in found if table.rows]


def _cells(of: Parameter | Factor) -> list[str]:
    value = NO_VALUE if of.value is None else f"{of.value:.3f}"
    return [value, NO_VALUE if of.low is None else f"[{of.low:.3f}, {of.high:.3f}]"]


def _sentences(d: Dynamics, reading: steps.Reading, lag: bool) -> list[str]:
    """What was found; whether it predicts; what cannot be told; what it rests on."""
    images = "t" if lag else "t + 1, on whose images the classifiers of t + 1 are trained"
    left_out = "".join(f"; {num} left out: {why}" for why, num in d.left_out.items())
    return [
        *_found(d),
        f"The conjecture: {judged(d.judgement)}",
        *_not_told(d, reading),
        f"The step from generation t to t + 1 takes q and u of generation {images}.",
        *reading.remarks,
        f"{d.num_steps} steps of {d.num_clusters} clusters were used (a seed of a run is a cluster; a seed that two runs "
        f"share counts twice){left_out}.",
    ]


def _found(d: Dynamics) -> Iterator[str]:
    if d.factors:
        grew = sum(f.low is not None and f.low > 1 for f in d.factors)
        shrank = sum(f.high is not None and f.high < 1 for f in d.factors)
        rest = len(d.factors) - grew - shrank
        yield (
            f"By eq. (6) {d.bias.title} grows (A_t > 1) in {grew} of {len(d.factors)} steps of a classifier and shrinks in "
            f"{shrank}; in {rest} it cannot be told."
        )
    words = {
        Q: "the worse the generated images are",
        U: "the more unbalanced the generated images are",
    }
    for p in d.parameters:
        if p.name in words and p.low is not None:
            sign = "more" if p.low > 0 else "less" if p.high < 0 else "more or less"
            says = f"bias grows {sign}, {words[p.name]}"
            says = f"Whether {says}, cannot be told" if p.low <= 0 <= p.high else says.capitalize()
            yield f"{says}: {p.name} = {p.value:+.3f}, 95% interval [{p.low:+.3f}, {p.high:+.3f}]."


def judged(j: Judgement) -> str:
    """The judgement in a sentence or two."""
    if not j.scores:
        return f"whether the conjecture predicts: {j.verdict}."
    says = f"it {j.verdict}"
    if j.verdict.startswith(CANNOT_TELL):
        why = j.verdict.removeprefix(CANNOT_TELL)
        says = f"whether it predicts better or worse than {j.rival} cannot be told{why}"
    scores = ", ".join(f"{name} {score:.3f}" for name, score in j.scores.items())
    return (
        f"fitted to the first generations, {says}. Root mean squared error of log bias one generation "
        f"ahead, over {j.num_held_out} held-out steps: {scores}."
    )


def _not_told(d: Dynamics, reading: steps.Reading) -> Iterator[str]:
    if not d.num_steps:
        return
    one = (
        "; with one data set, gamma and delta_D cannot be told apart"
        if len(d.datasets) == 1
        else ""
    )
    yield f"Only products are seen in eq. (6): delta_D of {d.datasets[0]} is set to 0, all else is relative to it{one}."
    told = {conjecture.delta(d.datasets[0])} | ({U} if reading.unknown_u else set())
    names_of: dict[str, list[str]] = {}
    for p in d.parameters:
        if p.reason and p.name not in told:
            names_of.setdefault(p.reason, []).append(p.name)
    yield from (f"{', '.join(names)}: {reason}." for reason, names in names_of.items())
    if reading.unknown_u:
        where = ", ".join(reading.unknown_u)
        yield f"The fit goes without delta_U: in {where} nobody knows the subgroups of generated images, and so no u."

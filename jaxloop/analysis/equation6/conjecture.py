"""The paper's conjecture on the dynamics of bias, eq. (6), fitted to steps between generations.

    B_M^(t+1) = A_t B_M^(t),  A_t = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t)

for an architecture M and a data set D, with quality q_t and imbalance u_t of the generated images,
both in [0, 1].

Least squares on log B(t+1) - log B(t) = log A_t, over all steps at once. Only A_t is seen, so only
products are identifiable: 1 - gamma_M divided by c, and 1 + delta_D, delta_Q and delta_U times c,
give the same A_t. The gauge is fixed by delta_D = 0 for the first data set: every gamma_M is
relative to it, and with one data set gamma_M and delta_D cannot be told apart. Other data sets'
delta_D are relative to it too, and need classifiers in common with it.

The fit itself is done in another gauge, which is well conditioned: A_t = a_M (1 + kappa_D +
kappa_Q (1 - q - m_Q) + kappa_U (u - m_U)), with m the first data set's means. Its base, c = 1 -
kappa_Q m_Q - kappa_U m_U, is what remains at q = 1 and u = 0: 1 - gamma_M = a_M c, and every delta
is kappa / c. Where c is within two standard errors of 0, these have no finite interval, and none is
given; A_t is still known where q and u were measured.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from jaxloop.statistics import CONFIDENCE, NEGLIGIBLE

Q, U = "delta_Q", "delta_U"
LETTER = {Q: "q", U: "u"}
# Of a range of 1: a q or u that moves less than this (root mean square) has no visible effect.
VARIES = 0.01
# q and u vary together where sqrt(1 - r²) is below this, r their partial correlation: |r| > 0.995.
TOGETHER = 0.1
# Below this, a bracket's logarithm goes on as a straight line, so that the search can come back
# from brackets <= 0.
FLOOR = 1e-3


class Step(NamedTuple):
    """One classifier of one seed, from generation t to t + 1.

    cluster: (run, seed): what depends on each other.  log_ratio: log B(t+1) - log B(t).
    q, u: of the step, in [0, 1]; u is None in all steps of a fit, or in none.
    """

    cluster: tuple[int, int]
    generation: int
    architecture: str
    dataset: str
    log_ratio: float
    q: float
    u: float | None


class Fit(NamedTuple):
    """The conjecture in the gauge of the search.

    log_scale: {architecture: log a_M}.  centre: {Q or U: m}.  base_error: standard error of c.
    slope: {name of a delta: kappa}, of those that the steps tell apart.
    reasons: {name of a parameter: why it cannot be told}.
    """

    log_scale: dict[str, float]
    slope: dict[str, float]
    centre: dict[str, float]
    reasons: dict[str, str]
    base_error: float

    @property
    def base(self) -> float:
        return 1 - sum(self.slope[name] * m for name, m in self.centre.items())

    @property
    def has_slope(self) -> bool:
        """Whether quality or imbalance is in it; else it is a constant factor."""
        return bool(self.centre)


class Interval(NamedTuple):
    """low, high: of 95 %, None if there is none."""

    value: float
    low: float | None
    high: float | None


class Broken(NamedTuple):
    """No fit, and why."""

    reason: str


def gamma(architecture: str) -> str:
    return f"gamma[{architecture}]"


def delta(dataset: str) -> str:
    return f"delta_D[{dataset}]"


def fit(steps: Sequence[Step], datasets: Sequence[str]) -> Fit | Broken:
    """Fit all steps (one or more) of these data sets, of which the first fixes the gauge."""
    architectures = list(dict.fromkeys(step.architecture for step in steps))
    is_first = np.array([step.dataset == datasets[0] for step in steps])
    if not is_first.any():
        return Broken(f"no step of {datasets[0]}, to which all is relative")
    scale = np.array([[s.architecture == name for name in architectures] for s in steps], float)
    columns = _columns(steps, datasets)
    free, reasons = _identifiable(steps, datasets[0], scale, columns)
    if len(steps) <= (num := len(architectures) + len(free)):
        return Broken(f"{len(steps)} steps are too few for {num} parameters")
    centre = {name: float(columns[name][is_first].mean()) for name in free if name in (Q, U)}
    shape = np.zeros((len(steps), len(free)))
    for i, name in enumerate(free):
        shape[:, i] = columns[name] - centre.get(name, 0)
    solution, covariance = _solve(scale, shape, np.array([step.log_ratio for step in steps]))
    log_scale, slope = np.split(solution, [len(architectures)])
    if np.min(1 + shape @ slope) <= FLOOR:
        return Broken("the factor that fits best is not positive in all steps")
    gradient = np.array([0.0] * len(architectures) + [-centre.get(name, 0) for name in free])
    return Fit(
        dict(zip(architectures, log_scale.tolist(), strict=True)),
        dict(zip(free, slope.tolist(), strict=True)),
        centre, reasons, math.sqrt(max(gradient @ covariance @ gradient, 0)),
    )  # fmt: skip


def factor(fit: Fit | Broken, step: Step) -> float:
    """Return A_t of a step; NaN if its u or, to the fit, its architecture or data is unknown."""
    if isinstance(fit, Broken):
        return math.nan
    name = delta(step.dataset)
    if step.architecture not in fit.log_scale or name not in fit.slope.keys() | fit.reasons.keys():
        return math.nan
    bracket = 1 + fit.slope.get(name, 0)
    for term, value in ((Q, 1 - step.q), (U, step.u)):
        if term in fit.centre:
            known = math.nan if value is None else value
            bracket += fit.slope[term] * (known - fit.centre[term])
    return math.exp(fit.log_scale[step.architecture]) * bracket


def parameters(fit: Fit | Broken) -> dict[str, float]:
    """Return those of eq. (6) that can be told apart, where delta_D = 0 for the first data set."""
    if isinstance(fit, Broken) or (base := fit.base) <= 0:
        return {}
    values = {gamma(name): 1 - math.exp(a) * base for name, a in fit.log_scale.items()}
    values |= {name: kappa / base for name, kappa in fit.slope.items()}
    return {name: value for name, value in values.items() if name not in fit.reasons}


def unclear_base(fit: Fit, replicates: Sequence[Fit | Broken]) -> str:
    """Return why no parameter exists although the fit does, or "".

    A ratio whose denominator may be 0 has no interval. The denominator's error is the larger of
    least squares' and the jackknife's: the steps of a seed depend on each other, but two clusters
    alone say little.
    """
    bases = [replicate.base for replicate in replicates if isinstance(replicate, Fit)]
    error = max(fit.base_error, math.sqrt((len(bases) - 1) * np.var(bases)) if bases else 0.0)
    if fit.base > 2 * error and min(bases, default=1) > 0:
        return ""
    return (
        "the factor at q = 1 and u = 0, to which all parameters are relative, cannot be told from 0"
    )


def without_each_cluster(steps: Sequence[Step], datasets: Sequence[str]) -> list[Fit | Broken]:
    """Return the fits of the jackknife: each leaves one (run, seed) out."""
    clusters = sorted({step.cluster for step in steps})
    return [
        fit([step for step in steps if step.cluster != cluster], datasets)
        for cluster in (clusters if len(clusters) > 1 else [])
    ]


def jackknife(value: float, replicates: Sequence[float] | np.ndarray) -> Interval:
    """Return value ± t(0.975, n - 1) s, s² = (n - 1) / n sum (replicate - their mean)².

    Without an interval below two replicates, where one of them is NaN, or all are the same.
    """
    n = len(replicates)
    if n < 2 or not np.all(np.isfinite(replicates)) or np.ptp(replicates) < NEGLIGIBLE:
        return Interval(value, None, None)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    half_width = float(quantile * math.sqrt((n - 1) * np.var(replicates)))
    return Interval(value, value - half_width, value + half_width)


def jackknife_log(value: float, replicates: Sequence[float]) -> Interval:
    """Return the same on the scale of the logarithm, for what is positive by nature."""
    if value <= 0 or not all(replicate > 0 for replicate in replicates):  # NaN is not > 0
        return Interval(value, None, None)
    _, low, high = jackknife(math.log(value), np.log(replicates))
    if low is None or high is None:
        return Interval(value, None, None)
    return Interval(value, math.exp(low), math.exp(high))


def _columns(steps: Sequence[Step], datasets: Sequence[str]) -> dict[str, np.ndarray]:
    present = {step.dataset for step in steps}
    columns = {
        delta(name): np.array([step.dataset == name for step in steps], float)
        for name in datasets[1:]
        if name in present
    }
    columns[Q] = np.array([1 - step.q for step in steps])
    if steps[0].u is not None:
        columns[U] = np.array([step.u for step in steps])
    return columns


def _identifiable(
    steps: Sequence[Step], first: str, scale: np.ndarray, columns: dict[str, np.ndarray]
) -> tuple[list[str], dict[str, str]]:
    """The deltas that enter the fit, and why parameters cannot be told.

    From the rank of the Jacobian at all kappa = 0: there its columns are those of `scale`
    (classifiers) and `columns`. What the columns before it explain stays out.
    """
    free, known, varying = [], scale, []
    reasons = {delta(first): f"set to 0: all other parameters are relative to {first}"}
    reasons |= _unlinked(steps, first)
    for name in (name for name in columns if name not in LETTER):
        if _unexplained(columns[name], known)[0] > 1e-6:
            free.append(name)
            known = np.column_stack([known, columns[name]])
    for name in (name for name in LETTER if name in columns):
        remainder, weights = _unexplained(columns[name], known)
        if remainder >= VARIES:
            varying.append(name)
            continue
        weights = dict(zip(free, weights[scale.shape[1] :], strict=True))
        touched = [d for d in free if abs(weights[d]) > VARIES]
        within = " within any data set" if touched else ""
        reasons[name] = f"{LETTER[name]} hardly varies{within}"
        between = f"{LETTER[name]} varies between data sets, not within: not told apart from {name}"
        reasons = dict.fromkeys(touched, between) | reasons
    if len(varying) == 2:
        beside_u, _ = _unexplained(columns[Q], np.column_stack([known, columns[U]]))
        if beside_u < TOGETHER * _unexplained(columns[Q], known)[0]:
            together = "q and u vary together, so only their joint effect is seen"
            everything = [*(gamma(step.architecture) for step in steps), *free, Q, U]
            reasons = dict.fromkeys(everything, together) | reasons
            varying = [Q]  # carries the joint effect into A_t
    return free + varying, reasons


def _unlinked(steps: Sequence[Step], first: str) -> dict[str, str]:
    """A reason for data sets that no chain of shared classifiers links to the first, and theirs."""
    linked, before = {first}, 0
    while len(linked) > before:
        before = len(linked)
        shared = {step.architecture for step in steps if step.dataset in linked}
        linked |= {step.dataset for step in steps if step.architecture in shared}
    why = "gamma and delta_D cannot be told apart"
    why = f"no chain of shared classifiers links it to {first}: {why}"
    away = [step for step in steps if step.dataset not in linked]
    return {name: why for step in away for name in (gamma(step.architecture), delta(step.dataset))}


def _unexplained(column: np.ndarray, others: np.ndarray) -> tuple[float, np.ndarray]:
    """Root mean square of what the best combination of others leaves of a column; its weights."""
    weights = np.linalg.lstsq(others, column, rcond=None)[0]
    return float(np.sqrt(np.mean((column - others @ weights) ** 2))), weights


def _solve(scale: np.ndarray, shape: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log a, kappa) that minimise |scale log a + log(1 + shape kappa) - y|², their covariance."""
    num = scale.shape[1]
    start = np.concatenate([np.linalg.lstsq(scale, y, rcond=None)[0], np.zeros(shape.shape[1])])

    def residual(p):
        return scale @ p[:num] + _log(1 + shape @ p[num:]) - y

    def jacobian(p):
        return np.hstack([scale, shape / np.maximum(1 + shape @ p[num:], FLOOR)[:, None]])

    tolerance = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    solution = optimize.least_squares(residual, start, jac=jacobian, method="lm", **tolerance)  # pyright: ignore[reportArgumentType]
    variance = 2 * solution.cost / (len(y) - len(start))
    return solution.x, variance * np.linalg.pinv(solution.jac.T @ solution.jac)


def _log(x: np.ndarray) -> np.ndarray:
    """log above FLOOR, its tangent below."""
    return np.log(np.maximum(x, FLOOR)) + np.minimum(x - FLOOR, 0) / FLOOR

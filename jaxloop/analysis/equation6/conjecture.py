"""The paper's conjecture on the dynamics of bias, eq. (6), fitted to steps between generations.

    B_M^(t+1) = A_t B_M^(t),  A_t = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t)

for an architecture M and a data set D, with quality q_t and imbalance u_t of the generated images,
both in [0, 1].

Least squares on log B(t+1) - log B(t) = log A_t, over all steps at once. Only A_t is seen, so only
products are identifiable: 1 - gamma_M divided by c, and 1 + delta_D, delta_Q and delta_U times c,
give the same A_t. The gauge is fixed by delta_D = 0 for the first data set. All gamma_M and the
delta_D of other data sets, which need classifiers in common with it, are relative to it.

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
import pandas as pd
from scipy import optimize, stats

from jaxloop.statistics import CONFIDENCE, NEGLIGIBLE

# Names of parameters.
gamma, delta = "gamma[{}]".format, "delta_D[{}]".format
Q, U = "delta_Q", "delta_U"
LETTER = {Q: "q", U: "u"}
# Of a range of 1: a q or u that moves less than this (root mean square) has no visible effect.
VARIES = 0.01
# q and u vary together where sqrt(1 - r²) is below this, r their partial correlation: |r| > 0.995.
TOGETHER = 0.1
# Below this a bracket's logarithm goes on as a straight line: a search comes back from <= 0.
FLOOR = 1e-3


class Fit(NamedTuple):
    """The conjecture in the gauge of the search.

    scale: {architecture: a_M}.
    kappa: {name of a delta: kappa}; 0 of the first data set, and of what cannot be told apart.
    centre: {Q or U: m}, of those in the fit. Without both it is a constant factor.
    reasons: {name of a parameter: why it cannot be told}.  base_error: standard error of c.
    """

    scale: dict[str, float]
    kappa: dict[str, float]
    centre: dict[str, float]
    reasons: dict[str, str]
    base_error: float

    @property
    def base(self) -> float:
        return 1 - sum(self.kappa[name] * m for name, m in self.centre.items())


def fit(steps: pd.DataFrame, datasets: Sequence[str]) -> Fit | str:
    """Fit all steps (see `steps.Reading`) of data sets, the first the gauge; or say why not."""
    if steps.empty:
        return "there is no step to fit"
    is_first = (steps.dataset == datasets[0]).to_numpy()
    if not is_first.any():
        return f"no step of {datasets[0]}, to which all is relative"
    codes, architectures = pd.factorize(steps.architecture)
    scale = np.eye(len(architectures))[codes]
    others = [name for name in datasets[1:] if name in set(steps.dataset)]
    columns = {delta(name): (steps.dataset == name).to_numpy(float) for name in others}
    columns[Q] = (1 - steps.q).to_numpy()
    if steps.u.notna().all():
        columns[U] = steps.u.to_numpy()
    free, reasons = _identifiable(steps, datasets[0], scale, columns)
    if len(steps) <= (num := len(architectures) + len(free)):
        return f"{len(steps)} steps are too few for {num} parameters"
    centre = {name: float(columns[name][is_first].mean()) for name in free if name in LETTER}
    shape = np.zeros((len(steps), len(free)))
    for i, name in enumerate(free):
        shape[:, i] = columns[name] - centre.get(name, 0)
    solution, covariance = _solve(scale, shape, steps.log_ratio.to_numpy())
    log_scale, slope = np.split(solution, [len(architectures)])
    if np.min(1 + shape @ slope) <= FLOOR:
        return "the factor that fits best is not positive in all steps"
    gradient = np.array([0.0] * len(architectures) + [-centre.get(name, 0) for name in free])
    base_error = math.sqrt(max(gradient @ covariance @ gradient, 0))
    factors = dict(zip(architectures, map(math.exp, log_scale), strict=True))
    kappa = dict.fromkeys([delta(datasets[0]), *columns], 0.0)
    kappa |= dict(zip(free, slope.tolist(), strict=True))
    return Fit(factors, kappa, centre, reasons, base_error)


def factor(fit: Fit | str, steps: pd.DataFrame) -> np.ndarray:
    """Return A_t of each step; NaN if its u or, to the fit, its architecture or data is unknown."""
    if isinstance(fit, str):
        return np.full(len(steps), np.nan)
    bracket = 1 + steps.dataset.map(delta).map(fit.kappa)
    values = {Q: 1 - steps.q, U: steps.u}
    for name, centre in fit.centre.items():
        bracket += fit.kappa[name] * (values[name] - centre)
    return (steps.architecture.map(fit.scale) * bracket).to_numpy(float)


def parameters(fit: Fit | str) -> dict[str, float]:
    """Return those of eq. (6) that can be told apart, where delta_D = 0 for the first data set."""
    if isinstance(fit, str) or (base := fit.base) <= 0:
        return {}
    values = {gamma(name): 1 - a * base for name, a in fit.scale.items()}
    values |= {name: kappa / base for name, kappa in fit.kappa.items()}
    return {name: value for name, value in values.items() if name not in fit.reasons}


def fits(steps: pd.DataFrame, datasets: Sequence[str]) -> list[Fit | str]:
    """Return the fit to all steps and, of two clusters (run, seed) or more, to all but each."""
    clusters = steps.groupby(["run", "seed"])
    number, num = clusters.ngroup(), clusters.ngroups
    without = [fit(steps.loc[number != i], datasets) for i in range(num if num > 1 else 0)]
    return [fit(steps, datasets), *without]


def has_clear_base(fit: Fit, *replicates: Fit | str) -> bool:
    """Tell whether the base can be told from 0: a ratio whose denominator may be 0 has no interval.

    Its error is the larger of least squares' and the jackknife's: the steps of a seed depend on
    each other, but two clusters alone say little.
    """
    bases = [replicate.base for replicate in replicates if isinstance(replicate, Fit)]
    error = max(fit.base_error, math.sqrt((len(bases) - 1) * np.var(bases)) if bases else 0.0)
    return fit.base > 2 * error and min(bases, default=1) > 0


def jackknife(value: float, *replicates: float) -> tuple[float, float]:
    """Return value ± t(0.975, n - 1) s, s² = (n - 1) / n sum (replicate - their mean)².

    NaNs below two replicates, where one of them is NaN, or all are the same.
    """
    n = len(replicates)
    if n < 2 or not np.all(np.isfinite(replicates)) or np.ptp(replicates) < NEGLIGIBLE:
        return math.nan, math.nan
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    half_width = float(quantile * math.sqrt((n - 1) * np.var(replicates)))
    return value - half_width, value + half_width


def jackknife_log(value: float, *replicates: float) -> tuple[float, float]:
    """Return the same on the scale of the logarithm, for what is positive by nature."""
    if not all(positive > 0 for positive in (value, *replicates)):  # NaN is not > 0
        return math.nan, math.nan
    low, high = jackknife(math.log(value), *np.log(replicates))
    return math.exp(low), math.exp(high)


def _identifiable(
    steps: pd.DataFrame, first: str, scale: np.ndarray, columns: dict[str, np.ndarray]
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
            everything = [*map(gamma, steps.architecture), *free, Q, U]
            reasons = dict.fromkeys(everything, together) | reasons
            varying = [Q]  # carries the joint effect into A_t
    return free + varying, reasons


def _unlinked(steps: pd.DataFrame, first: str) -> dict[str, str]:
    """A reason for data sets that no chain of shared classifiers links to the first, and theirs."""
    is_linked = steps.dataset == first
    for _ in range(steps.dataset.nunique()):
        shares = steps.architecture.isin(steps.architecture[is_linked])
        is_linked = steps.dataset.isin(steps.dataset[shares])
    why = "gamma and delta_D cannot be told apart"
    why = f"no chain of shared classifiers links it to {first}: {why}"
    away = steps[~is_linked]
    return dict.fromkeys([*map(gamma, away.architecture), *map(delta, away.dataset)], why)


def _unexplained(column: np.ndarray, others: np.ndarray) -> tuple[float, np.ndarray]:
    """Root mean square of what the best combination of others leaves of a column; its weights."""
    weights = np.linalg.lstsq(others, column, rcond=None)[0]
    return float(np.sqrt(np.mean((column - others @ weights) ** 2))), weights


def _solve(scale: np.ndarray, shape: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log a, kappa) that minimise |scale log a + log(1 + shape kappa) - y|², their covariance."""
    num = scale.shape[1]
    start = np.concatenate([np.linalg.lstsq(scale, y, rcond=None)[0], np.zeros(shape.shape[1])])

    def residual(p):
        bracket = 1 + shape @ p[num:]
        logarithm = np.log(np.maximum(bracket, FLOOR)) + np.minimum(bracket - FLOOR, 0) / FLOOR
        return scale @ p[:num] + logarithm - y

    def jacobian(p):
        return np.hstack([scale, shape / np.maximum(1 + shape @ p[num:], FLOOR)[:, None]])

    tolerance = {"xtol": 1e-12, "ftol": 1e-12, "gtol": 1e-12}
    solution = optimize.least_squares(residual, start, jac=jacobian, method="lm", **tolerance)  # pyright: ignore[reportArgumentType]
    variance = 2 * solution.cost / (len(y) - len(start))
    return solution.x, variance * np.linalg.pinv(solution.jac.T @ solution.jac)

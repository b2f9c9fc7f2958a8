"""The paper's conjecture on the dynamics of bias, eq. (6), fitted to the levels of bias.

    B_M^(t) = A_t B_M^(t-1),  A_t = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t)

for an architecture M and a data set D, with quality q_t and imbalance u_t, both in [0, 1], of the
images on which the classifiers of generation t are trained.

A *curve* is the bias of a classifier in a seed of a run, and the model of it level x A_1 ... A_t,
with a free level. Ratios of neighbours would carry the noise of every generation twice, and that of
generation 0, which all ratios start from, for good. Least squares are those of B itself, not of its
logarithm: noise is as large where bias is small, and a bias of 0 or less has no logarithm.

Only A_t is seen, so only products are identifiable: 1 - gamma_M divided by c, and the bracket times
c, give the same A_t. The gauge is that the bracket is 1 at the mean q and u of the first data set.
1 - gamma_M is the factor there, and the deltas are relative to it. A constant that finite sets of
images add to u changes nothing then.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize

gamma, delta = "gamma[{}]".format, "delta_D[{}]".format
Q, U = "delta_Q", "delta_U"
# Of a range of 1: what moves by less (root mean square) has no visible effect.
VARIES = 0.01
# Below this the bracket stays: a search comes back from <= 0.
FLOOR = 1e-3
# Of |log(1 - gamma)|: where there is no bias, no factor is too large for a search.
LARGEST = 5.0


class Curves(NamedTuple):
    """Curves, C of them, of generations 0 to T.

    about: a row each: "architecture", "dataset", "cluster" (curves of one depend on each other).
    bias, q, u: float [C T+1]. The bias is NaN where it has no value, and from the first generation
      on whose factor is unknown; q and u are NaN in generation 0, u in all where it is not used.
    """

    about: pd.DataFrame
    bias: np.ndarray
    q: np.ndarray
    u: np.ndarray

    def part(self, rows: np.ndarray) -> "Curves":
        return Curves(self.about.loc[rows], self.bias[rows], self.q[rows], self.u[rows])


class Design(NamedTuple):
    """What log A_t is made of.

    names: of parameters, the `num_scales` gammas first.
    columns: float [C T+1 P], of each parameter; 0 in generation 0.
    reasons: {name of a parameter: why it is left out}.
    """

    names: list[str]
    num_scales: int
    columns: np.ndarray
    reasons: dict[str, str]

    @property
    def moves(self) -> bool:
        """Whether A_t changes with q or u."""
        return not {Q, U}.isdisjoint(self.names)

    def constant(self) -> "Design":
        """Return the same without q and u: a constant factor."""
        kept = [i for i, name in enumerate(self.names) if name not in (Q, U)]
        names = [self.names[i] for i in kept]
        return self._replace(names=names, columns=self.columns[..., kept])

    def step(self) -> "Design":
        """Return a constant factor that may be another in generation 1, of each architecture."""
        constant = self.constant()
        first = constant.columns[..., : self.num_scales].copy()
        first[:, 2:] = 0
        names = constant.names + [f"step {name}" for name in constant.names[: self.num_scales]]
        columns = np.concatenate([constant.columns, first], axis=-1)
        return constant._replace(names=names, columns=columns)


def design(curves: Curves) -> Design:
    """Return the parameters that the curves can tell apart.

    A column that those before it explain (see `VARIES`) is left out.
    """
    about, is_step = curves.about, np.isfinite(curves.bias)
    is_step[:, 0] = False
    first, *others = dict.fromkeys(about.dataset)
    is_first = (about.dataset == first).to_numpy()
    generated = np.arange(curves.bias.shape[1]) > 0
    of_rows = {
        gamma(name): about.architecture == name for name in dict.fromkeys(about.architecture)
    }
    num_scales = len(of_rows)
    of_rows |= {delta(name): about.dataset == name for name in others}
    columns = {name: np.outer(rows, generated).astype(float) for name, rows in of_rows.items()}
    for name, values in ((Q, 1 - curves.q), (U, curves.u)):
        if np.isfinite(values).any():
            columns[name] = np.nan_to_num(values - np.nanmean(values[is_first]))
    kept, reasons = list(columns)[:num_scales], {}
    for name in list(columns)[num_scales:]:
        known, column = (np.stack([columns[n][is_step] for n in ns], 1) for ns in (kept, [name]))
        remainder = column - known @ np.linalg.lstsq(known, column, rcond=None)[0]
        if np.sqrt(np.mean(remainder**2)) >= VARIES:
            kept.append(name)
        elif name in (Q, U):
            other = "" if name == Q else " or with q"
            reasons[name] = f"{'q' if name == Q else 'u'} hardly varies"
            if np.std(column) >= VARIES:
                reasons[name] += f" but between data sets{other}"
        else:
            reasons[name] = f"no chain of shared classifiers links it to {first}"
    return Design(kept, num_scales, np.stack([columns[name] for name in kept], -1), reasons)


def fit(design: Design, bias: np.ndarray, rows: np.ndarray, start: ArrayLike = 0.0) -> np.ndarray:
    """Return log(1 - gamma) and the deltas [P] that fit best to some rows; NaN: not in them.

    rows: bool [C].  start: of the search.
    """
    columns, bias = design.columns[rows], bias[rows]
    known = np.isfinite(bias)
    target = np.where(known, bias, 0)

    def residual(parameters):
        shape = growth(design._replace(columns=columns), parameters, known) * known
        level = (shape * target).sum(1) / (shape**2).sum(1)
        return (target - shape * level[:, None])[known]

    start = np.full(columns.shape[-1], start)
    solution = optimize.least_squares(residual, start, method="lm", max_nfev=2000).x
    solution[: design.num_scales] = solution[: design.num_scales].clip(-LARGEST, LARGEST)
    return np.where((columns[known] != 0).any(0), solution, np.nan)


def growth(design: Design, parameters: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return A_1 ... A_t relative to the largest `known` one of a curve: [C T+1].

    NaN in curves with a parameter that is NaN.
    """
    num, columns = design.num_scales, design.columns
    unknown = (columns[..., np.isnan(parameters)] != 0).any((1, 2))
    values = np.nan_to_num(parameters)
    scale = columns[..., :num] @ values[:num].clip(-LARGEST, LARGEST)
    bracket = np.maximum(1 + columns[..., num:] @ values[num:], FLOOR)
    logarithm = np.cumsum(scale + np.log(bracket), axis=1)
    logarithm -= np.where(known, logarithm, -np.inf).max(1, keepdims=True)
    return np.where(unknown[:, None], np.nan, np.exp(np.minimum(logarithm, 300)))


def predictions(shape: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what each generation is predicted to be from those before it: [C T].

    The level is the best to these: with a `shape` [C T+1] of 1 everywhere, their mean.
    """
    known = np.isfinite(bias)
    top = np.cumsum(np.where(known, shape * np.nan_to_num(bias), 0), axis=1)[:, :-1]
    bottom = np.cumsum(np.where(known, shape**2, 0), axis=1)[:, :-1]
    return shape[:, 1:] * top / np.where(bottom > 0, bottom, np.nan)

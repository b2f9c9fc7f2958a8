"""How often the page says that eq. (6) predicts bias, where it does not and where it does.

    python -m benchmarks.equation6 [--runs 100] [--only WORDS]

Each line: a truth; seeds; the share of simulated runs with a claim on any of four kinds of bias; of
kinds with p < 0.05 before the correction; of 95 % intervals that hold the parameter that was
planted, over all runs, claim or not. q and u scatter by seed and generation about a trend that all
seeds share.
"""

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.equation6.conjecture import Curves, Q, U

GAMMA, DELTA_Q, DELTA_U = (0.05, 0.10), 0.5, 0.4
LEVEL, NOISE = 0.15, 0.02


def nothing_moves(q, u):
    return np.ones((len(GAMMA), *q.shape))


def constant_factor(q, u):
    return nothing_moves(q, u) * 0.93


def step_at_once(q, u):
    """The first generated images add a half; nothing moves after them."""
    factors = nothing_moves(q, u)
    factors[..., 1] = 1.5
    return factors


def by_equation_6(q, u):
    bracket = 1 + DELTA_Q * (1 - q - 0.4) + DELTA_U * (u - 0.25)
    return (1 - np.array(GAMMA)[:, None, None]) * bracket


def simulated(
    rng, factors: Callable, num_seeds: int, generations=8, level=LEVEL, noise=NOISE, rho=0.0
) -> Curves:
    """Return the curves of two classifiers, with noise that is correlated (AR(1)) by `rho`."""
    shape = (num_seeds, generations + 1)
    drift = np.linspace(-0.15, 0.15, generations + 1)
    q = np.clip(0.6 - drift + rng.normal(0, 0.1, shape), 0, 1)
    u = np.clip(0.25 + drift + rng.normal(0, 0.08, shape), 0, 1)
    products = np.cumprod(np.concatenate([np.ones((len(GAMMA), num_seeds, 1)),
                                          factors(q, u)[..., 1:]], axis=-1), axis=-1)  # fmt: skip
    start = level * np.exp(rng.normal(0, 0.2, (len(GAMMA), num_seeds, 1)))
    scatter = rng.normal(0, noise, products.shape)
    for t in range(1, generations + 1):
        scatter[..., t] = rho * scatter[..., t - 1] + math.sqrt(1 - rho**2) * scatter[..., t]
    q[:, 0] = u[:, 0] = np.nan
    names = [(f"m{m}", "d", seed) for m in range(len(GAMMA)) for seed in range(num_seeds)]
    about = pd.DataFrame(names, columns=["architecture", "dataset", "cluster"])
    bias = (start * products + scatter).reshape(-1, generations + 1)
    return Curves(about, bias, np.tile(q, (len(GAMMA), 1)), np.tile(u, (len(GAMMA), 1)))


def planted(curves: Curves) -> dict[str, float]:
    """Return the parameters of `by_equation_6` in the gauge of `conjecture`."""
    q, u = np.nanmean(curves.q), np.nanmean(curves.u)
    c = 1 + DELTA_Q * (1 - q - 0.4) + DELTA_U * (u - 0.25)
    values = {f"gamma[m{m}]": 1 - (1 - gamma) * c for m, gamma in enumerate(GAMMA)}
    return values | {Q: DELTA_Q / c, U: DELTA_U / c}


class Shares(NamedTuple):
    """claims: of runs, corrected.  tests: of kinds, not.  held: of intervals, by parameter."""

    claims: float
    tests: float
    held: np.ndarray


def shares(truth: Callable, num_seeds: int, runs: int, kinds: int = 4, **options) -> Shares:
    """Simulate runs of so many kinds of bias each."""
    rng, claims, tests, held = np.random.default_rng(num_seeds), 0, 0, []
    for _ in range(runs):
        several = [simulated(rng, truth, num_seeds, **options) for _ in range(kinds)]
        judged = [dynamics.judge(curves) for curves in several]
        claims += any(
            (1 if p is None else p) < 0.05 for p in statistics.holm([j.p for j in judged])
        )
        tests += sum((1 if j.p is None else j.p) < 0.05 for j in judged)
        for curves, j in zip(several, judged, strict=True):
            if j.why_not:
                continue
            true = planted(curves)
            held += [[p.low <= true[p.name] <= p.high for p in j.parameters.itertuples()]]
    return Shares(claims / runs, tests / (runs * kinds), np.mean(held, axis=0))


TRUTHS = {
    "nothing moves": (nothing_moves, {}),
    "nothing moves, correlation 0.6": (nothing_moves, {"rho": 0.6}),
    "no bias at all": (nothing_moves, {"level": 0.0}),
    "a bias of half its noise": (nothing_moves, {"level": NOISE / 2}),
    "nothing moves, 4 generations": (nothing_moves, {"generations": 4}),
    "constant factor 0.93": (constant_factor, {}),
    "a step in generation 1": (step_at_once, {}),
    "eq. (6), noise 0.005": (by_equation_6, {"noise": 0.005}),
    "eq. (6), noise 0.02": (by_equation_6, {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", default="", help="truths whose name holds these words")
    options = parser.parse_args()
    print("| truth | seeds | claims | tests | intervals that hold gamma, gamma, delta_Q, delta_U |")
    print("| --- | --- | --- | --- | --- |")
    for name, (truth, changes) in TRUTHS.items():
        for num_seeds in (3, 5, 10) if options.only in name else ():
            found = shares(truth, num_seeds, options.runs, **changes)
            held = ", ".join(f"{h:.2f}" for h in found.held) if truth is by_equation_6 else ""
            print(
                f"| {name} | {num_seeds} | {found.claims:.3f} | {found.tests:.3f} | {held} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

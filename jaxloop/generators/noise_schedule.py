"""The discrete noise schedule of Stable Diffusion, and samplers that follow it.

x_t = a_t x_0 + s_t noise at timestep t, a_t^2 = prod(1 - beta) and s_t^2 = 1 - a_t^2. The network
estimates the noise ("epsilon") or v = a_t noise - s_t x_0 ("v_prediction", Salimans & Ho 2022,
arXiv:2202.00512). Tables are made on the host in float64, once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.types import Array

PREDICTIONS = "epsilon", "v_prediction"


class Schedule(NamedTuple):
    """alpha_bar: float64 [T], a_t^2.  prediction: of `PREDICTIONS`.

    offset: added to the timesteps of the spacing "leading".
    last_alpha_bar: a^2 that DDIM's last step goes to.
    """

    alpha_bar: Any
    prediction: str
    offset: int
    last_alpha_bar: float


def alpha_bar(name: str, num: int, start: float, end: float) -> np.ndarray:
    """Return a_t^2 of a schedule of betas, "scaled_linear" or "linear": float64 [num]."""
    power = {"scaled_linear": 2.0, "linear": 1.0}[name]
    beta = np.linspace(start ** (1 / power), end ** (1 / power), num, dtype=np.float64) ** power
    return np.cumprod(1 - beta)


def timesteps(schedule: Schedule, steps: int, spacing: str, sampler: str) -> np.ndarray:
    """Return falling timesteps as torch diffusers spaces them for a sampler: int32 [steps].

    spacing: "leading" | "trailing" | "linspace" (Lin et al. 2023, arXiv:2305.08891, table 2).
    """
    num, extra = len(schedule.alpha_bar), int(sampler == "dpm")  # of which DPM drops the last
    if spacing == "trailing":
        t = np.round(np.arange(num, 0, -num / steps))[:steps] - 1
    elif spacing == "leading":
        t = np.arange(steps + extra) * (num // (steps + extra)) + schedule.offset
        t = t[::-1][:steps]
    else:
        t = np.linspace(0, num - 1, steps + extra).round()[::-1][:steps]
    return t.astype(np.int32)


def noisy(schedule: Schedule, clean: Array, noise: Array, timestep: Array) -> tuple[Array, Array]:
    """Return x_t of clean latents [n h w c] at timesteps [n], and what the network should say."""
    a, s = (_by(table, timestep) for table in _roots(schedule.alpha_bar))
    target = noise if schedule.prediction == "epsilon" else a * noise - s * clean
    return a * clean + s * noise, target


def min_snr_weight(schedule: Schedule, timestep: Array, gamma: float) -> Array:
    """Return the weights of squared errors at timesteps [n] (Hang et al. 2023, arXiv:2303.09556).

    min(snr, gamma) in the error of x_0.  gamma: 0 for weights of 1.
    """
    if not gamma:
        return jnp.ones(timestep.shape)
    snr = schedule.alpha_bar / (1 - schedule.alpha_bar)
    per = snr if schedule.prediction == "epsilon" else snr + 1
    return jnp.asarray(np.minimum(snr, gamma) / per, jnp.float32)[timestep]


def ddim(schedule: Schedule, network: Callable, x: Array, steps: int, spacing: str) -> Array:
    """Follow the schedule from noise x to x_0 without new noise (Song et al. 2020,
    arXiv:2010.02502).

    network: (x, timestep int32 []) -> its estimate.
    """
    t = timesteps(schedule, steps, spacing, "ddim")
    before = t - len(schedule.alpha_bar) // steps
    then = np.where(before >= 0, schedule.alpha_bar[np.maximum(before, 0)], schedule.last_alpha_bar)
    (a, s), (a_then, s_then) = _roots(schedule.alpha_bar[t]), _roots(then)

    def step(x, row):
        noise, clean = _parts(schedule, network(x, row["t"]), x, row["a"], row["s"])
        return row["a_then"] * clean + row["s_then"] * noise, None

    table = {"t": t, "a": a, "s": s, "a_then": a_then, "s_then": s_then}
    return jax.lax.scan(step, x, _in_float32(table))[0]


def dpm(schedule: Schedule, network: Callable, x: Array, steps: int, spacing: str) -> Array:
    """Follow the same by DPM-Solver++(2M), to noise of level 0, its first and last step of first
    order (Lu et al. 2022, arXiv:2211.01095, algorithm 2)."""
    t = timesteps(schedule, steps, spacing, "dpm")
    a, s = _roots(schedule.alpha_bar[t])
    width = np.diff(np.log(a) - np.log(s))
    a_then, s_then = np.append(a[1:], 1.0), np.append(s[1:], 0.0)
    half = np.zeros(steps)  # of the ratio of two steps
    half[1:-1] = 0.5 * width[1:] / width[:-1]

    def step(carry, row):
        x, before = carry
        _, clean = _parts(schedule, network(x, row["t"]), x, row["a"], row["s"])
        ahead = clean + row["half"] * (clean - before)
        return (row["ratio"] * x + row["gain"] * ahead, clean), None

    gain = a_then * np.append(-np.expm1(-width), 1.0)
    table = {"t": t, "a": a, "s": s, "ratio": s_then / s, "gain": gain, "half": half}
    return jax.lax.scan(step, (x, x), _in_float32(table))[0][0]


SAMPLERS = {"dpm": dpm, "ddim": ddim}


def _roots(alpha_bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)


def _in_float32(table: dict) -> dict:
    return {
        name: np.asarray(x, np.int32 if name == "t" else np.float32) for name, x in table.items()
    }


def _by(table: np.ndarray, timestep: Array) -> Array:
    """Return a table's entries at timesteps [n]: float32 [n 1 1 1]."""
    return jnp.asarray(table, jnp.float32)[timestep][:, None, None, None]


def _parts(schedule: Schedule, estimate: Array, x: Array, a, s) -> tuple[Array, Array]:
    """Return the noise and the clean latents that an estimate says are in x."""
    if schedule.prediction == "epsilon":
        return estimate, (x - s * estimate) / a
    return a * estimate + s * x, a * x - s * estimate

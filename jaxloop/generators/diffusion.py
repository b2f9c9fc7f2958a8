"""Class-conditional diffusion in pixel space with classifier-free guidance: `edm` and `flow`.

Both train one denoiser D(x; sigma, class) of images with Gaussian noise of level sigma,

    D(x) = c_skip x + c_out F(c_in x, c_noise, class),

on the weighted squared error against the clean image, F a small U-Net (Karras et al. 2022,
arXiv:2206.00364, equations 7 and 8). They differ in the coefficients, the weight and the
distribution of sigma:

  edm: Karras et al., table 1, but for the noise: more of it (docs/generators.md).
  flow: rectified flow (Liu et al. 2023, arXiv:2209.03003) with logit-normal times (Esser et al.
    2024, arXiv:2403.03206). F is the velocity noise - image on the path (1 - t) image + t noise:
    but for the scale 1 - t, noise of sigma = t / (1 - t). Its squared error is that of D over t^2.

Sampling follows the probability flow with D_none + guidance (D_class - D_none) in D's place (Ho &
Salimans 2022, arXiv:2207.12598): 1 is the model as trained, more moves samples to where a class is
dense. Samples come from averaged weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloop import fields, keys, optimizers, spec
from jaxloop.errors import InputError
from jaxloop.generators.base import Generator
from jaxloop.generators.unet import UNet
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.types import Array, PyTree, Samples

SIGMA_DATA = 0.5  # standard deviation of pixels in [-1, 1] that the coefficients of edm suppose
RHO = 5.0  # of the sampling noise levels: larger puts more of them at low noise
SIGMA_MAX, SIGMA_MIN = 20.0, 0.01
LOG_SIGMA = {"edm": (0.0, 1.2), "flow": (0.0, 1.0)}  # mean and deviation in training


@dataclass(frozen=True)
class Config(spec.Generator):
    epochs: int = fields.integer(
        1000,
        1,
        "passes over real data + queue, at most, each generation, from a new initialisation",
    )
    max_steps: int = fields.integer(
        2000, 0, "steps at most, each generation, however full the queue is; 0: no limit"
    )
    learning_rate: float = fields.positive(1e-2, "step size of Muon and Adam")
    schedule: str = fields.choice("cosine constant", "of the step size")
    width: int = fields.integer(16, 4, "channels of the finest feature map")
    mults: tuple[int, ...] = fields.field(
        (1, 2),
        "channels of each level of the U-Net as multiples of `width`; a level halves the side",
        "one to five integers in [1, 16]",
        lambda v: 1 <= len(v) <= 5 and all(1 <= m <= 16 for m in v),
    )
    blocks: int = fields.integer(1, 1, "residual blocks a level, on the way down and up", 8)
    attention: tuple[int, ...] = fields.field(
        (), "sides of the feature maps with self-attention", "integers"
    )
    patch: int = fields.integer(2, 1, "side of the squares of pixels folded into channels", 8)
    average: float = fields.interval(0.998, 0, 0.99999, "decay a step of the sampled weights")
    label_dropout: float = fields.interval(
        0.1, 0, 0.5, "share of training images without their class, for guidance"
    )
    guidance: float = fields.interval(
        1.0, 1, 20, "sampling bias: classifier-free guidance; 1: none, more: more typical images"
    )
    sampler: str = fields.choice("dpm heun euler", "of the probability flow")
    sampling_steps: int = fields.integer(12, 2, "noise levels that the sampler visits", 1000)


class Diffusion(NamedTuple):
    """What the pure functions below share, all of it static."""

    network: UNet
    optimizer: optax.GradientTransformation
    config: Config
    image_size: int


class State(NamedTuple):
    """params, average: of the network; samples come from the average.  step: int32 []."""

    params: PyTree
    average: PyTree
    optimizer: PyTree
    step: Array


def create(config: Config, num_classes: int, image_size: int, num_steps: int, dtype) -> Generator:
    """Return `edm` or `flow`. Raises InputError on a size that patches and levels do not divide."""
    unit = config.patch * 2 ** (len(config.mults) - 1)
    if image_size % unit:
        words = f"for {config.name} a multiple of {unit} (generator.patch, generator.mults)"
        raise InputError("config.data.image_size", image_size, words)
    sides = [image_size // config.patch // 2**level for level in range(len(config.mults))]
    if not set(config.attention) <= set(sides):
        raise InputError("config.generator.attention", config.attention, f"sides among {sides}")
    sizes = config.width, config.mults, config.blocks, config.attention, config.patch
    network = UNet(num_classes, *sizes, dtype)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optimizers.muon(config, num_steps))
    diffusion = Diffusion(network, optimizer, config, image_size)
    return Generator(
        partial(init, diffusion), partial(update, diffusion), partial(sample, diffusion)
    )


def init(diffusion: Diffusion, key: Array, generation: Array) -> State:
    size, label = diffusion.image_size, jnp.zeros(2, jnp.int32)
    image, noise = jnp.zeros((2, size, size, 3)), jnp.zeros(2)
    params = diffusion.network.init(key, image, noise, label)
    return State(params, params, diffusion.optimizer.init(params), jnp.int32(0))


def coefficients(name: str, sigma: Array) -> tuple[Array, Array, Array, Array]:
    """Return (c_skip, c_out, c_in, c_noise) at noise levels [n]."""
    if name == "flow":
        return 1 / (1 + sigma), -sigma / (1 + sigma), 1 / (1 + sigma), sigma / (1 + sigma)
    total = jnp.sqrt(sigma**2 + SIGMA_DATA**2)
    c_skip, c_out = (SIGMA_DATA / total) ** 2, sigma * SIGMA_DATA / total
    return c_skip, c_out, 1 / total, jnp.log(sigma) / 4


def denoise(diffusion: Diffusion, params: PyTree, x: Array, sigma: Array, label: Array) -> Array:
    """Return the estimate of the clean images [n h w 3] in noisy ones, of noise levels [n]."""
    c_skip, c_out, c_in, c_noise = coefficients(diffusion.config.name, sigma)
    estimate: Any = diffusion.network.apply(params, _by(c_in, x), c_noise, label)
    return _by(c_skip, x) + _by(c_out, estimate)


def loss(diffusion: Diffusion, params: PyTree, image, noise, sigma, label) -> Array:
    """Return the mean over images of the squared error, weighted by 1 / c_out^2."""
    _, c_out, _, _ = coefficients(diffusion.config.name, sigma)
    estimate = denoise(diffusion, params, image + _by(sigma, noise), sigma, label)
    return jnp.mean(jnp.square(_by(1 / c_out, estimate - image)))


def update(
    diffusion: Diffusion, key: Array, constants: PyTree, state: State, batch: Samples
) -> tuple[State, dict[str, Array]]:
    """Take one step. Noise levels are drawn in strata: an n-th of their distribution an image."""
    config, n = diffusion.config, batch.label.shape[0]
    noise_key, level_key, label_key = keys.parts(key, "noise", "level", "label")
    image = to_unit(batch.image)
    noise = jax.random.normal(noise_key, image.shape)
    quantile = (jnp.arange(n, dtype=jnp.float32) + jax.random.uniform(level_key)) / n
    mean, deviation = LOG_SIGMA[config.name]
    z = jax.scipy.special.ndtri(jnp.clip(quantile, 1e-4, 1 - 1e-4))
    sigma = jnp.exp(mean + deviation * z)
    dropped = jax.random.bernoulli(label_key, config.label_dropout, (n,))
    label = jnp.where(dropped, diffusion.network.num_classes, batch.label)
    value_and_grad = jax.value_and_grad(loss, argnums=1)
    value, gradient = value_and_grad(diffusion, state.params, image, noise, sigma, label)
    change, optimizer = diffusion.optimizer.update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, change)
    average = optimizers.averaged(state.average, params, state.step, config.average)
    signals = {"generator/loss": value, "generator/gradient_norm": optax.tree.norm(gradient)}
    return State(params, average, optimizer, state.step + 1), signals


def sample(
    diffusion: Diffusion, key: Array, constants: PyTree, state: State, label: Array
) -> Array:
    config, size, n = diffusion.config, diffusion.image_size, label.shape[0]

    def guided(x: Array, sigma: Array) -> Array:
        sigma = jnp.full(n, sigma)
        if config.guidance == 1:
            return denoise(diffusion, state.average, x, sigma, label)
        none = jnp.full_like(label, diffusion.network.num_classes)
        x, sigma, both = (jnp.concatenate(a) for a in ([x, x], [sigma, sigma], [label, none]))
        both = denoise(diffusion, state.average, x, sigma, both)
        with_class, without = jnp.split(both, 2)
        return without + config.guidance * (with_class - without)

    levels = noise_levels(config.sampling_steps)
    x = SIGMA_MAX * jax.random.normal(key, (n, size, size, 3))
    return to_pixels(jnp.clip(SAMPLERS[config.sampler](guided, x, levels), -1, 1))


def noise_levels(steps: int) -> np.ndarray:
    """Return falling noise levels, the last 0 (Karras et al., equation 5): [steps + 1]."""
    ends = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return np.append(np.linspace(*ends, steps) ** RHO, 0.0).astype(np.float32)


def euler(denoiser: Callable, x: Array, levels: np.ndarray) -> Array:
    """Follow dx / dsigma = (x - D(x)) / sigma by one evaluation a step."""

    def step(x, between):
        now, then = between
        ratio = then / now
        return ratio * x + (1 - ratio) * denoiser(x, now), None

    return jax.lax.scan(step, x, (levels[:-1], levels[1:]))[0]


def heun(denoiser: Callable, x: Array, levels: np.ndarray) -> Array:
    """Follow the same by Heun's method, two evaluations a step but for the last (algorithm 1)."""

    def step(x, between):
        now, then = between
        slope = (x - denoiser(x, now)) / now
        ahead = x + (then - now) * slope
        slope = (slope + (ahead - denoiser(ahead, then)) / then) / 2
        return x + (then - now) * slope, None

    x = jax.lax.scan(step, x, (levels[:-2], levels[1:-1]))[0]
    return denoiser(x, levels[-2])  # Euler's step to 0


def dpm(denoiser: Callable, x: Array, levels: np.ndarray) -> Array:
    """Follow the same by DPM-Solver++(2M): multistep in log(1 / sigma), one evaluation a step.

    Lu et al. 2022, arXiv:2211.01095, algorithm 2; first order at both ends.
    """
    log_snr = -np.log(levels[:-1])
    step_sizes = np.diff(log_snr)
    half_ratio = np.zeros(len(levels) - 1, np.float32)
    half_ratio[1:-1] = 0.5 * step_sizes[1:] / step_sizes[:-1]

    def step(carry, between):
        x, before = carry
        now, then, half = between
        estimate = denoiser(x, now)
        ratio = then / now
        ahead = estimate + half * (estimate - before)
        return (ratio * x + (1 - ratio) * ahead, estimate), None

    return jax.lax.scan(step, (x, x), (levels[:-1], levels[1:], half_ratio))[0][0]


SAMPLERS = {"dpm": dpm, "heun": heun, "euler": euler}


def _by(factor: Array, x: Array) -> Array:
    return factor[:, None, None, None] * x

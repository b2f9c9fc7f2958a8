"""A class-conditional DCGAN (Radford et al. 2015) that trains in seconds on small images.

What is DCGAN's: (transposed) convolutions of kernel 4 and stride 2, batch norm in both networks,
ReLU in the generator and leaky ReLU in the discriminator, tanh at the end, Adam with beta_1 = 0.5.
What is not, and why:
  - the discriminator takes the class by projection (Miyato & Koyama 2018), the generator by a
    one-hot beside z;
  - the sizes: one layer of normalisation more (the discriminator's first), a discriminator half as
    wide again as the generator, Adam (0.5, 0.9) at 3e-3, Lecun initialisation: what trained best in
    1,600 steps on Colorized Digits;
  - samples come from averaged weights (Yazıcı et al. 2019), which takes the last step's noise out
    of a short training.
Both batch norms matter: without the discriminator's, all colours of a class melt into one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxloop import fields, keys, optimizers, spec
from jaxloop.errors import InputError
from jaxloop.generators.base import Generator
from jaxloop.ops.convolution import Conv, UpConv
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.types import Array, PyTree, Samples

AVERAGING = 0.995  # decay a step of the sampled weights
BATCH_NORM_MOMENTUM = 0.9
BETAS = 0.5, 0.9  # Adam's


@dataclass(frozen=True)
class Config(spec.Generator):
    learning_rate: float = fields.positive(3e-3, "Adam's step size, for both networks of the GAN")
    width: int = fields.integer(
        16, 2, "channels of the last hidden feature map; each coarser one has twice as many"
    )
    latent: int = fields.integer(64, 1, "size of the latent vector z", 4096)
    truncation: float = fields.interval(
        0.0,
        0,
        4,
        "sampling bias: components of z beyond it are drawn again, so that less means more typical "
        "images; 0: none",
    )


class GeneratorNetwork(nn.Module):
    """z [n latent], label [n] -> [n size size 3] in [-1, 1]."""

    num_classes: int
    base: int  # side of the first feature map
    doublings: int
    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Array, label: Array, *, train: bool) -> Array:
        x = jnp.concatenate([z, jax.nn.one_hot(label, self.num_classes)], axis=-1)
        channels = self.width * 2 ** (self.doublings - 1)
        x = nn.Dense(self.base * self.base * channels, use_bias=False, dtype=self.dtype)(x)
        x = nn.relu(_norm(train, self.dtype)(x.reshape(-1, self.base, self.base, channels)))
        for _ in range(self.doublings - 1):
            channels //= 2
            x = UpConv(channels, use_bias=False, dtype=self.dtype)(x)
            x = nn.relu(_norm(train, self.dtype)(x))
        return jnp.tanh(UpConv(3, dtype=self.dtype)(x)).astype(jnp.float32)


class DiscriminatorNetwork(nn.Module):
    """[n size size 3], label [n] -> logit [n], positive for real."""

    num_classes: int
    doublings: int
    width: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, label: Array, *, train: bool) -> Array:
        channels = self.width
        for _ in range(self.doublings):
            x = Conv(channels, (4, 4), 2, padding=1, use_bias=False, dtype=self.dtype)(x)
            x = nn.leaky_relu(_norm(train, self.dtype)(x), 0.2)
            channels *= 2
        x = x.reshape(x.shape[0], -1)
        # A product with a one-hot, not a look-up, whose gradient adds in any order on a GPU.
        one_hot = jax.nn.one_hot(label, self.num_classes)
        classes = nn.Dense(x.shape[-1], use_bias=False, dtype=self.dtype)(one_hot)
        logit = nn.Dense(1, dtype=self.dtype)(x)[:, 0] + (classes * x).sum(axis=-1)
        return logit.astype(jnp.float32)


def _norm(train: bool, dtype) -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=not train, momentum=BATCH_NORM_MOMENTUM, dtype=dtype)


class State(NamedTuple):
    """Variables are params and batch_stats. average: of the generator's; samples come from it."""

    generator: PyTree
    discriminator: PyTree
    generator_optimizer: PyTree
    discriminator_optimizer: PyTree
    average: PyTree


class Gan(NamedTuple):
    """What the pure functions below share, all of it static."""

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork
    optimizer: optax.GradientTransformation
    image_size: int
    latent: int
    truncation: float


def create(config: Config, num_classes: int, image_size: int, num_steps: int, dtype) -> Generator:
    """Return the DCGAN as a Generator."""
    base, doublings = plan(image_size)
    # Measured: a wider discriminator pays, a wider generator does not.
    gan = Gan(
        GeneratorNetwork(num_classes, base, doublings, config.width, dtype),
        DiscriminatorNetwork(num_classes, doublings, config.width * 3 // 2, dtype),
        optimizers.adam(config, num_steps, BETAS),
        image_size,
        config.latent,
        config.truncation,
    )
    return Generator(partial(init, gan), partial(update, gan), partial(sample, gan))


def plan(image_size: int) -> tuple[int, int]:
    """Return (side of the first feature map, number of doublings): 16 = 4 * 2^2, 28 = 7 * 2^2.

    Raises:
      InputError: a side that is not 4..7 times a power of two.
    """
    for doublings in range(1, 10):
        base, remainder = divmod(image_size, 2**doublings)
        if remainder == 0 and 4 <= base <= 7:
            return base, doublings
    words = "for dcgan 4, 5, 6 or 7 times a power of two (16, 28, 32, ...)"
    raise InputError("config.data.image_size", image_size, words)


def init(gan: Gan, key: Array, generation: Array) -> State:
    # The names of keys are those of the first version: another name is another initialisation.
    generator_key, discriminator_key = keys.parts(key, "painter", "critic")
    label, z = jnp.zeros((2,), jnp.int32), jnp.zeros((2, gan.latent))
    image = jnp.zeros((2, gan.image_size, gan.image_size, 3))
    generator = gan.generator.init(generator_key, z, label, train=True)
    discriminator = gan.discriminator.init(discriminator_key, image, label, train=True)
    return State(
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=gan.optimizer.init(generator["params"]),
        discriminator_optimizer=gan.optimizer.init(discriminator["params"]),
        average=generator,
    )


def update(
    gan: Gan, key: Array, constants: PyTree, state: State, batch: Samples
) -> tuple[State, dict[str, Array]]:
    """Take one step of both networks, from the same generated images."""
    real, label = to_unit(batch.image), batch.label
    z = jax.random.normal(key, (label.shape[0], gan.latent))
    generator, generator_optimizer, signals, fake = _descend(
        gan, "generator", generator_loss, state, z, label
    )
    discriminator, discriminator_optimizer, discriminator_signals, _ = _descend(
        gan, "discriminator", discriminator_loss, state, real, fake, label
    )
    step = optax.tree.get(state.generator_optimizer, "count")
    average = optimizers.averaged(state.average, generator, step, AVERAGING)
    new = State(generator, discriminator, generator_optimizer, discriminator_optimizer, average)
    return new, signals | discriminator_signals


def generator_loss(gan: Gan, params: PyTree, state: State, z: Array, label: Array):
    """Return the non-saturating loss -> (loss, (the generator's new statistics, its images))."""
    variables = {**state.generator, "params": params}
    fake, statistics = gan.generator.apply(variables, z, label, train=True, mutable=["batch_stats"])
    logit, _ = gan.discriminator.apply(
        state.discriminator, fake, label, train=True, mutable=["batch_stats"]
    )
    return jax.nn.softplus(-logit).mean(), (statistics, fake)


def discriminator_loss(gan: Gan, params: PyTree, state: State, real, fake, label: Array):
    """Return the logistic loss of real and generated images -> (loss, (new statistics, None))."""
    statistics = {"batch_stats": state.discriminator["batch_stats"]}
    logits = []
    for image in (real, fake):
        variables = {"params": params, **statistics}
        logit, statistics = gan.discriminator.apply(
            variables, image, label, train=True, mutable=["batch_stats"]
        )
        logits.append(logit)
    real_logit, fake_logit = logits
    loss = jax.nn.softplus(-real_logit).mean() + jax.nn.softplus(fake_logit).mean()
    return loss, (statistics, None)


def _descend(gan: Gan, network: str, loss_of: Callable, state: State, *batch):
    """Take one step of a `network` -> (variables, optimiser's state, signals, loss_of's extra)."""
    params = getattr(state, network)["params"]
    value_and_grad = jax.value_and_grad(loss_of, argnums=1, has_aux=True)
    (loss, (statistics, extra)), gradient = value_and_grad(gan, params, state, *batch)
    optimizer = getattr(state, f"{network}_optimizer")
    change, optimizer = gan.optimizer.update(gradient, optimizer, params)
    params = optax.apply_updates(params, change)
    signals = {f"{network}/loss": loss, f"{network}/gradient_norm": optax.tree.norm(gradient)}
    return {"params": params, **statistics}, optimizer, signals, extra


def sample(gan: Gan, key: Array, constants: PyTree, state: State, label: Array) -> Array:
    z = latent(key, (label.shape[0], gan.latent), gan.truncation)
    image: Any = gan.generator.apply(state.average, z, label, train=False)
    return to_pixels(image)


def latent(key: Array, shape: tuple[int, ...], truncation: float) -> Array:
    """Draw standard normal z; components beyond +-`truncation` are drawn again (0: none).

    The truncation trick of Brock et al. (2019). The network is trained without it: the less is
    admitted, the nearer its images come to those of z = 0.
    """
    if truncation == 0:
        return jax.random.normal(key, shape)
    return jax.random.truncated_normal(key, -truncation, truncation, shape)

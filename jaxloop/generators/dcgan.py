"""A class-conditional DCGAN (Radford et al. 2015) that trains in seconds on small images.

What is DCGAN's: (transposed) convolutions of kernel 4 and stride 2, batch norm in both networks, ReLU in the generator and
leaky ReLU in the discriminator, tanh at the end, Adam with beta_1 = 0.5. What is not, and why:
  - the discriminator takes the class by projection (Miyato & Koyama 2018), the generator by a one-hot beside z;
  - the sizes: one layer of normalisation more (the discriminator's first), a discriminator half as wide again as the
    generator, Adam (0.5, 0.9) at 3e-3, Lecun initialisation: what trained best in 1,600 steps on Colorized Digits;
  - samples come from averaged weights (Yazıcı et al. 2019), which takes the last step's noise out of a short training.
Both batch norms matter: without the discriminator's, all colours of a class melt into one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxloop import config, keys
from jaxloop.errors import InputError
from jaxloop.generators.base import Generator
from jaxloop.ops.convolution import Conv, UpConv
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.types import Array, PyTree, Samples

AVERAGING = (
    0.995  # of the sampling weights, a step; less at the start, which would else be remembered
)
BATCH_NORM_MOMENTUM = 0.9
BETAS = 0.5, 0.9  # Adam's


def _norm(train: bool) -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=not train, momentum=BATCH_NORM_MOMENTUM)


class Painter(nn.Module):
    """The generator network: z [n latent], label [n] -> [n size size 3] in [-1, 1]."""

    num_classes: int
    base: int  # side of the first feature map
    doublings: int
    width: int

    @nn.compact
    def __call__(self, z: Array, label: Array, *, train: bool) -> Array:
        x = jnp.concatenate([z, jax.nn.one_hot(label, self.num_classes)], axis=-1)
        channels = self.width * 2 ** (self.doublings - 1)
        x = nn.Dense(self.base * self.base * channels, use_bias=False)(x)
        x = nn.relu(_norm(train)(x.reshape(-1, self.base, self.base, channels)))
        for _ in range(self.doublings - 1):
            channels //= 2
            x = nn.relu(_norm(train)(UpConv(channels, use_bias=False)(x)))
        return jnp.tanh(UpConv(3)(x))


class Critic(nn.Module):
    """The discriminator network: [n size size 3], label [n] -> logit [n], positive for real."""

    num_classes: int
    doublings: int
    width: int

    @nn.compact
    def __call__(self, x: Array, label: Array, *, train: bool) -> Array:
        channels = self.width
        for _ in range(self.doublings):
            x = Conv(channels, (4, 4), strides=(2, 2), padding=((1, 1), (1, 1)), use_bias=False)(x)
            x = nn.leaky_relu(_norm(train)(x), 0.2)
            channels *= 2
        x = x.reshape(x.shape[0], -1)
        # A product with a one-hot, not a look-up: the gradient of a look-up is a scatter, which adds in any order on a GPU.
        classes = nn.Dense(x.shape[-1], use_bias=False)(jax.nn.one_hot(label, self.num_classes))
        return nn.Dense(1)(x)[:, 0] + (classes * x).sum(axis=-1)


class State(NamedTuple):
    painter: PyTree  # variables: params and batch_stats
    critic: PyTree
    painter_optimizer: PyTree
    critic_optimizer: PyTree
    average: PyTree  # of the painter's variables; what samples come from


def plan(image_size: int) -> tuple[int, int]:
    """(side of the first feature map, number of doublings) of an image side: 16 = 4 * 2^2, 28 = 7 * 2^2, 32 = 4 * 2^3.

    Raises InputError for a side that is not 4..7 times a power of two.
    """
    for doublings in range(1, 10):
        base, rest = divmod(image_size, 2**doublings)
        if rest == 0 and 4 <= base <= 7:
            return base, doublings
    raise InputError(
        "config.data.image_size",
        image_size,
        "for dcgan 4, 5, 6 or 7 times a power of two (16, 28, 32, ...)",
    )


def latent(key: Array, shape: tuple[int, ...], truncation: float) -> Array:
    """Standard normal z, whose components beyond +-`truncation` are drawn again (Brock et al. 2019's truncation trick); 0: none.

    The network is trained without it: the less is admitted, the nearer its pictures come to those of z = 0.
    """
    if truncation == 0:
        return jax.random.normal(key, shape)
    return jax.random.truncated_normal(key, -truncation, truncation, shape)


def create(spec: config.Generator, num_classes: int, image_size: int) -> Generator:
    """The DCGAN as a Generator. `spec` gives learning_rate, width, latent and truncation."""
    base, doublings = plan(image_size)
    painter = Painter(num_classes, base, doublings, spec.width)
    critic = Critic(
        num_classes, doublings, spec.width * 3 // 2
    )  # measured: a wider critic pays, a wider painter does not
    optimizer = optax.adam(spec.learning_rate, *BETAS)

    def init(key: Array) -> State:
        painter_key, critic_key = keys.parts(key, "painter", "critic")
        label = jnp.zeros((2,), jnp.int32)
        paint = painter.init(painter_key, jnp.zeros((2, spec.latent)), label, train=True)
        criticize = critic.init(
            critic_key, jnp.zeros((2, image_size, image_size, 3)), label, train=True
        )
        return State(
            painter=paint,
            critic=criticize,
            painter_optimizer=optimizer.init(paint["params"]),
            critic_optimizer=optimizer.init(criticize["params"]),
            average=paint,
        )

    def update(key: Array, state: State, batch: Samples) -> tuple[State, dict[str, Array]]:
        real, label = to_unit(batch.image), batch.label
        z = jax.random.normal(key, (label.shape[0], spec.latent))

        def painted(params):
            variables = {**state.painter, "params": params}
            return painter.apply(variables, z, label, train=True, mutable=["batch_stats"])

        def judged(params, statistics, image):
            variables = {"params": params, **statistics}
            return critic.apply(variables, image, label, train=True, mutable=["batch_stats"])

        def painter_loss(params):
            fake, statistics = painted(params)
            logit, _ = judged(
                state.critic["params"], {"batch_stats": state.critic["batch_stats"]}, fake
            )
            return jax.nn.softplus(-logit).mean(), (fake, statistics)

        def critic_loss(params, fake):
            real_logit, statistics = judged(
                params, {"batch_stats": state.critic["batch_stats"]}, real
            )
            fake_logit, statistics = judged(params, statistics, fake)
            return jax.nn.softplus(-real_logit).mean() + jax.nn.softplus(
                fake_logit
            ).mean(), statistics

        paint = jax.value_and_grad(painter_loss, has_aux=True)
        (painter_value, (fake, painter_statistics)), painter_gradient = paint(
            state.painter["params"]
        )
        criticize = jax.value_and_grad(critic_loss, has_aux=True)
        (critic_value, critic_statistics), critic_gradient = criticize(state.critic["params"], fake)

        change, painter_optimizer = optimizer.update(painter_gradient, state.painter_optimizer)
        new_painter = {
            "params": optax.apply_updates(state.painter["params"], change),
            **painter_statistics,
        }
        change, critic_optimizer = optimizer.update(critic_gradient, state.critic_optimizer)
        new_critic = {
            "params": optax.apply_updates(state.critic["params"], change),
            **critic_statistics,
        }
        done = optax.tree_utils.tree_get(state.painter_optimizer, "count").astype(jnp.float32)
        kept = jnp.minimum(AVERAGING, (1.0 + done) / (10.0 + done))
        average = optax.incremental_update(new_painter, state.average, 1.0 - kept)
        scalars = {"painter_loss": painter_value, "critic_loss": critic_value}
        return State(new_painter, new_critic, painter_optimizer, critic_optimizer, average), scalars

    def sample(key: Array, state: State, label: Array) -> Array:
        z = latent(key, (label.shape[0], spec.latent), spec.truncation)
        return to_pixels(painter.apply(state.average, z, label, train=False))

    return Generator(init, update, sample)

"""Batch normalisation as torch does it."""

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxloop.types import Array


class BatchNorm(nn.Module):
    """Normalises the channels of [n h w c] over n, h and w (Ioffe & Szegedy 2015), as torch.nn.BatchNorm2d.

    Linen's BatchNorm differs from torch's in one thing: torch's running variance is the unbiased one, Linen's is not.

    momentum: the share of the new batch in the running statistics (torch's convention; Linen's is one minus it).
    """

    train: bool
    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        if self.train:
            mean = x.mean(axis=(0, 1, 2))
            var = jnp.square(x - mean[None, None, None]).mean(axis=(0, 1, 2))
            if not self.is_initializing():
                n = x.size // channels
                running_mean.value += self.momentum * (mean - running_mean.value)
                running_var.value += self.momentum * (var * (n / max(n - 1, 1)) - running_var.value)
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * lax.rsqrt(var + self.epsilon)
        return x * factor[None, None, None] + (bias - mean * factor)[None, None, None]

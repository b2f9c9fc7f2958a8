"""What several networks are made of, beside convolutions."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxloop.types import Array

# torch's kaiming_normal_(mode="fan_out") of a ReLU network (He et al. 2015, arXiv:1502.01852).
he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def at_least_float32(x: Array) -> Array:
    """Return `x` in float32, or as it is where it has more digits."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


class BatchNorm(nn.Module):
    """Batch normalisation of [n h w c] over n, h and w (Ioffe & Szegedy 2015), as torch's.

    Linen's differs in one thing: torch's running variance is the unbiased one. Statistics are
    float32 or more, whatever the output's `dtype`. momentum: of the new batch, as in torch.
    """

    train: bool
    momentum: float = 0.1
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels, dtype, x = x.shape[-1], self.dtype or x.dtype, at_least_float32(x)
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        mean, var = running_mean.value, running_var.value
        if self.train:
            mean = x.mean(axis=(0, 1, 2))
            var = jnp.square(x - mean[None, None, None]).mean(axis=(0, 1, 2))
            if not self.is_initializing():
                n = x.size // channels
                running_mean.value += self.momentum * (mean - running_mean.value)
                running_var.value += self.momentum * (var * (n / max(n - 1, 1)) - running_var.value)
        factor = scale * lax.rsqrt(var + self.epsilon)
        y = x * factor[None, None, None] + (bias - mean * factor)[None, None, None]
        return y.astype(dtype)


def adaptive_average_pool(x: Array, side: int) -> Array:
    """Average [n h w c] to [n side side c], as torch's AdaptiveAvgPool2d.

    Output i averages pixels floor(i h / side) to ceil((i + 1) h / side): bins overlap where side
    does not divide h, and repeat pixels where h < side.
    """
    rows, columns = (jnp.asarray(_bins(length, side), x.dtype) for length in x.shape[1:3])
    # Averages need more than the precision that accelerators use for matrix products.
    x = jnp.einsum("ih,nhwc->niwc", rows, x, precision="highest")
    return jnp.einsum("jw,niwc->nijc", columns, x, precision="highest")


def _bins(length: int, side: int) -> np.ndarray:
    """Return the weights [side length] of the pixels in each output."""
    i, pixel = np.arange(side)[:, None], np.arange(length)[None]
    inside = (i * length // side <= pixel) & (pixel * side < (i + 1) * length)
    return inside / inside.sum(axis=1, keepdims=True)

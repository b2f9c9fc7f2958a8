"""What several of the networks are made of."""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxloop.types import Array

# torch's kaiming_normal_(mode="fan_out") of a ReLU network (He et al. 2015, arXiv:1502.01852).
he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def scaled(channels: int, width: float) -> int:
    """The channels of a hidden layer in a network of this width."""
    return max(1, round(channels * width))


def adaptive_average_pool(x: Array, side: int) -> Array:
    """Averages [n h w c] to [n side side c], as torch's AdaptiveAvgPool2d.

    Output i averages pixels floor(i h / side) to ceil((i + 1) h / side): bins overlap where side does not divide h, and
    repeat pixels where h < side.
    """
    rows, columns = (jnp.asarray(_bins(length, side), x.dtype) for length in x.shape[1:3])
    # An average is no place for the reduced precision that accelerators use for matrix products.
    x = jnp.einsum("ih,nhwc->niwc", rows, x, precision="highest")
    return jnp.einsum("jw,niwc->nijc", columns, x, precision="highest")


def _bins(length: int, side: int) -> np.ndarray:
    """[side length]: row i holds the weights that output i gives to the pixels."""
    i, pixel = np.arange(side)[:, None], np.arange(length)[None]
    inside = (i * length // side <= pixel) & (pixel * side < (i + 1) * length)
    return inside / inside.sum(axis=1, keepdims=True)

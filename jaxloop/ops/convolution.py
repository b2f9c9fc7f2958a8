"""The one place that chooses how a convolution is computed; models say `Conv(...)`.

Accelerators get `lax.conv_general_dilated`. On the CPU, XLA's convolution is slow: in a compiled
loop its gradient takes more than ten times as long as outside, and small pictures are worse. There
it is made of matrix products (`lowerings`, `winograd`; which is fastest where:
benchmarks/convolutions.py), in float32 or more. All agree to float32 rounding.
"""

from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import lax

from jaxloop.ops import lowerings, winograd
from jaxloop.ops.layers import at_least_float32
from jaxloop.types import Array

WIDE = 16  # channels from which on a matrix product a tile place is large enough for Winograd
NHWC = ("NHWC", "HWIO", "NHWC")
STRIDE_1 = {"dense": lowerings.dense, "banded": lowerings.banded, "winograd": winograd.convolve}


def convolve(
    lhs: Array, rhs: Array, window_strides, padding, feature_group_count: int = 1, **options
) -> Array:
    """Stand in for `lax.conv_general_dilated`, with NHWC images and HWIO kernels."""
    dilations = (options.get("lhs_dilation"), options.get("rhs_dilation"))
    dilated = any(d is not None and set(d) != {1} for d in dilations)
    depthwise = feature_group_count == lhs.shape[-1] == rhs.shape[-1]
    if jax.default_backend() != "cpu" or dilated or (feature_group_count > 1 and not depthwise):
        options["feature_group_count"] = feature_group_count
        return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **options)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    padding = tuple((int(before), int(after)) for before, after in padding)
    arrays, strides = (at_least_float32(lhs), at_least_float32(rhs)), tuple(window_strides)
    if feature_group_count > 1:
        out = lowerings.depthwise(*arrays, strides, padding)
    elif (name := choose(lhs.shape, rhs.shape, strides, padding)) == "patches":
        out = lowerings.patches(*arrays, strides, padding)
    else:
        out = STRIDE_1[name](*arrays, padding)
    return out.astype(lhs.dtype)


def choose(
    shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...], padding
) -> str:
    """Name the CPU's lowering for images of `shape` [n h w c], a kernel of shape [kh kw c o]."""
    kh, kw, c, o = kernel
    if strides != (1, 1) or (kh, kw) == (1, 1) or min(map(min, padding)) < 0:
        return "patches"
    if max(*shape[1:3], *lowerings.out_size(shape, kernel, strides, padding)) <= 2:
        return "dense"
    if (kh, kw) == (3, 3) and min(c, o) >= WIDE:
        return "winograd"
    return "banded" if max(c, o) <= WIDE else "patches"


Conv = partial(nn.Conv, conv_general_dilated=convolve)


def max_pool(x: Array, window: int = 2, stride: int = 2, padding: int = 0) -> Array:
    """Pool window x window pixels every `stride`, as torch's MaxPool2d in floor mode.

    An elementwise maximum of shifted slices: on the CPU the gradient of XLA's `reduce_window` costs
    more than a small network's convolutions, and that of a maximum over a reshaped axis five times
    as much as this.
    """
    padded = lowerings.pad(x, ((padding, padding),) * 2, -jnp.inf)
    return reduce(jnp.maximum, lowerings.taps(padded, (window, window), (stride, stride)))


class UpConv(nn.Module):
    """Transposed convolution of kernel 4, stride 2, padding 1: [n h w c] -> [n 2h 2w features].

    An output pixel sees 2x2 inputs, and which ones depends on its parity. So this is one 2x2
    convolution that gives all four parities at every corner between pixels, of which each output
    takes one. Nothing is computed on zeros.

    dtype: of the computation, as in Linen's layers; None: that of input and parameters.
    """

    features: int
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, h, w, c = x.shape
        # An output sums over 2x2 of the kernel's 4x4 entries: its fan-in.
        initial = nn.initializers.lecun_normal()
        kernel = self.param("kernel", initial, (2, 2, c, 4 * self.features))
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        corner = convolve(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)
        corner = corner.reshape(n, h + 1, w + 1, 2, 2, self.features)
        # [n h 2 w+1 2 features], then [n h 2 w 2 features]
        rows = jnp.stack([corner[:, a : a + h, :, a] for a in (0, 1)], axis=2)
        pixels = jnp.stack([rows[:, :, :, b : b + w, b] for b in (0, 1)], axis=4)
        y = pixels.reshape(n, 2 * h, 2 * w, self.features)
        return y if bias is None else y + bias[None, None, None]

"""The one place that chooses how a convolution is computed. Models say `Conv(...)` and do not see the choice.

Accelerators get `lax.conv_general_dilated`. On the CPU, XLA's convolution falls into slow paths: inside a compiled loop its
gradient is more than ten times slower than outside, and small pictures are worse. There a convolution is made of matrix
products, which escape both (`jaxloop.ops.lowerings`, `jaxloop.ops.winograd`; which is fastest where: benchmarks/convolutions.py). All
agree to float32 rounding (tests/test_convolution.py).
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxloop.ops import lowerings, winograd
from jaxloop.types import Array

WIDE = 16  # channels from which on a matrix product a tile place is large enough for Winograd


def convolve(
    lhs: Array, rhs: Array, window_strides, padding, feature_group_count: int = 1, **rest
) -> Array:
    """Drop-in for `lax.conv_general_dilated`, chosen by backend and by what is asked: NHWC images, HWIO kernels."""
    dilated = any(
        d is not None and set(d) != {1}
        for d in (rest.get("lhs_dilation"), rest.get("rhs_dilation"))
    )
    depthwise = feature_group_count == lhs.shape[-1] == rhs.shape[-1]
    if jax.default_backend() != "cpu" or dilated or (feature_group_count > 1 and not depthwise):
        return lax.conv_general_dilated(
            lhs, rhs, window_strides, padding, feature_group_count=feature_group_count, **rest
        )
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    padding = tuple((int(before), int(after)) for before, after in padding)
    if feature_group_count > 1:
        return lowerings.depthwise(lhs, rhs, window_strides, padding)
    how = choose(lhs.shape, rhs.shape, tuple(window_strides), padding)
    if how == "patches":
        return lowerings.patches(lhs, rhs, window_strides, padding)
    return STRIDE_1[how](lhs, rhs, padding)


def choose(
    shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], padding
) -> str:
    """How a convolution of images of `shape` [n h w c] with a kernel of shape [kh kw c o] is computed on the CPU."""
    kh, kw, c, o = kernel
    if (
        strides != (1, 1)
        or (kh, kw) == (1, 1)
        or min(pads for side in padding for pads in side) < 0
    ):
        return "patches"
    if max(*shape[1:3], *lowerings.out_size(shape, kernel, strides, padding)) <= 2:
        return "dense"
    if (kh, kw) == (3, 3) and min(c, o) >= WIDE:
        return "winograd"
    return "banded" if max(c, o) <= WIDE else "patches"


STRIDE_1 = {"dense": lowerings.dense, "banded": lowerings.banded, "winograd": winograd.convolve}
NHWC = ("NHWC", "HWIO", "NHWC")
Conv = partial(nn.Conv, conv_general_dilated=convolve)


def max_pool_2x2(x: Array) -> Array:
    """Maximum over 2x2 windows, stride 2; an odd last row or column is left out. [n h w c] -> [n h//2 w//2 c]."""
    return max_pool(x, 2, 2)


def max_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Maximum over window x window pixels every `stride`, as torch's MaxPool2d (floor mode): [n h w c] -> [n h' w' c].

    An elementwise maximum of shifted slices: on the CPU the gradient of XLA's `reduce_window` costs more than a small network's
    convolutions, and that of a maximum over a reshaped axis five times as much as this.
    """
    padded = lowerings.pad(x, ((padding, padding),) * 2, -jnp.inf)
    return reduce(jnp.maximum, lowerings.taps(padded, (window, window), (stride, stride)))


class UpConv(nn.Module):
    """Transposed convolution of kernel 4, stride 2, padding 1 (DCGAN's): [n h w c] -> [n 2h 2w features].

    An output pixel sees 2x2 inputs, and which ones depends on its parity; so this is one 2x2 convolution that gives all
    four parities at every corner between pixels, of which each output takes its own. Nothing is computed on zeros.
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, h, w, c = x.shape
        # An output sums over 2x2 of the kernel's 4x4 entries, so that is its fan-in.
        initial = nn.initializers.lecun_normal()
        kernel = self.param("kernel", initial, (2, 2, c, 4 * self.features))
        corner = convolve(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=NHWC)
        corner = corner.reshape(n, h + 1, w + 1, 2, 2, self.features)
        rows = jnp.stack(
            [corner[:, a : a + h, :, a] for a in (0, 1)], axis=2
        )  # [n h 2 w+1 2 features]
        both = jnp.stack(
            [rows[:, :, :, b : b + w, b] for b in (0, 1)], axis=4
        )  # [n h 2 w 2 features]
        y = both.reshape(n, 2 * h, 2 * w, self.features)
        return (
            y + self.param("bias", nn.initializers.zeros, (self.features,))[None, None, None]
            if self.use_bias
            else y
        )

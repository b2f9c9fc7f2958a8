"""The one place that chooses how a convolution is computed. Models say `Conv(...)` and do not see the choice.

Accelerators get `lax.conv_general_dilated`. On the CPU, XLA's convolution falls into slow paths: inside a compiled loop its
gradient is more than ten times slower than outside, and small pictures are worse. There a convolution is a matrix product
over patches, which escapes both. The two agree to float32 rounding (tests/test_convolution.py).
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxloop.types import Array


def convolve(lhs: Array, rhs: Array, window_strides, padding, **rest) -> Array:
    """Drop-in for `lax.conv_general_dilated`, chosen by backend and by what is asked: NHWC images, HWIO kernels."""
    if jax.default_backend() == "cpu" and _plain(rest):
        return patches_matmul(lhs, rhs, window_strides, padding)
    return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **rest)


def patches_matmul(lhs: Array, rhs: Array, window_strides, padding) -> Array:
    """Convolution as one matrix product over patches.

    Args:
      lhs: [n h w c]; rhs: [kh kw c o]; window_strides: (sh, sw); padding: "SAME", "VALID" or ((top, bottom), (left, right)).

    Returns:
      [n h' w' o], equal to `lax.conv_general_dilated` up to rounding.
    """
    kh, kw, c, o = rhs.shape
    sh, sw = window_strides
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], (kh, kw), window_strides, padding)
    padded = jnp.pad(lhs, ((0, 0), *padding, (0, 0)))
    n, height, width, _ = padded.shape
    rows, columns = (height - kh) // sh + 1, (width - kw) // sw + 1
    shifted = [
        padded[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw, :]
        for i in range(kh)
        for j in range(kw)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(n * rows * columns, kh * kw * c)
    return (patches @ rhs.reshape(kh * kw * c, o)).reshape(n, rows, columns, o)


def _plain(rest: dict) -> bool:
    """No dilation, no groups: what `patches_matmul` covers."""
    dilations = (rest.get("lhs_dilation"), rest.get("rhs_dilation"))
    return all(d is None or set(d) == {1} for d in dilations) and rest.get("feature_group_count", 1) == 1


Conv = partial(nn.Conv, conv_general_dilated=convolve)


def max_pool_2x2(x: Array) -> Array:
    """Maximum over 2x2 windows, stride 2; an odd last row or column is left out. [n h w c] -> [n h//2 w//2 c].

    Written as a reshape: the gradient of XLA's `reduce_window` costs more than a small network's convolutions on the CPU.
    """
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2, :].reshape(n, h // 2, 2, w // 2, 2, c)
    return x.max(axis=(2, 4))


def space_to_depth(x: Array) -> Array:
    """[n 2h 2w c] -> [n h w 4c]: halves the resolution and loses nothing."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def depth_to_space(x: Array) -> Array:
    """[n h w 4c] -> [n 2h 2w c]: the inverse of `space_to_depth`."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)

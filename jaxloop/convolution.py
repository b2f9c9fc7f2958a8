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
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    padded = jnp.pad(lhs, ((0, 0), *padding, (0, 0)))
    (sh, sw), sizes = window_strides, (*padded.shape[1:3], *rhs.shape[:2])
    if (sh, sw) == (2, 2) and all(size % 2 == 0 for size in sizes):
        # Half the resolution, half the kernel, stride 1: a fourth of the slices, and none with gaps.
        padded, rhs, sh, sw = space_to_depth(padded), _kernel_to_depth(rhs), 1, 1
    kh, kw, c, o = rhs.shape
    n, height, width, _ = padded.shape
    rows, columns = (height - kh) // sh + 1, (width - kw) // sw + 1
    shifted = [
        padded[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw, :]
        for i in range(kh)
        for j in range(kw)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(n * rows * columns, kh * kw * c)
    return _matmul(patches, rhs.reshape(kh * kw * c, o)).reshape(n, rows, columns, o)


@jax.custom_vjp
def _matmul(patches: Array, weight: Array) -> Array:
    """[m k] @ [k o]. Its own gradient only to fix the form of the weight's: [o m] @ [m k], then transposed.

    Autodiff's form, [k m] @ [m o], is the same sum and takes two to five times as long on the CPU, where o is small; without
    the barrier XLA turns the one into the other.
    """
    return patches @ weight


def _matmul_forward(patches: Array, weight: Array):
    return patches @ weight, (patches, weight)


def _matmul_backward(kept: tuple[Array, Array], gradient: Array):
    patches, weight = kept
    of_weight = lax.optimization_barrier(lax.dot_general(gradient, patches, (((0,), (0,)), ((), ()))))
    return gradient @ weight.T, of_weight.T


_matmul.defvjp(_matmul_forward, _matmul_backward)


def _kernel_to_depth(kernel: Array) -> Array:
    """The kernel that does to `space_to_depth(x)`, at stride 1, what `kernel` does to x at stride 2: [2a 2b c o] -> [a b 4c o]."""
    kh, kw, c, o = kernel.shape
    split = kernel.reshape(kh // 2, 2, kw // 2, 2, c, o).transpose(0, 2, 1, 3, 4, 5)
    return split.reshape(kh // 2, kw // 2, 4 * c, o)


def space_to_depth(x: Array) -> Array:
    """[n 2h 2w c] -> [n h w 4c]: halves the resolution and loses nothing."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def _plain(rest: dict) -> bool:
    """No dilation, no groups: what `patches_matmul` covers."""
    dilations = (rest.get("lhs_dilation"), rest.get("rhs_dilation"))
    return all(d is None or set(d) == {1} for d in dilations) and rest.get("feature_group_count", 1) == 1


NHWC = ("NHWC", "HWIO", "NHWC")
Conv = partial(nn.Conv, conv_general_dilated=convolve)


def max_pool_2x2(x: Array) -> Array:
    """Maximum over 2x2 windows, stride 2; an odd last row or column is left out. [n h w c] -> [n h//2 w//2 c].

    Written as a reshape: the gradient of XLA's `reduce_window` costs more than a small network's convolutions on the CPU.
    """
    n, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2, :].reshape(n, h // 2, 2, w // 2, 2, c)
    return x.max(axis=(2, 4))


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
        rows = jnp.stack([corner[:, a : a + h, :, a] for a in (0, 1)], axis=2)  # [n h 2 w+1 2 features]
        both = jnp.stack([rows[:, :, :, b : b + w, b] for b in (0, 1)], axis=4)  # [n h 2 w 2 features]
        y = both.reshape(n, 2 * h, 2 * w, self.features)
        return y + self.param("bias", nn.initializers.zeros, (self.features,))[None, None, None] if self.use_bias else y

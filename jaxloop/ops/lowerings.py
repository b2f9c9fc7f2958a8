"""Convolutions as matrix products, for CPUs: each equals `lax.conv_general_dilated` up to rounding.

All take images [n h w c], kernels [kh kw c o] and padding ((top, bottom), (left, right)).
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloop.types import Array


def out_size(shape: tuple[int, ...], kernel: tuple[int, ...], strides, padding) -> tuple[int, ...]:
    """Return (h', w') for images of `shape` [n h w c] and a kernel of shape [kh kw ...]."""
    sides = zip(shape[1:3], padding, kernel[:2], strides, strict=True)
    return tuple((side + sum(pads) - k) // stride + 1 for side, pads, k, stride in sides)


def pad(image: Array, padding, value: float = 0.0) -> Array:
    """Pad [n h w c] with `value`; negative padding cuts."""
    if not np.any(padding):
        return image
    (top, bottom), (left, right) = padding
    edges = ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0))
    return lax.pad(image, jnp.asarray(value, image.dtype), edges)


def taps(padded: Array, kernel: tuple[int, ...], strides) -> list[Array]:
    """Return what each entry of a kernel is multiplied with: kh kw arrays [n h' w' c]."""
    (kh, kw), (sh, sw) = kernel, strides
    rows, columns = out_size(padded.shape, kernel, strides, ((0, 0), (0, 0)))
    return [
        padded[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]


def patches(image: Array, kernel: Array, strides, padding) -> Array:
    """Multiply patches, [n h' w', kh kw c] @ [kh kw c, o]: any kernel, stride and padding."""
    kh, kw, _, o = kernel.shape
    if (kh, kw) == tuple(strides) and not np.any(padding):
        rows = _blocks(image, kh, kw)
    else:
        padded = pad(image, padding)
        if tuple(strides) == (2, 2) and all(side % 2 == 0 for side in (*padded.shape[1:3], kh, kw)):
            # Half the resolution and half the kernel at stride 1: a fourth of the slices, no gaps.
            padded, kernel, strides = space_to_depth(padded), _kernel_to_depth(kernel), (1, 1)
        shifted = taps(padded, kernel.shape[:2], strides)
        rows = jnp.concatenate(shifted, axis=-1) if len(shifted) > 1 else shifted[0]
    n, height, width, k = rows.shape
    product = _matmul(rows.reshape(-1, k), kernel.reshape(k, o))
    return product.reshape(n, height, width, o)


@jax.custom_vjp
def _matmul(rows: Array, weight: Array) -> Array:
    """Multiply [m k] @ [k o]; the weight's gradient is [o m] @ [m k], transposed.

    Autodiff's form, [k m] @ [m o], is the same sum and takes two to five times as long on the CPU,
    where o is small. Without the barrier XLA turns the one into the other.
    """
    return rows @ weight


def _matmul_backward(residuals: tuple[Array, Array], gradient: Array):
    rows, weight = residuals
    product = lax.dot_general(gradient, rows, (((0,), (0,)), ((), ())))
    return gradient @ weight.T, lax.optimization_barrier(product).T


_matmul.defvjp(lambda rows, weight: (rows @ weight, (rows, weight)), _matmul_backward)


def _blocks(image: Array, kh: int, kw: int) -> Array:
    """Cut [n h w c] into patches that do not overlap: [n h//kh w//kw, kh kw c]."""
    n, c, rows, columns = len(image), image.shape[3], image.shape[1] // kh, image.shape[2] // kw
    cut = image[:, : rows * kh, : columns * kw].reshape(n, rows, kh, columns, kw, c)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, kh * kw * c)


def space_to_depth(x: Array) -> Array:
    """Halve the resolution and lose nothing: [n 2h 2w c] -> [n h w 4c]."""
    return _blocks(x, 2, 2)


def _kernel_to_depth(kernel: Array) -> Array:
    """Return the kernel [a b 4c o] that is to `space_to_depth(x)` what [2a 2b c o] is to x."""
    kh, kw, c, o = kernel.shape
    split = kernel.reshape(kh // 2, 2, kw // 2, 2, c, o).transpose(0, 2, 1, 3, 4, 5)
    return split.reshape(kh // 2, kw // 2, 4 * c, o)


def dense(image: Array, kernel: Array, padding) -> Array:
    """Multiply whole pictures, [n, h w c] @ [h w c, h' w' o], at stride 1: for very few pixels."""
    n, h, w, _ = image.shape
    kh, kw, c, o = kernel.shape
    rows, columns = out_size(image.shape, kernel.shape, (1, 1), padding)
    outside = jnp.zeros((c, o), kernel.dtype)

    def block(i: int, j: int, a: int, b: int) -> Array:
        """What leads from pixel (i, j) to output (a, b)."""
        u, v = i - a + padding[0][0], j - b + padding[1][0]
        return kernel[u, v] if 0 <= u < kh and 0 <= v < kw else outside

    outputs = list(itertools.product(range(rows), range(columns)))
    pixels = itertools.product(range(h), range(w))
    matrix = jnp.block([[block(*pixel, *output) for output in outputs] for pixel in pixels])
    return (image.reshape(n, -1) @ matrix).reshape(n, rows, columns, o)


def banded(image: Array, kernel: Array, padding) -> Array:
    """Multiply whole rows, [n h', kh w c] @ [kh w c, w' o], at stride 1: for few channels."""
    kh, kw, c, o = kernel.shape
    n, _, w, _ = image.shape
    rows, columns = out_size(image.shape, kernel.shape, (1, 1), padding)
    # The kernel's entry that leads from pixel j to output b, spread by zeros and ones: exact, and
    # the gradient is a product as well, where an index would scatter.
    entry = np.arange(w)[:, None] - np.arange(columns)[None] + padding[1][0]
    place = (np.arange(kw)[:, None, None] == entry).astype(np.float32)
    matrix = jnp.einsum("kvco,vjb->kjcbo", kernel, place, precision="highest")
    padded = pad(image, (padding[0], (0, 0))).reshape(n, -1, w * c)
    bands = jnp.concatenate([padded[:, i : i + rows] for i in range(kh)], axis=-1)
    product = bands.reshape(n * rows, -1) @ matrix.reshape(kh * w * c, columns * o)
    return product.reshape(n, rows, columns, o)


def depthwise(image: Array, kernel: Array, strides, padding) -> Array:
    """Sum what each entry of a kernel [kh kw 1 c] sees, times that entry."""
    shifted = taps(pad(image, padding), kernel.shape[:2], strides)
    weights = kernel.reshape(-1, kernel.shape[-1])
    terms = [x * weights[i][None, None, None] for i, x in enumerate(shifted)]
    return functools.reduce(jnp.add, terms)

"""Convolutions written as matrix products, for CPUs: each equal to `lax.conv_general_dilated` up to rounding.

All take images [n h w c], kernels [kh kw c o] and padding ((top, bottom), (left, right)).
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloop.types import Array


def out_size(shape: tuple[int, ...], kernel: tuple[int, ...], strides, padding) -> tuple[int, int]:
    """(h', w') of a convolution of images of `shape` [n h w c] with a kernel of shape [kh kw c o]."""
    return tuple(
        (side + sum(pads) - k) // stride + 1
        for side, pads, k, stride in zip(shape[1:3], padding, kernel[:2], strides, strict=True)
    )


def pad(image: Array, padding, value: float = 0.0) -> Array:
    """[n h w c] with `value` around; negative padding cuts."""
    (top, bottom), (left, right) = padding
    if top == bottom == left == right == 0:
        return image
    return lax.pad(
        image,
        jnp.asarray(value, image.dtype),
        ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)),
    )


def taps(padded: Array, kernel: tuple[int, int], strides) -> list[Array]:
    """What each entry of a kernel sees: kh kw arrays [n h' w' c], row by row."""
    (kh, kw), (sh, sw) = kernel, strides
    rows, columns = out_size(padded.shape, kernel, strides, ((0, 0), (0, 0)))
    return [
        padded[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]


# Patches: any kernel, stride and padding.


def patches(image: Array, kernel: Array, strides, padding) -> Array:
    """One matrix product over patches, [n h' w', kh kw c] @ [kh kw c, o]."""
    kh, kw, _, o = kernel.shape
    if (kh, kw) == tuple(strides) and not np.any(padding):
        seen = _blocks(image, kh, kw)
    else:
        padded = pad(image, padding)
        if tuple(strides) == (2, 2) and all(size % 2 == 0 for size in (*padded.shape[1:3], kh, kw)):
            # Half the resolution, half the kernel, stride 1: a fourth of the slices, and none with gaps.
            padded, kernel, strides = space_to_depth(padded), _kernel_to_depth(kernel), (1, 1)
        shifted = taps(padded, kernel.shape[:2], strides)
        seen = jnp.concatenate(shifted, axis=-1) if len(shifted) > 1 else shifted[0]
    n, rows, columns, k = seen.shape
    return _matmul(seen.reshape(-1, k), kernel.reshape(k, o)).reshape(n, rows, columns, o)


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
    of_weight = lax.optimization_barrier(
        lax.dot_general(gradient, patches, (((0,), (0,)), ((), ())))
    )
    return gradient @ weight.T, of_weight.T


_matmul.defvjp(_matmul_forward, _matmul_backward)


def _blocks(image: Array, kh: int, kw: int) -> Array:
    """Patches that do not overlap: [n h w c] -> [n h//kh w//kw, kh kw c]; what is left over at the end is cut."""
    n, h, w, c = image.shape
    rows, columns = h // kh, w // kw
    cut = image[:, : rows * kh, : columns * kw].reshape(n, rows, kh, columns, kw, c)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, kh * kw * c)


def space_to_depth(x: Array) -> Array:
    """[n 2h 2w c] -> [n h w 4c]: halves the resolution and loses nothing."""
    return _blocks(x, 2, 2)


def _kernel_to_depth(kernel: Array) -> Array:
    """The kernel that does to `space_to_depth(x)`, at stride 1, what `kernel` does to x at stride 2: [2a 2b c o] -> [a b 4c o]."""
    kh, kw, c, o = kernel.shape
    split = kernel.reshape(kh // 2, 2, kw // 2, 2, c, o).transpose(0, 2, 1, 3, 4, 5)
    return split.reshape(kh // 2, kw // 2, 4 * c, o)


# Dense: pictures of so few pixels that a kernel reaches from one to nearly every other. Stride 1.


def dense(image: Array, kernel: Array, padding) -> Array:
    """The whole picture at once, [n, h w c] @ [h w c, h' w' o]: no padding is multiplied."""
    n, h, w, _ = image.shape
    kh, kw, c, o = kernel.shape
    rows, columns = out_size(image.shape, kernel.shape, (1, 1), padding)

    def block(i: int, j: int, a: int, b: int) -> Array:
        """What leads from pixel (i, j) to output (a, b)."""
        u, v = i - a + padding[0][0], j - b + padding[1][0]
        return kernel[u, v] if 0 <= u < kh and 0 <= v < kw else jnp.zeros((c, o), kernel.dtype)

    outputs = list(itertools.product(range(rows), range(columns)))
    pixels = itertools.product(range(h), range(w))
    matrix = jnp.block([[block(*pixel, *output) for output in outputs] for pixel in pixels])
    return (image.reshape(n, -1) @ matrix).reshape(n, rows, columns, o)


# Banded: kernels over few channels, whose patches would be many and thin. Stride 1.


def banded(image: Array, kernel: Array, padding) -> Array:
    """A row of outputs at once, from kh whole rows of pixels: [n h', kh w c] @ [kh w c, w' o]."""
    kh, kw, c, o = kernel.shape
    n, _, w, _ = image.shape
    rows, columns = out_size(image.shape, kernel.shape, (1, 1), padding)
    # The entry of the kernel that leads from pixel j to output b, spread by zeros and ones: exact, and the gradient is a
    # product as well, where an index would scatter.
    entry = np.arange(w)[:, None] - np.arange(columns)[None] + padding[1][0]
    place = (np.arange(kw)[:, None, None] == entry).astype(np.float32)
    matrix = jnp.einsum("kvco,vjb->kjcbo", kernel, place, precision="highest").reshape(
        kh * w * c, columns * o
    )
    padded = pad(image, (padding[0], (0, 0))).reshape(n, -1, w * c)
    seen = jnp.concatenate([padded[:, i : i + rows] for i in range(kh)], axis=-1)
    return (seen.reshape(n * rows, -1) @ matrix).reshape(n, rows, columns, o)


# Depthwise: every channel has its own kernel [kh kw 1 c].


def depthwise(image: Array, kernel: Array, strides, padding) -> Array:
    """A sum over the kernel's entries, each times what it sees."""
    seen = taps(pad(image, padding), kernel.shape[:2], strides)
    weights = kernel.reshape(-1, kernel.shape[-1])
    return functools.reduce(jnp.add, [x * weights[i][None, None, None] for i, x in enumerate(seen)])

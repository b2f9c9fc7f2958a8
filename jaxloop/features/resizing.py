"""Resizing as other programs do it, on the device: each axis is a product with a matrix [new old].

The matrices are made on the host in the precision of the program that they follow.
"""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxloop.types import Array

# Accelerators would round the factors of a product to fewer than float32's digits.
_product = functools.partial(jnp.einsum, precision="highest")


def apply(
    rows: np.ndarray, columns: np.ndarray, image: Array, after: Callable = lambda x: x
) -> Array:
    """Resize float32 [n h w c] to [n h' w' c] by columns [w' w], then by rows [h' h].

    after: applied to the result of each.
    """
    return after(_product("ih,nhwc->niwc", rows, after(_product("jw,nhwc->nhjc", columns, image))))


@functools.cache
def tensorflow1(old: int, new: int) -> np.ndarray:
    """Return TensorFlow 1's bilinear interpolation (align_corners=False): float32 [new old].

    Pixel i of the result lies at i old/new of the source, in float32 and without half-pixel
    centres, between two pixels; beyond the last there is only that one. Nothing is antialiased.
    """
    place = np.arange(new, dtype=np.float32) * np.float32(old / new)
    low = place.astype(int)
    share = place - low.astype(np.float32)
    matrix = np.zeros((new, old), np.float32)
    matrix[np.arange(new), low] = 1 - share
    matrix[np.arange(new), np.minimum(low + 1, old - 1)] += share
    return matrix


@functools.cache
def bicubic(old: int, new: int) -> np.ndarray:
    """Return PIL's bicubic filter (Keys 1981 with a = -1/2): float32 [new old].

    It is as wide as a pixel of the result where it shrinks. Pixel centres are at halves; beyond the
    edges there is nothing, and the weights of each pixel sum to 1.
    """
    scale = old / new
    centre = (np.arange(new)[:, None] + 0.5) * scale
    x = np.abs((np.arange(old)[None] + 0.5 - centre) / max(scale, 1.0))
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)

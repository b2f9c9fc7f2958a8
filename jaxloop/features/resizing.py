"""Resizing as other programs do it, on the device: each axis is a product with a small matrix [new old].

The matrices are made on the host in the precision of the program that they follow.
"""

import functools

import jax.numpy as jnp
import numpy as np

from jaxloop.types import Array


def apply(rows: np.ndarray, columns: np.ndarray, image: Array) -> Array:
    """float32 [n h w c] -> [n h' w' c], with rows [h' h] and columns [w' w]."""
    return along_rows(rows, along_columns(columns, image))


def along_columns(columns: np.ndarray, image: Array) -> Array:
    """Resizes the width: float32 [n h w c] -> [n h w' c], with columns [w' w]."""
    # Accelerators would round the factors to fewer than float32's digits.
    return jnp.einsum("jw,nhwc->nhjc", columns, image, precision="highest")


def along_rows(rows: np.ndarray, image: Array) -> Array:
    """Resizes the height: float32 [n h w c] -> [n h' w c], with rows [h' h]."""
    return jnp.einsum("ih,nhwc->niwc", rows, image, precision="highest")


@functools.cache
def tensorflow1(old: int, new: int) -> np.ndarray:
    """TensorFlow 1's bilinear interpolation (align_corners=False): float32 [new old].

    Pixel i of the result lies at i old/new of the source, with no half-pixel centres, in float32; it lies between two pixels
    (beyond the last there is only that one). Nothing is antialiased.
    """
    place = np.arange(new, dtype=np.float32) * np.float32(old / new)
    low = place.astype(int)
    matrix = np.zeros((new, old), np.float32)
    share = place - low.astype(np.float32)
    matrix[np.arange(new), low] = 1 - share
    matrix[np.arange(new), np.minimum(low + 1, old - 1)] += share
    return matrix


@functools.cache
def bicubic(old: int, new: int) -> np.ndarray:
    """PIL's bicubic filter (Keys 1981 with a = -1/2), as wide as a pixel of the result where it shrinks: float32 [new old].

    Half-pixel centres; beyond the edges there is nothing, and the weights of each pixel sum to 1.
    """
    scale = old / new
    width = max(scale, 1.0)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    weights = _keys((np.arange(old)[None] + 0.5 - centre) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _keys(distance: np.ndarray) -> np.ndarray:
    """The kernel of cubic convolution with a = -1/2, zero from distance 2 on."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))

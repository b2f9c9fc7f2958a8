"""Cubic resizing of grey images on the host."""

import jax
import numpy as np

_CHUNK = 4096  # images at a time: bounds the memory of the float copy (60,000 of 28x28 would take 0.4 GB)


def resize(grey: np.ndarray, size: int) -> np.ndarray:
    """Resizes to size x size as `jax.image.resize(method="cubic")` does (antialiased when it shrinks), then rounds.

    Resizing is linear and separable: it is a product with one matrix an axis, which is the resized identity. The
    products are taken in float64 on the host, so that the accelerator at hand does not decide how a pixel is rounded.

    Args:
      grey: real [n h w], in [0, 255].
      size: side of the result, in pixels.

    Returns:
      uint8 [n size size]. Cubic interpolation overshoots; values are clipped to [0, 255].
    """
    n, height, width = grey.shape
    rows, columns = _weights(height, size), _weights(width, size)
    out = np.empty((n, size, size), np.uint8)
    for start in range(0, n, _CHUNK):
        chunk = grey[start : start + _CHUNK].astype(np.float64)
        out[start : start + _CHUNK] = np.rint(np.clip(rows.T @ (chunk @ columns), 0, 255)).astype(
            np.uint8
        )
    return out


def _weights(old: int, new: int) -> np.ndarray:
    """float64 [old new]: column j holds the weights of the old pixels in new pixel j."""
    if old == new:
        return np.eye(old)
    return np.asarray(
        jax.image.resize(np.eye(old, dtype=np.float32), (old, new), "cubic"), np.float64
    )

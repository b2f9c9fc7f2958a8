"""Pixels as stored (uint8) and as models see them (float32 in [-1, 1])."""

import jax.numpy as jnp

from jaxloop.types import Array


def to_unit(image: Array) -> Array:
    """uint8 pixels -> float32 in [-1, 1], the range in which all models work."""
    return image.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(x: Array) -> Array:
    """Floats in [-1, 1] -> uint8 pixels: the inverse of `to_unit`, rounded and clipped."""
    return jnp.clip(jnp.round((x + 1.0) * 127.5), 0, 255).astype(jnp.uint8)

"""Pixels as stored (uint8) and as models see them (float32)."""

import jax.numpy as jnp

from jaxloop.types import Array

# Mean and deviation of ImageNet's training images in [0, 1], red green blue.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def to_unit(image: Array) -> Array:
    """Scale uint8 pixels to float32 in [-1, 1]."""
    return image.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(x: Array) -> Array:
    """Return floats in [-1, 1] as uint8 pixels, rounded and clipped: the inverse of `to_unit`."""
    return jnp.clip(jnp.round((x + 1.0) * 127.5), 0, 255).astype(jnp.uint8)


def normalized(image: Array, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION) -> Array:
    """Scale pixels in [0, 255] to float32 with this mean and deviation of [0, 1] at 0 and 1.

    The defaults are what networks with published weights expect.
    """
    mean, deviation = (jnp.array(x, jnp.float32)[None, None, None] for x in (mean, deviation))
    return (image.astype(jnp.float32) / 255 - mean) / deviation

"""Pixels as stored (uint8) and as models see them (float32 in [-1, 1])."""

import jax.numpy as jnp

from jaxloop.types import Array


def to_unit(image: Array) -> Array:
    """uint8 pixels -> float32 in [-1, 1], the range in which all models work."""
    return image.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(x: Array) -> Array:
    """Floats in [-1, 1] -> uint8 pixels: the inverse of `to_unit`, rounded and clipped."""
    return jnp.clip(jnp.round((x + 1.0) * 127.5), 0, 255).astype(jnp.uint8)


# Of ImageNet's training images in [0, 1], red green blue: what published weights expect to have been taken off and divided by.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def normalized(image: Array) -> Array:
    """uint8 pixels -> float32 with ImageNet's mean and deviation at 0 and 1: what pretrained networks see."""
    mean, deviation = (
        jnp.array(x, jnp.float32)[None, None, None] for x in (IMAGENET_MEAN, IMAGENET_DEVIATION)
    )
    return (image.astype(jnp.float32) / 255 - mean) / deviation

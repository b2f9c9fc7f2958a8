"""Augmentation of a batch, on the device: a random crop of the padded image, and a mirror.

As torchvision's RandomCrop(side, padding=side // 8) and RandomHorizontalFlip, usual for CIFAR; or
RandomResizedCrop, usual for photographs.
"""

import math

import jax
import jax.numpy as jnp

from jaxloop.keys import parts
from jaxloop.types import AnyArray, Array

NAMES = ("none", "crop", "crop_flip", "resized_crop_flip")
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of a resized crop, as torchvision's
_PADDING = 8  # black pixels added on each side, as a fraction of it: 4 at 32


def augment(key: Array, image: AnyArray, how: str) -> AnyArray:
    """Shift, and with "crop_flip" mirror, every image by its own draw: uint8 [n s s c]. Jit-able.

    how: of `NAMES`. "none" gives `image` itself; "crop" moves it by -s // 8 to s // 8 pixels along
    each axis and fills up with black; "crop_flip" then mirrors it with probability 1/2.
    "resized_crop_flip" enlarges a random part of it to the whole, and mirrors it so.
    """
    if how == "none":
        return image
    if how == "resized_crop_flip":
        return _resized_crop_flip(key, image)
    n, side = image.shape[:2]
    padding = side // _PADDING
    crop_key, flip_key = parts(key, "augment.crop", "augment.flip")
    corner = jax.random.randint(crop_key, (n, 2), 0, 2 * padding + 1)  # in the padded image
    pixel = jnp.arange(side)[None, :]
    rows, columns = corner[:, :1] + pixel, corner[:, 1:] + pixel
    if how == "crop_flip":
        flip = jax.random.bernoulli(flip_key, shape=(n, 1))
        columns = jnp.where(flip, columns[:, ::-1], columns)
    padded = jnp.pad(image, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    # One gather of pixels: on a CPU half the time of a vmapped dynamic_slice.
    return padded[jnp.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _resized_crop_flip(key: Array, image: AnyArray) -> AnyArray:
    """As torchvision's RandomResizedCrop and RandomHorizontalFlip; a side too long is cut short,
    where theirs draws again."""
    n, side = image.shape[:2]
    names = "area", "ratio", "corner", "flip"
    area_key, ratio_key, corner_key, flip_key = parts(key, *(f"augment.{name}" for name in names))
    area = jax.random.uniform(area_key, (n,), minval=AREA[0], maxval=AREA[1])
    low, high = (math.log(ratio) for ratio in RATIO)
    root = jnp.exp(jax.random.uniform(ratio_key, (n,), minval=low, maxval=high) / 2)
    share = jnp.minimum(jnp.sqrt(area)[:, None] * jnp.stack([1 / root, root], axis=1), 1.0)
    corner = jax.random.uniform(corner_key, (n, 2)) * (1 - share) * side

    def one(x: Array, scale: Array, corner: Array) -> Array:
        shape, axes = (side, side, x.shape[-1]), (0, 1)
        return jax.image.scale_and_translate(x, shape, axes, scale, -corner * scale, "linear")

    resized = jax.vmap(one)(image.astype(jnp.float32), 1 / share, corner)
    flip = jax.random.bernoulli(flip_key, shape=(n, 1, 1, 1))
    resized = jnp.where(flip, resized[:, :, ::-1], resized)
    return jnp.round(resized).clip(0, 255).astype(jnp.uint8)

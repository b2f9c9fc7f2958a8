"""Augmentation of a batch, on the device: a random crop of the padded image, and a mirror.

As torchvision's RandomCrop(side, padding=side // 8) and RandomHorizontalFlip, usual for CIFAR.
"""

import jax
import jax.numpy as jnp

from jaxloop.keys import parts
from jaxloop.types import AnyArray, Array

NAMES = ("none", "crop", "crop_flip")
_PADDING = 8  # black pixels added on each side, as a fraction of it: 4 at 32


def augment(key: Array, image: AnyArray, how: str) -> AnyArray:
    """Shift, and with "crop_flip" mirror, every image by its own draw: uint8 [n s s c]. Jit-able.

    how: of `NAMES`. "none" gives `image` itself; "crop" moves it by -s // 8 to s // 8 pixels along
    each axis and fills up with black; "crop_flip" then mirrors it with probability 1/2.
    """
    if how == "none":
        return image
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

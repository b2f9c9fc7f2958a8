"""What all classifiers have in common."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxloop.errors import InputError
from jaxloop.ops.layers import at_least_float32
from jaxloop.types import Array

SIDE_FIELD = "the side of the images"


class Classifier(nn.Module):
    """Images [n h w 3] -> logits [n num_classes] or features [n d], float32.

    small: the stem for images of 28 to 32 pixels.
    width: scales the hidden channels of every network but LeNet, which is small already.
    dtype: of the hidden layers' computation; parameters, statistics and the head are float32.
    """

    num_classes: int
    small: bool = False
    width: float = 1.0
    dtype: Any = jnp.float32

    def wide(self, channels: int) -> int:
        """Return the channels of a hidden layer in a network of this width."""
        return max(1, round(channels * self.width))

    def output(self, x: Array, features: bool, **head) -> Array:
        """Return the features [n d], or the logits of a dense layer, the head, on them."""
        x = at_least_float32(x)
        return x if features else nn.Dense(self.num_classes, **head)(x)


def admit(x: Array, name: str, smallest: int, multiple: int = 1) -> None:
    """Refuse images [n h w 3] with a side below `smallest` or not a multiple of `multiple`."""
    side = min(x.shape[1:3])
    if side < smallest or any(s % multiple for s in x.shape[1:3]):
        divisor = f"a multiple of {multiple}, " if multiple > 1 else ""
        raise InputError(
            SIDE_FIELD, side, f"{divisor}at least {smallest} for {name} with this stem"
        )

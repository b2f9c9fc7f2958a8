"""A control in a generator's place: it learns nothing and draws real images that were held out.

With `minority` 1 what it makes is real in every respect, so nothing that is measured should change.
With less, the share of minorities in every class falls by a known factor from generation to
generation, so bias should grow. A verdict on bias must tell one from the other.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import fields, keys, spec
from jaxloop.generators.base import Generator
from jaxloop.types import AnyArray, Array, Samples


@dataclass(frozen=True)
class Config(spec.Generator):
    reads: ClassVar[tuple[str, ...]] = ("held_out",)
    epochs: int = fields.integer(1, 1, "1: there is nothing to learn", 1)
    max_steps: int = fields.integer(1, 1, "1: there is nothing to learn", 1)
    minority: float = fields.share(
        1.0,
        1,
        "sampling bias: the shares of all subgroups of a class but the commonest are multiplied by "
        "it once more each generation, and the commonest takes the rest; 1: none",
    )


class HeldOut(NamedTuple):
    """Held-out images in the order of their class x subgroup. G counts the subgroups that occur.

    image: uint8 [n h w c].  count: int32 [L G], of a class x subgroup.  first: int32 [L G], the
    place of its first image.
    """

    image: AnyArray
    count: AnyArray
    first: AnyArray


def create(
    config: Config, num_classes: int, image_size: int, num_steps: int, dtype, held_out: Samples
) -> Generator:
    """Return the control as a Generator; its state is the factor of this generation, float32 [].

    held_out: with an image of every class.
    """
    return Generator(
        partial(init, config), update, sample, constants=in_cells(held_out, num_classes)
    )


def in_cells(held_out: Samples, num_classes: int) -> HeldOut:
    """Sort images by class x subgroup, on the host. Unknown subgroups are one of their own."""
    image, label, group = (np.asarray(field) for field in held_out)
    names, column = np.unique(group, return_inverse=True)
    cell = label * len(names) + column.reshape(len(label))
    count = np.bincount(cell, minlength=num_classes * len(names))
    first = np.cumsum(count) - count
    count, first = (x.astype(np.int32).reshape(num_classes, -1) for x in (count, first))
    return HeldOut(image[np.argsort(cell, kind="stable")], count, first)


def init(config: Config, key: Array, generation: Array) -> Array:
    return jnp.float32(config.minority) ** generation.astype(jnp.float32)


def update(key: Array, constants: HeldOut, state: Array, batch: Samples) -> tuple[Array, dict]:
    """Learn nothing, and have no signal."""
    return state, {}


def sample(key: Array, constants: HeldOut, state: Array, label: Array) -> Array:
    """Draw a subgroup by its share in this generation, then one of its images, with replacement."""
    group_key, image_key = keys.parts(key, "group", "image")
    group = jax.random.categorical(group_key, jnp.log(shares(constants.count, state)[label]))
    count, first = constants.count[label, group], constants.first[label, group]
    return constants.image[first + jax.random.randint(image_key, label.shape, 0, count)]


def shares(count: Array, factor: Array) -> Array:
    """Return the shares of subgroups in each class with those of minorities times `factor`.

    Args:
      count: int32 [L G], held-out images; the first of the commonest subgroups is no minority.
      factor: float32 [], in (0, 1].

    Returns float32 [L G], rows that sum to 1.
    """
    real = count / count.sum(axis=1, keepdims=True)
    commonest = jax.nn.one_hot(count.argmax(axis=1), count.shape[1], dtype=bool)
    minority = jnp.where(commonest, 0, factor * real)
    return jnp.where(commonest, 1 - minority.sum(axis=1, keepdims=True), minority)

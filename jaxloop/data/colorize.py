"""Colours as subgroups: grey images are coloured at random, with a class x colour probability matrix.

As in Kim et al., "Learning not to learn" (CVPR 2019), the colour goes on the foreground and zero pixels stay black.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jaxloop import config
from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.types import UNKNOWN_GROUP, Array, Dataset, Samples

COLORS = ("red", "green", "blue")  # group k is channel k
MAJORITY = 0.5  # an image is of a colour if that channel holds more than this share of the light, which only one can


def colorize(
    grey: np.ndarray, label: np.ndarray, probability: np.ndarray, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a colour for every image, given its class, and multiplies the image by it.

    The colours are a function of (seed, split), the labels and the matrix: not of the run seed, nor of the machine.
    A change of the matrix recolours as few images as it can.

    Args:
      grey: uint8 [n h w].
      label: int [n], in [0, L).
      probability: real [L 3], rows that sum to 1.
      seed: `data.seed`.
      split: "train" or "test".

    Returns:
      image: uint8 [n h w 3], `grey` in the channel of its group and 0 in the others.
      group: int32 [n], an index into COLORS.
    """
    cumulative = np.cumsum(probability, axis=1)
    cumulative /= cumulative[
        :, -1:
    ]  # the last is 1 exactly, and so a colour of probability 0 is never drawn
    draw = draws.uniform(seed, f"color.{split}", len(label))
    group = np.sum(draw[:, None] >= cumulative[label], axis=1, dtype=np.int32)
    color = np.eye(len(COLORS), dtype=np.uint8)[group]
    return grey[..., None] * color[:, None, None, :], group


def image_group(image: Array) -> Array:
    """Reads the colour off the pixels, of real and of generated images alike. Jit-able.

    Args:
      image: uint8 [n h w 3].

    Returns:
      int32 [n]: the channel with the largest sum if it holds more than MAJORITY of the sum over all channels, else
      UNKNOWN_GROUP (so black, grey, white and evenly mixed images are unknown).
    """
    light = jnp.sum(image, axis=(1, 2), dtype=jnp.int32).astype(jnp.float32)
    known = jnp.max(light, axis=1) > MAJORITY * jnp.sum(light, axis=1)
    return jnp.where(known, jnp.argmax(light, axis=1).astype(jnp.int32), UNKNOWN_GROUP)


def probabilities(color: Sequence[Sequence[float]], num_classes: int) -> np.ndarray:
    """The class x colour matrix of `data.color`, whose rows the config has checked.

    Args:
      color: L rows of 3 probabilities; empty: 1/3 each.
      num_classes: L.

    Returns:
      float64 [L 3].

    Raises:
      InputError: the number of rows is not L.
    """
    if not color:
        return np.full((num_classes, len(COLORS)), 1 / len(COLORS))
    if len(color) != num_classes:
        raise InputError(
            "config.data.color",
            color,
            f"{num_classes} rows, one a class (not {len(color)}), or none",
        )
    return np.asarray(color, np.float64)


def biased(num_classes: int, share: float = 0.8) -> tuple[tuple[float, ...], ...]:
    """A biased matrix for a config: class c has colour c % 3 with probability `share`, each of the other two with half
    of the rest."""
    rest = round((1 - share) / 2, 12)  # a config should read 0.1, not 0.09999999999999998
    return tuple(
        tuple(share if k == c % len(COLORS) else rest for k in range(len(COLORS)))
        for c in range(num_classes)
    )


def colored(
    data: config.Data,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    class_names: tuple[str, ...],
    notes: tuple[str, ...],
) -> Dataset:
    """Grey images and labels -> a Dataset with the colours that `data` asks for.

    Args:
      data: color, test_color and seed are read.
      train, test: (grey uint8 [n h w], label int [n]).
      class_names: L names.
      notes: what the source has to say; a note on the test set's colours is added where they differ from training's.
    """
    training = probabilities(data.color, len(class_names))
    uniform = probabilities((), len(class_names))
    testing = uniform if data.test_color == "uniform" else training
    if not np.allclose(training, testing, rtol=0, atol=1e-6):
        notes += (
            "The training colours follow data.color; the test set is coloured uniformly (1/3 each in every class), so "
            "that every subgroup is measured equally well.",
        )

    notes += (
        "The subgroup of a generated image is read off its pixels: the colour channel that holds more than half of all its "
        "light; an image in which none does is of unknown colour.",
    )

    def samples(grey, label, probability, split):
        image, group = colorize(grey, label, probability, data.seed, split)
        return Samples(image, label.astype(np.int32), group)

    return Dataset(
        train=samples(*train, training, "train"),
        test=samples(*test, testing, "test"),
        class_names=class_names,
        group_names=COLORS,
        image_group=image_group,
        notes=notes,
        augmentations=("none", "crop"),  # a mirrored digit is no digit
    )


def colors_of(variant: str, num_classes: int) -> tuple[tuple[float, ...], ...]:
    """`data.color` of a config's variant: "unbiased" (1/3 each) or "biased" (see `biased`). Raises InputError for another."""
    variants = {"unbiased": (), "biased": biased(num_classes)}
    if variant not in variants:
        raise InputError("the variant after --config=FILE.py:", variant, variants)
    return variants[variant]

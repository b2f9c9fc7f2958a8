"""Colours as subgroups: grey images are coloured at random, by a class x colour probability matrix.

As in Kim et al., "Learning not to learn" (CVPR 2019), the foreground is coloured and black stays.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.spec import Data
from jaxloop.types import UNKNOWN_GROUP, AnyArray, Array, Dataset, Samples

COLORS = ("red", "green", "blue")  # group k is channel k
MAJORITY = 0.5  # the share of the light that a channel must exceed to be an image's colour
_CHUNK = 4096  # images at a time: 60,000 of 28x28 would take 0.4 GB as float64

Matrix = tuple[tuple[float, ...], ...]  # of `data.color`
Part = tuple[np.ndarray, np.ndarray]  # grey images, real [n h h] in [0, 255]; label int [n]


def colorize(
    grey: np.ndarray, label: np.ndarray, probability: np.ndarray, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a colour for every image, given its class, and multiply the image by it.

    The colours are a function of (seed, split), the labels and the matrix: not of the run seed, nor
    of the machine. A change of the matrix recolours as few images as it can.

    grey: uint8 [n h w]. label: int [n], in [0, L). probability: real [L 3], rows that sum to 1.

    Returns uint8 [n h w 3], `grey` in the channel of its group and 0 in the others; and the group,
    int32 [n], an index into COLORS.
    """
    cumulative = np.cumsum(probability, axis=1)
    cumulative /= cumulative[:, -1:]  # ends at 1: a colour of probability 0 is never drawn
    draw = draws.uniform(seed, f"color.{split}", len(label))
    group = np.asarray(np.sum(draw[:, None] >= cumulative[label], axis=1, dtype=np.int32))
    color = np.eye(len(COLORS), dtype=np.uint8)[group]
    return grey[..., None] * color[:, None, None, :], group


def image_group(image: AnyArray) -> Array:
    """Read the colour off the pixels of uint8 [n h w 3], real and generated alike. Jit-able.

    Returns int32 [n]: the channel that holds more than MAJORITY of the sum over all channels, else
    UNKNOWN_GROUP (black, grey, white and evenly mixed images).
    """
    light = jnp.sum(image, axis=(1, 2), dtype=jnp.int32).astype(jnp.float32)
    known = jnp.max(light, axis=1) > MAJORITY * jnp.sum(light, axis=1)
    return jnp.where(known, jnp.argmax(light, axis=1).astype(jnp.int32), UNKNOWN_GROUP)


def recolor(image: AnyArray, group: AnyArray) -> Array:
    """Return coloured images uint8 [n h w 3] in the colours of `group`, int [n]. Jit-able."""
    color = jnp.eye(len(COLORS), dtype=jnp.uint8)[group]
    return jnp.max(image, axis=-1, keepdims=True) * color[:, None, None, :]


def probabilities(color: Matrix, num_classes: int) -> np.ndarray:
    """Return `data.color`, whose rows the config has checked, as float64 [L 3]; empty: 1/3 each."""
    if not color:
        return np.full((num_classes, len(COLORS)), 1 / len(COLORS))
    if len(color) != num_classes:
        allowed = f"{num_classes} rows, one a class (not {len(color)}), or none"
        raise InputError("config.data.color", color, allowed)
    return np.asarray(color, np.float64)


def biased(num_classes: int) -> Matrix:
    """Return `data.color` in which class c has colour c % 3 with probability 0.8."""
    rows = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)
    return tuple(rows[c % 3] for c in range(num_classes))


def colors_of(variant: str, num_classes: int) -> Matrix:
    """Return `data.color` of a config's variant: "unbiased" (1/3 each) or "biased"."""
    variants = {"unbiased": (), "biased": biased(num_classes)}
    if variant not in variants:
        raise InputError("the variant after --config=FILE.py:", variant, variants)
    return variants[variant]


def colored(
    data: Data, train: Part, test: Part, class_names: tuple[str, ...], note: str
) -> Dataset:
    """Resize and colour grey images as `data` asks. Notes on both follow the source's `note`."""
    size, source_size, notes = data.image_size, train[0].shape[1], (note,)
    training = probabilities(data.color, len(class_names))
    testing = probabilities((), len(class_names)) if data.test_color == "uniform" else training
    if size != source_size:
        sizes = f"{source_size}x{source_size} source is resized to {size}x{size}"
        notes += (f"The {sizes} by cubic interpolation.",)
    if not np.allclose(training, testing, rtol=0, atol=1e-6):
        notes += (
            "The training colours follow data.color; the test set is coloured uniformly (1/3 each "
            "in every class), so that every subgroup is measured equally well.",
        )
    notes += (
        "The subgroup of a generated image is read off its pixels: the colour channel that holds "
        "more than half of all its light; an image in which none does is of unknown colour.",
    )
    samples = {}
    for split, (grey, label), matrix in (("train", train, training), ("test", test, testing)):
        image, group = colorize(resized(grey, size), label, matrix, data.seed, split)
        samples[split] = Samples(image, label.astype(np.int32), group)  # pyright: ignore
    return Dataset(
        **samples,
        class_names=class_names,
        group_names=COLORS,
        image_group=image_group,
        recolor=recolor,
        notes=notes,
        augmentations=("none", "crop"),  # a mirrored digit is no digit
    )


def resized(grey: np.ndarray, size: int) -> np.ndarray:
    """Resize real [n h w] in [0, 255] to uint8 [n size size]; what overshoots is clipped.

    As `jax.image.resize(method="cubic")` does, which antialiases when it shrinks: a product with
    one matrix an axis, the resized identity; taken in float64 on the host, so that the accelerator
    does not decide how a pixel is rounded.
    """
    n, height, width = grey.shape
    if grey.dtype == np.uint8 and height == width == size:
        return grey
    rows, columns = _weights(height, size), _weights(width, size)
    out = np.empty((n, size, size), np.uint8)
    for start in range(0, n, _CHUNK):
        chunk = grey[start : start + _CHUNK].astype(np.float64)
        out[start : start + _CHUNK] = np.rint(np.clip(rows.T @ (chunk @ columns), 0, 255))
    return out


def _weights(old: int, new: int) -> np.ndarray:
    """Return float64 [old new]: column j holds the weights of the old pixels in new pixel j."""
    identity = np.eye(old, dtype=np.float32)
    return np.asarray(jax.image.resize(identity, (old, new), "cubic"), np.float64)

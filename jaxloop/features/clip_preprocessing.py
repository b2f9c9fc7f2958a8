"""How images come to CLIP's size and range: as transformers' CLIPImageProcessor, on the device.

The shorter side is resized with PIL's bicubic filter, the centre is cropped, and the channels are
normalised. PIL works on whole numbers: it rounds after the width and again after the height.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxloop.errors import InputError
from jaxloop.features import resizing
from jaxloop.ops.pixels import normalized
from jaxloop.types import Array

# OpenAI's, of their training images in [0, 1], red green blue.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BICUBIC = 3  # PIL's number of the filter


class Preprocessing(NamedTuple):
    """Pixels of the shorter side after resizing, and of the square that is cropped from it."""

    shorter: int
    side: int
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION


def parse(options: Mapping, side: int, refuse: Callable[[str], InputError]) -> Preprocessing:
    """Read a preprocessor_config.json, {} where there is none, for images of `side` pixels.

    Raises InputError, by `refuse`, if it asks for something else.
    """
    square = {"height": side, "width": side}
    size: Any = options.get("size", side)
    shorter: Any = size.get("shortest_edge") if isinstance(size, dict) else size
    crop, resample = options.get("crop_size", side), options.get("resample", BICUBIC)
    factor = options.get("rescale_factor", 1 / 255)
    rescaled = isinstance(factor, float) and abs(255 * factor - 1) < 1e-5
    mean, deviation = options.get("image_mean", MEAN), options.get("image_std", DEVIATION)
    openai = "preprocessed as OpenAI's"
    flags = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
    for name, holds, images in (
        *((flag, options.get(flag, True) is True, openai) for flag in flags),
        ("resample", resample == BICUBIC, "resized by the bicubic filter"),
        ("rescale_factor", rescaled, "rescaled by 1/255"),
        ("size", type(shorter) is int and shorter >= side, f"resized to {side} pixels or more"),
        ("crop_size", crop in (side, square), f"cropped to {side} pixels"),
        ("image_mean", _are_three(mean), "normalised by three numbers"),
        ("image_std", _are_three(deviation) and min(deviation) > 0, "divided by three numbers > 0"),
    ):
        if not holds:
            raise refuse(f"a CLIP whose images are {images}; {name} is {options[name]!r}")
    return Preprocessing(shorter, side, tuple(mean), tuple(deviation))


def _are_three(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(x, float | int) for x in value)
    return numbers and len(value) == 3


def preprocess(how: Preprocessing, image: Array | np.ndarray) -> Array:
    """Resize, crop and normalise uint8 [n h w 3]: float32 [n side side 3]."""
    h, w = image.shape[1:3]
    rows, columns = (_filter(old, int(how.shorter * old / min(h, w)), how.side) for old in (h, w))
    pixels = resizing.apply(rows, columns, jnp.asarray(image, jnp.float32), _whole)
    return normalized(pixels, how.mean, how.deviation)


def _filter(old: int, new: int, side: int) -> np.ndarray:
    """Return the rows of the bicubic filter to `new` pixels that the crop keeps: [side old]."""
    start = (new - side) // 2
    return resizing.bicubic(old, new)[start : start + side]


def _whole(x: Array) -> Array:
    """Round as PIL does, half up, and clip to [0, 255]."""
    return jnp.clip(jnp.floor(x + 0.5), 0, 255)

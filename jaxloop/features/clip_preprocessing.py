"""How images come to CLIP's size and range: as transformers' CLIPImageProcessor, on the device.

The shorter side is resized with PIL's bicubic filter, the centre is cropped, and the channels are normalised. PIL works on whole
numbers: it rounds after the width and again after the height.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxloop.errors import InputError
from jaxloop.features import resizing
from jaxloop.types import Array

# OpenAI's, of their training images in [0, 1], red green blue.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BICUBIC = 3  # PIL's number of the filter


class Preprocessing(NamedTuple):
    """shorter: pixels that the shorter side is resized to. side: of the square that is cropped from it. Both in pixels."""

    shorter: int
    side: int
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION


def parse(told: Mapping, side: int, refuse: Callable[[str], InputError]) -> Preprocessing:
    """What a preprocessor_config.json says, {} where there is none.

    Args:
      side: of the model's images, in pixels.
      refuse: what is allowed -> the error.

    Raises:
      InputError: it asks for something else than this module does, or for images of another size than the model's.
    """
    for name in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
        if told.get(name, True) is not True:
            raise refuse(f"a CLIP that preprocesses as OpenAI's; {name} is {told[name]!r}")
    if told.get("resample", BICUBIC) != BICUBIC:
        raise refuse(
            f"a CLIP whose images are resized by the bicubic filter; resample is {told['resample']!r}"
        )
    factor = told.get("rescale_factor", 1 / 255)
    if not isinstance(factor, float) or not np.isclose(factor, 1 / 255):
        raise refuse(
            f"a CLIP whose images are rescaled by 1/255; rescale_factor is {told['rescale_factor']!r}"
        )
    size, crop = told.get("size", side), told.get("crop_size", side)
    shorter = size.get("shortest_edge") if isinstance(size, dict) else size
    if type(shorter) is not int or shorter < side:
        raise refuse(
            f"a CLIP whose images' shorter side is resized to {side} pixels or more; size is {size!r}"
        )
    if crop not in (side, {"height": side, "width": side}):
        raise refuse(
            f"a CLIP whose images are cropped to {side} pixels, its size; crop_size is {crop!r}"
        )
    mean, deviation = told.get("image_mean", MEAN), told.get("image_std", DEVIATION)
    for name, value in {"image_mean": mean, "image_std": deviation}.items():
        numbers = isinstance(value, list | tuple) and all(isinstance(x, float | int) for x in value)
        if not numbers or len(value) != 3 or (name == "image_std" and min(value) <= 0):
            raise refuse(
                f"a CLIP with three numbers as {name}, deviations above 0; it is {value!r}"
            )
    return Preprocessing(shorter, side, tuple(mean), tuple(deviation))


def preprocess(how: Preprocessing, image: Array) -> Array:
    """uint8 [n h w 3] -> float32 [n side side 3]."""
    h, w = image.shape[1:3]
    rows, columns = (
        _resized_and_cropped(old, how.shorter * old / min(h, w), how.side) for old in (h, w)
    )
    pixels = _whole(resizing.along_columns(columns, image.astype(jnp.float32)))
    pixels = _whole(resizing.along_rows(rows, pixels))
    mean, deviation = (
        jnp.array(x, jnp.float32)[None, None, None] for x in (how.mean, how.deviation)
    )
    return (pixels / 255 - mean) / deviation


def _resized_and_cropped(old: int, new: float, side: int) -> np.ndarray:
    """The rows of the bicubic filter to int(new) pixels that the crop keeps: float32 [side old]."""
    start = (int(new) - side) // 2
    return resizing.bicubic(old, int(new))[start : start + side]


def _whole(x: Array) -> Array:
    """Rounded as PIL does, half up, and clipped to [0, 255]."""
    return jnp.clip(jnp.floor(x + 0.5), 0, 255)

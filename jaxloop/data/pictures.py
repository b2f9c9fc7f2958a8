"""Pictures of any size and kind -> square RGB arrays. What has to be done to them is counted, for the notes to tell."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from jaxloop.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")  # in lower case

_FORMATS = ("PNG", "JPEG")
_PNG_DEPTH = 24  # the byte of a PNG file that tells the bits per channel
_THREADS = min(
    os.cpu_count() or 1, 16
)  # more would wait for one another, and each holds a picture in memory
_QUEUED = 4096  # pictures that wait for a thread at a time
_REMARKS = {
    "turned": "Pictures turned upright, as their EXIF data says",
    "deep": "Pictures of 16 bits per channel, of which the upper 8 are kept",
    "cmyk": "Pictures converted from CMYK to RGB",
    "grey": "Grey pictures, whose value all three channels take",
    "transparent": "Pictures with transparent parts, laid on white",
    "cropped": "Pictures that are not square, cropped at the centre",
    "resized": "Pictures resized to {size}x{size} (cubic interpolation, antialiased)",
}


class Pictures(NamedTuple):
    """n pictures, and what a reader must know about them.

    image: uint8 [n s s 3].
    digest: n hashes of what was given (the bytes of the file, or of the array); equal where those are equal.
    remarks: how many pictures needed what; its keys are those of `_REMARKS`.
    """

    image: np.ndarray
    digest: list[bytes]
    remarks: Counter


def read(paths: Sequence[Path], size: int) -> Pictures:
    """Decodes PNG and JPEG files, turns them upright, makes them RGB, crops them at the centre and resizes them.

    Several at a time: Pillow works outside the interpreter lock. In memory are the result and one picture a thread.
    Colour profiles are not applied.

    Args:
      paths: n files.
      size: side s of the results, in pixels.

    Raises:
      InputError: a file that cannot be read or decoded, or that is animated: the first such of `paths`.
    """
    return _squares(lambda i: _decode(paths[i]), len(paths), size)


def fit(image: np.ndarray, size: int) -> Pictures:
    """Does the same to pictures that are in memory.

    Args:
      image: uint8 [n h w c], c = 1 (grey) or 3 (RGB).
      size: side s of the results, in pixels.
    """
    height, width, channels = image.shape[1:]
    remarks = {"grey"} if channels == 1 else set()
    rgb = np.broadcast_to(image, (len(image), height, width, 3))

    def picture(i):
        return Image.fromarray(np.ascontiguousarray(rgb[i])), image[i].tobytes(), remarks

    return _squares(picture, len(image), size)


def notes(remarks: Counter, total: int, size: int) -> tuple[str, ...]:
    """One sentence for each thing that was done, with the number of pictures out of `total`."""
    return tuple(
        f"{words.format(size=size)}: {remarks[name]:,} of {total:,}."
        for name, words in _REMARKS.items()
        if remarks[name]
    )


def _squares(
    picture: Callable[[int], tuple[Image.Image, bytes, set[str]]], n: int, size: int
) -> Pictures:
    """Pictures of `picture(i)` = (RGB image, the bytes that it comes from, remarks), i in 0..n-1, in threads."""
    image = np.empty((n, size, size, 3), np.uint8)

    def work(i):
        rgb, content, remarks = picture(i)
        square, more = _square(rgb, size)
        image[i] = square
        return hashlib.blake2b(content, digest_size=16).digest(), remarks | more

    digest, counts = [], Counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, n, _QUEUED):
            for of_one, remarks in pool.map(work, range(start, min(start + _QUEUED, n))):
                digest.append(of_one)
                counts.update(remarks)
    return Pictures(image, digest, counts)


def _decode(path: Path) -> tuple[Image.Image, bytes, set[str]]:
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            rgb, remarks = _rgb(image, content)
            return rgb, content, remarks
    except UnidentifiedImageError as error:  # its message is of no use
        raise _refused(path, "it is neither") from error
    except (
        Exception
    ) as error:  # whatever the library or the file system raises, the person needs one line
        raise _refused(path, f"{type(error).__name__}: {error}") from error


def _rgb(image: Image.Image, content: bytes) -> tuple[Image.Image, set[str]]:
    """A decoded file as an upright RGB picture, and the remarks on it."""
    remarks = set()
    if image.format == "PNG":
        if getattr(image, "is_animated", False):
            raise ValueError("it is animated")
        if content[_PNG_DEPTH] == 16:
            remarks.add("deep")
    if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
        remarks.add("turned")
    image = ImageOps.exif_transpose(image)
    if image.mode == "CMYK":
        remarks.add("cmyk")
    if image.mode.startswith(("1", "L", "I")):
        remarks.add("grey")
    if image.mode.startswith("I"):  # 16 bits; Pillow itself would cut off all that is above 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:  # the smallest alpha
            remarks.add("transparent")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB"), remarks


def _square(image: Image.Image, size: int) -> tuple[Image.Image, set[str]]:
    """The largest square at the centre, resized to size x size."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    remarks = set()
    if width != height:
        remarks.add("cropped")
        image = image.crop((left, top, left + side, top + side))
    if side != size:
        remarks.add("resized")
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return image, remarks


def _refused(path: Path, why: str) -> InputError:
    return InputError(
        "config.data.path", str(path), f"a still PNG or JPEG picture that can be decoded ({why})"
    )

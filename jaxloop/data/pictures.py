"""Pictures of any size and kind -> square RGB arrays. What has to be done to them is counted.

Nothing but pixels and orientation matters: texts, colour profiles and other tags are not applied.
"""

import contextlib
import hashlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError
from tqdm import tqdm

from jaxloop.data.paths import read_bytes, refusal
from jaxloop.data.squares import FITS
from jaxloop.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")  # in lower case

# Pillow's, of odd tags and large pictures. Once for the process: a filter of `catch_warnings` is
# everybody's, and pictures are decoded in several threads.
warnings.filterwarnings("ignore", module="PIL")

# Pillow's own limits, 1 and 64 MB, refuse sound pictures for their texts and colour profiles.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**28

_PNG_DEPTH, _PNG_COLOR = 24, 25  # the bytes of a PNG file that tell its bits and its channels
_LISTED = 4  # files, of those that are refused, that an error names beside the first
THREADS = min(os.cpu_count() or 1, 16)  # each holds a picture in memory
_UPRIGHT = {  # EXIF's orientation -> what shows the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_REMARKS = {
    "turned": "Pictures turned upright, as their EXIF data says",
    "exif": "Pictures whose EXIF data cannot be read, taken as upright",
    "deep": "Pictures of 16 bits per channel, whose values have up to {bits}: the upper 8 are kept",
    "cmyk": "Pictures converted from CMYK to RGB",
    "grey": "Grey pictures, whose value all three channels take",
    "transparent": "Pictures with transparent parts, laid on white",
    "cropped": "Pictures that are not square, cropped at the centre",
    "centred": "Pictures whose short side became 8/7 of {size} pixels, cropped at the centre",
    "squashed": "Pictures squashed to squares of 8/7 of {size} pixels and cropped at the centre",
    "resized": "Pictures resized to {size}x{size} (cubic interpolation, antialiased)",
}
Result = TypeVar("Result")
# RGB, the bytes that it comes from, keys of _REMARKS, the largest of its 16-bit values or -1
_Decoded = tuple[Image.Image, bytes, set[str], int]


class Pictures(NamedTuple):
    """n pictures, and what a reader must know about them."""

    image: np.ndarray  # uint8 [n s s 3]
    digest: np.ndarray  # uint64 [n], hashes of the bytes of the file, or of the array
    peak: np.ndarray  # int [n], the largest value of a picture of 16 bits; -1 for others
    remarks: list[set[str]]  # what each needed, keys of `_REMARKS`

    def bits(self) -> int:
        """Return how many bits the values of the pictures of 16 bits have, at least 8."""
        return max(8, int(self.peak.max(initial=-1)).bit_length())


def read(paths: Sequence[Path], size: int, fit: str = "crop") -> Pictures:
    """Decode n PNG and JPEG files, turn them upright, make them RGB, and squares of `size`.

    Values of 16 bits are scaled by the largest of all files. Several pictures at a time: Pillow
    works outside the interpreter lock. In memory are the result and one picture a thread. Raises
    InputError that names the first of `paths` that cannot be read or decoded, or is animated, and
    counts and lists the others.

    fit: of FITS.
    """
    pictures = _squares(lambda i: _decode(paths[i]), len(paths), size, fit)
    bits, deep = pictures.bits(), np.flatnonzero(pictures.peak >= 0)
    if bits < 16:  # or there are none
        scaled = _squares(lambda i: _decode(paths[deep[i]], bits), len(deep), size, fit)
        pictures.image[deep] = scaled.image
        for i, remarks in zip(deep, scaled.remarks, strict=True):
            pictures.remarks[i] = remarks
    return pictures


def square(path: Path, size: int, fit: str) -> np.ndarray:
    """Return one picture file as `read` does, uint8 [s s 3]. Raises InputError, also on 16 bits."""
    return np.asarray(FITS[fit](_alone(path), size, set()))


def each(paths: Sequence[Path], title: str, use: Callable[[int, Image.Image], None]) -> None:
    """Decode pictures one by one and hand place and RGB picture to `use`, in threads.

    Raises InputError as `read` does, also on pictures of 16 bits.
    """
    with tqdm(desc=title, total=len(paths), leave=False, disable=not sys.stderr.isatty()) as bar:

        def work(i: int) -> None:
            use(i, _alone(paths[i]))
            bar.update()

        _in_threads(work, len(paths))


def fit(image: np.ndarray, size: int) -> Pictures:
    """Do the same to pictures in memory, uint8 [n h w c] with c = 1 (grey) or 3 (RGB)."""
    rgb = np.broadcast_to(image, (*image.shape[:3], 3))

    def decoded(i) -> _Decoded:
        remarks = {"grey"} if image.shape[3] == 1 else set()
        return Image.fromarray(np.ascontiguousarray(rgb[i])), image[i].tobytes(), remarks, -1

    return _squares(decoded, len(image), size)


def notes(pictures: Pictures) -> tuple[str, ...]:
    """Return one sentence for each thing that was done, with the number of pictures."""
    (total, size, *_), bits = pictures.image.shape, pictures.bits()
    counts = [
        (words, sum(key in row for row in pictures.remarks)) for key, words in _REMARKS.items()
    ]
    filled = ((words.format(size=size, bits=bits), count) for words, count in counts if count)
    return tuple(f"{words}: {count:,} of {total:,}." for words, count in filled)


def _squares(decoded: Callable[[int], _Decoded], n: int, size: int, fit: str = "crop") -> Pictures:
    """Return the n results of `decoded`, in threads, as squares."""
    image = np.empty((n, size, size, 3), np.uint8)
    digest, peak = np.empty(n, np.uint64), np.empty(n, np.int64)

    def work(i: int) -> set[str]:
        rgb, content, remarks, peak[i] = decoded(i)
        digest[i] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
        image[i] = np.asarray(FITS[fit](rgb, size, remarks))
        return remarks

    return Pictures(image, digest, peak, _in_threads(work, n))


def _in_threads(work: Callable[[int], Result], n: int) -> list[Result]:
    """Return work(0), work(1), ... Raises one InputError for all that raise one."""

    def outcome(i: int) -> Result | InputError:
        try:
            return work(i)
        except InputError as error:
            return error

    with warnings.catch_warnings(), ThreadPool(THREADS) as pool:
        warnings.simplefilter("ignore")  # also where a caller's filters make errors of them
        outcomes = list(pool.imap(outcome, range(n)))
    refused = [one for one in outcomes if isinstance(one, InputError)]
    if refused:
        raise _all_of(refused)
    return [one for one in outcomes if not isinstance(one, InputError)]


def _all_of(refused: list[InputError]) -> InputError:
    """Return the first error, with the files of the others."""
    first, *others = refused
    if not others:
        return first
    more = f" and {len(others) - _LISTED:,} more" if len(others) > _LISTED else ""
    names = ", ".join(str(error.value) for error in others[:_LISTED])
    files = "file" if len(others) == 1 else "files"
    words = f"{first.allowed}; so it is with {len(others):,} other {files}: {names}{more}"
    return InputError(first.field, first.value, words)


def _decode(path: Path, bits: int = 16) -> _Decoded:
    content = read_bytes(path)
    with _refusing(path), _open(content) as image:
        return _rgb(image, content, bits)
    raise AssertionError


def _alone(path: Path) -> Image.Image:
    """Return a picture that needs no look at the others, RGB."""
    image, _, remarks, _ = _decode(path)
    if "deep" in remarks:
        words = "a picture of 8 bits: those of 16 are scaled by the largest value of all, and are "
        raise refusal(path, f"{words}read together (data.memory is device or host)")
    return image


def opened(path: Path, content: bytes) -> Image.Image:
    """Return the picture in the `content` of a file, decoded, as it is stored."""
    with _refusing(path), _open(content) as image:
        image.load()
        return image
    raise AssertionError


def size_of(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, decoded whole and upright."""
    return _decode(path)[0].size


def _open(content: bytes):
    return Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises into one line that names the file."""
    try:
        yield
        return
    except UnidentifiedImageError:  # its message is of no use
        reason = "it is neither"
    except Exception as error:  # whatever the library raises, the person needs one line
        reason = f"{type(error).__name__}: {error}"
    raise refusal(path, f"a still PNG or JPEG picture that can be decoded ({reason})")


def _rgb(image: Image.Image, content: bytes, bits: int) -> _Decoded:
    """Return a decoded file as an upright RGB picture."""
    remarks, peak, is_png = set(), -1, image.format == "PNG"
    if is_png and getattr(image, "is_animated", False):
        raise ValueError("it is animated")
    try:
        turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # whatever a broken block raises; it tells no orientation
        turn = None
        remarks.add("exif")
    if is_png and content[_PNG_DEPTH] == 16:
        remarks.add("deep")
        image, peak = _eight_bits(content, image.info.get("transparency"), bits)
    if image.mode == "CMYK":
        remarks.add("cmyk")
    if image.mode.startswith(("1", "L")):
        remarks.add("grey")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            remarks.add("transparent")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if turn is not None:
        remarks.add("turned")
        image = image.transpose(turn)
    return image, content, remarks, peak


def _eight_bits(content: bytes, clear: Any, bits: int) -> tuple[Image.Image, int]:
    """Return the upper 8 of the lower `bits` of a PNG's 16, as LA or RGBA; and its largest value.

    Pillow itself drops the lower 8 of colours, so that data of 10 or 12 bits would be black, and
    compares the value that is transparent, `clear`, with what it kept.
    """
    channels = {0: "I", 2: "RGB", 4: "LA", 6: "RGBA"}[content[_PNG_COLOR]]
    if channels == "I":
        value = _unpacked(content, "I;16B")[..., None]
    elif channels == "LA":  # two channels of two bytes, big-endian
        value = _unpacked(content, "RGBA").view(">u2")
    else:  # "RGB;16B" unpacks the first byte of each value, "RGB;16L" the second
        upper, lower = (_unpacked(content, f"{channels};16{order}") for order in "BL")
        value = upper.astype(np.uint16) << 8 | lower
    color, alpha = np.split(value, [3 if "RGB" in channels else 1], axis=-1)
    if not alpha.size:
        is_clear = (clear is not None) & np.all(color == clear, axis=-1, keepdims=True)
        alpha = np.where(is_clear, 0, 65_535)
    eight = np.minimum(np.concatenate([color, alpha], axis=-1) >> (bits - 8), 255)
    return Image.fromarray(eight.astype(np.uint8)), int(color.max())


def _unpacked(content: bytes, raw_mode: str) -> np.ndarray:
    """Return the channels of a PNG as they come when its bytes are taken as of `raw_mode`."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
        return np.asarray(image)

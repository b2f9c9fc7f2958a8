"""Pictures in PNGs, losslessly: one, or a sheet of many in their order; the hash of a picture."""

import hashlib
import io
import math

import numpy as np
from PIL import Image, PngImagePlugin

_END = b"\0\0\0\0IEND\xaeB`\x82"  # a PNG's last chunk: PIL does not check its checksum


def sha256(image: np.ndarray) -> str:
    """Return the name of a picture, uint8 [h w 3]: hex digest of its shape and pixels."""
    _check(image, num_axes=3)
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def png(
    image: np.ndarray, packed: bool = True, text: PngImagePlugin.PngInfo | None = None
) -> bytes:
    """Return uint8 [h w 3] as PNG. Not `packed`, its number of bytes depends on h and w alone."""
    _check(image, num_axes=3)
    out = io.BytesIO()
    level = 1 if packed else 0  # against the default 6: a twelfth larger, in half the time
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.save(out, format="png", pnginfo=text, compress_level=level)
    return out.getvalue()


def encode(image: np.ndarray) -> bytes:
    """Return a sheet of uint8 [n h w 3], n >= 1: one PNG mosaic, about square, row by row.

    It is black where the last row ends. The PNG's text holds n, h and w for `decode`. Raises
    ValueError on another shape or type.
    """
    _check(image, num_axes=4)
    n, h, w, _ = image.shape
    columns = min(n, max(1, round(math.sqrt(n * h / w))))
    rows = -(-n // columns)
    mosaic = np.zeros((rows * columns, h, w, 3), np.uint8)
    mosaic[:n] = image
    mosaic = mosaic.reshape(rows, columns, h, w, 3).swapaxes(1, 2)
    text = PngImagePlugin.PngInfo()
    for word, size in zip("nhw", (n, h, w), strict=True):
        text.add_text(word, str(size))
    return png(mosaic.reshape(rows * h, columns * w, 3), text=text)


def decode(content: bytes) -> np.ndarray:
    """Return the pictures of a sheet: uint8 [n h w 3]. Raises ValueError on anything else."""
    if not content.endswith(_END):
        raise ValueError("not a whole sheet (no end of a PNG)")
    try:
        # Image.open refuses large pictures. A sheet's size is known before it is unpacked.
        PngImagePlugin.PngImageFile(io.BytesIO(content)).verify()  # every chunk's checksum
        file = PngImagePlugin.PngImageFile(io.BytesIO(content))
        n, h, w = (int(file.text[word]) for word in "nhw")
        columns, rows = file.width // w, file.height // h
        exact = (columns * w, rows * h) == file.size and 0 <= rows * columns - n < columns
        if not exact or file.mode != "RGB" or min(n, h, w) < 1:
            raise ValueError(f"{n} pictures of {h}x{w} do not fill {file.mode} {file.size}")
        mosaic = np.array(file)
    except (SyntaxError, OSError, KeyError, ZeroDivisionError) as error:  # PIL's, and absent text
        raise ValueError(f"not a whole sheet ({error!r})") from None
    return mosaic.reshape(rows, h, columns, w, 3).swapaxes(1, 2).reshape(-1, h, w, 3)[:n]


def _check(image: np.ndarray, num_axes: int) -> None:
    if image.dtype != np.uint8 or image.ndim != num_axes or image.shape[-1] != 3 or not image.size:
        shape = "[n h w 3]" if num_axes == 4 else "[h w 3]"
        actual = f"{image.dtype} {list(image.shape)}"
        raise ValueError(f"pictures are uint8 {shape}, none of it empty; not {actual}")

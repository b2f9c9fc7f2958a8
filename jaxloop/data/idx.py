"""Reader of IDX files, the format that MNIST is published in.

A file is a magic number (two zero bytes, 8 for unsigned bytes, the number of dimensions), the dimensions as big-endian
32-bit integers, and the values.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxloop.errors import InputError

_UNSIGNED_BYTE = 8


def find(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder, or else `name`.gz, or else None."""
    return next(
        (path for path in (folder / name, folder / f"{name}.gz") if os.path.isfile(path)), None
    )


def read(path: Path, dimensions: int) -> np.ndarray:
    """Reads one IDX file of unsigned bytes.

    Args:
      path: the file; gzip where its name ends in .gz.
      dimensions: how many the array must have.

    Returns:
      uint8 with that many dimensions.

    Raises:
      InputError: the file cannot be read or unpacked, its magic number is another, or it is shorter or longer than its
        header says.
    """
    content = _content(path)
    start = 4 * (1 + dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if content[:4] != magic:
        raise _refused(
            path,
            f"an IDX file that starts with {magic.hex()}, not {content[:4].hex() or 'nothing'}",
        )
    if len(content) < start:
        raise _refused(
            path, f"a whole IDX file; this one ends after {len(content)} bytes, inside its header"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise _refused(
            path,
            f"a whole IDX file: its header promises {' x '.join(map(str, shape))} = {math.prod(shape):,} values, "
            f"it has {len(content) - start:,}",
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise _refused(path, f"a file that can be read and unpacked ({error})") from error


def _refused(path: Path, allowed: str) -> InputError:
    return InputError("config.data.path", str(path), allowed)

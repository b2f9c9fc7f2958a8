"""The lines and pictures of a workdir: provenance/gNN_sS.jsonl, images/gNN_sS.png, images/real.jsonl and .png."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxloop import files
from jaxloop.errors import InputError
from jaxloop.provenance import sheets

_MADE = re.compile(r"g(\d+)_s(\d+)")


def name(generation: int, seed: int) -> str:
    """What files of one generation and seed are called, without their ending."""
    return f"g{generation:02d}_s{seed}"


def made(workdir: str | os.PathLike) -> list[tuple[int, int]]:
    """(generation, seed) of every provenance file, in the order of numbers; [] where there is none."""
    stems = [path.stem for path in Path(workdir, "provenance").glob("*.jsonl")]
    found = [(int(match[1]), int(match[2])) for match in map(_MADE.fullmatch, stems) if match]
    return sorted(pair for pair in found if name(*pair) in stems)


def lines(workdir: str | os.PathLike, generation: int, seed: int) -> list[dict]:
    """What became of each image of a generation and seed, in index order.

    Raises InputError if the file is missing, or on a line that is not of an image, by file and line number.
    """
    return _lines(Path(workdir, "provenance", f"{name(generation, seed)}.jsonl"))


def sheet(workdir: str | os.PathLike, generation: int, seed: int) -> Path:
    """Where the pictures of a generation and seed lie, if the run kept them."""
    return Path(workdir, "images", f"{name(generation, seed)}.png")


def pictures(workdir: str | os.PathLike, generation: int, seed: int) -> np.ndarray:
    """The images of a generation and seed in index order: uint8 [n h w 3].

    Raises InputError naming the file if it is missing or no whole sheet, or has not a picture for each line.
    """
    num = len(lines(workdir, generation, seed))
    return _pictures(sheet(workdir, generation, seed), num)


def real(workdir: str | os.PathLike) -> tuple[list[dict], np.ndarray]:
    """The choice of real training images: their m lines, and uint8 [m h w 3]. ([], an empty array) where there is none.

    Raises InputError as `lines` and `pictures` do.
    """
    path = Path(workdir, "images", "real.png")
    if not path.exists():
        return [], np.zeros((0, 0, 0, 3), np.uint8)
    found = _lines(path.with_suffix(".jsonl"))
    return found, _pictures(path, len(found))


def write_lines(path: str | os.PathLike, lines: Iterable[dict]) -> None:
    """Writes JSON lines; a reader sees the old file or the new one. Raises ValueError on NaN and infinity."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    files.write_atomic(path, text.encode())


def _lines(path: Path) -> list[dict]:
    found = files.read_lines(path, path.name)
    for index, (number, line) in enumerate(found):
        if not (isinstance(line, dict) and line.get("index") == index and _is_named(line)):
            allowed = f'an image\'s JSON object with "index": {index}, "class": int, "sha256": str'
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(line)), allowed)
    return [line for _, line in found]


def _is_named(line: dict) -> bool:
    return type(line.get("class")) is int and isinstance(line.get("sha256"), str)


def _pictures(path: Path, num: int) -> np.ndarray:
    try:
        image = sheets.decode(path.read_bytes())
    except OSError as error:
        raise InputError(path.name, str(path), f"a readable file ({error.strerror})") from None
    except ValueError as error:
        raise InputError(path.name, str(path), f"a whole sheet of pictures ({error})") from None
    if len(image) != num:
        raise InputError(
            path.name,
            str(path),
            f"a sheet of {num} pictures, one for each line; it has {len(image)}",
        )
    return image

"""Reader of CIFAR-100's published Python archive: the folder cifar-100-python with the pickles train, test and meta."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop.data import unpickle
from jaxloop.errors import InputError

SIZE = 32  # pixels, each side
CLASSES, GROUPS = 20, 5
FINE = CLASSES * GROUPS

_FOLDER = "cifar-100-python"


class Part(NamedTuple):
    """One split of CIFAR-100.

    image: uint8 [n 32 32 3].
    fine: int [n], in [0, 100).
    coarse: int [n], in [0, 20).
    where: what it was read from, for errors.
    """

    image: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    where: str


def read(folder: Path) -> tuple[Part, Part, tuple[str, ...], tuple[str, ...]]:
    """Reads the three files.

    Args:
      folder: cifar-100-python, or the folder that it is in.

    Returns:
      (train, test, the 100 fine names, the 20 coarse names).

    Raises:
      InputError: no such folder, or a file that is missing, broken or holds something else; it names the file.
    """
    if folder.name.endswith((".tar.gz", ".tgz", ".tar")):
        raise refused(folder, f"the folder {_FOLDER} that unpacking makes (tar xf {folder.name})")
    if os.path.isdir(folder / _FOLDER):
        folder = folder / _FOLDER
    if not os.path.isdir(folder):
        raise refused(
            folder, f"a folder that exists and may be entered: {_FOLDER}, or the one that it is in"
        )
    meta = folder / "meta"
    names = _dictionary(meta)
    return (
        _part(folder / "train"),
        _part(folder / "test"),
        _names(meta, names, "fine_label_names", FINE),
        _names(meta, names, "coarse_label_names", CLASSES),
    )


def refused(where: Path | str, allowed: str) -> InputError:
    return InputError("config.data.path", str(where), allowed)


def _part(path: Path) -> Part:
    content = _dictionary(path)
    data = _value(path, content, "data")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (3 * SIZE**2,)
    ):
        raise refused(path, f"data of uint8 [n {3 * SIZE**2}]")
    planes = data.reshape(
        -1, 3, SIZE, SIZE
    )  # all reds of a picture, then all greens, then all blues
    return Part(
        image=np.ascontiguousarray(planes.transpose(0, 2, 3, 1)),
        fine=_labels(path, content, "fine_labels", len(data), FINE),
        coarse=_labels(path, content, "coarse_labels", len(data), CLASSES),
        where=str(path),
    )


def _labels(path: Path, content: dict, key: str, n: int, end: int) -> np.ndarray:
    value = _value(path, content, key)
    if (
        not isinstance(value, list)
        or len(value) != n
        or not all(type(x) is int and 0 <= x < end for x in value)
    ):
        raise refused(
            path, f"{key} that are a list of {n:,} integers in 0..{end - 1}, one an image"
        )
    return np.array(value)


def _names(path: Path, content: dict, key: str, n: int) -> tuple[str, ...]:
    value = _value(path, content, key)
    if (
        not isinstance(value, list)
        or len(value) != n
        or not all(isinstance(name, bytes | str) for name in value)
    ):
        raise refused(path, f"{key} that are a list of {n} names")
    return tuple(
        name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in value
    )


def _dictionary(path: Path) -> dict:
    if not os.path.isfile(path):
        raise refused(path.parent, f"a folder that holds {path.name}, as {_FOLDER} does")
    content = unpickle.read(path)
    if not isinstance(content, dict):
        raise refused(path, f"a pickled dictionary, not {type(content).__name__}")
    return content


def _value(path: Path, content: dict, key: str):
    """The entry `key`. Python 2, which wrote the published files, made it bytes."""
    for name in (key.encode(), key):
        if name in content:
            return content[name]
    raise refused(path, f"a pickled dictionary with {key}")

"""CIFAR-20/100: the 20 coarse classes of CIFAR-100, and the 5 fine classes of each as subgroups.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009),
https://www.cs.toronto.edu/~kriz/cifar.html
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop.data import augment, pictures, prepared, unpickle
from jaxloop.data.paths import refusal, require
from jaxloop.spec import Data
from jaxloop.types import Dataset, Samples

_SIZE = 32  # pixels, each side
_CLASSES, _GROUPS, _FINE = 20, 5, 100
_COUNTS = (50_000, 10_000)
_FOLDER = "cifar-100-python"


class _Part(NamedTuple):
    """One split: uint8 [n 32 32 3], labels int [n], and what it was read from, for errors."""

    image: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    where: str


_Source = tuple[_Part, _Part, tuple[str, ...], tuple[str, ...]]  # train, test, fine, coarse names


def load(data: Data) -> Dataset:
    """Return the published split: 50,000 training and 10,000 test images, uint8 [n s s 3].

    The group of an image is the rank of its fine label among the five of its coarse class. With
    `data.path`, from the published Python archive, unpacked; else through tensorflow-datasets.
    """
    read = _from_archive if data.path else _from_prepared
    train, test, fine_names, coarse_names = read(Path(data.path))
    subclasses = _subclasses(train)
    same = np.array_equal(_subclasses(test), subclasses)
    require(same, test.where, f"the same coarse class for each fine label as in {train.where}")
    size = data.image_size
    counts = len(train.fine), len(test.fine)
    split = "the published split" if counts == _COUNTS else "not the published split, but a part"
    notes = (
        f"CIFAR-20/100, {split}: {counts[0]:,} training and {counts[1]:,} test images.",
        "Subgroup k is the k-th fine label of its class in ascending order; pooled over classes it "
        "has no meaning, so read the per-class measures.",
        f"The {_SIZE}x{_SIZE} source is resized to {size}x{size} by cubic interpolation.",
    )
    return Dataset(
        train=_samples(train, subclasses, size),
        test=_samples(test, subclasses, size),
        class_names=coarse_names,
        group_names=tuple(f"subclass {k + 1}" for k in range(_GROUPS)),
        image_group=None,
        notes=notes[:2] if size == _SIZE else notes,
        subgroup_names=tuple(tuple(fine_names[fine] for fine in row) for row in subclasses),
        augmentations=augment.NAMES,
    )


def _from_prepared(_) -> _Source:
    splits, names = prepared.read("cifar100", ("train", "test"))
    train, test = (
        _Part(split["image"], split["label"], split["coarse_label"], f"the split {name!r}")
        for name, split in splits.items()
    )
    return train, test, names["label"], names["coarse_label"]


def _from_archive(folder: Path) -> _Source:
    """Read the three pickles of cifar-100-python, or of the folder that it is in."""
    if folder.name.endswith((".tar.gz", ".tgz", ".tar")):
        raise refusal(folder, f"the folder {_FOLDER} that unpacking makes (tar xf {folder.name})")
    if os.path.isdir(folder / _FOLDER):
        folder = folder / _FOLDER
    require(os.path.isdir(folder), folder, f"a folder that exists: {_FOLDER}, or the one around it")
    meta, contents = folder / "meta", _dictionary(folder / "meta")
    fine_names, coarse_names = (
        tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in row)
        for key, n in (("fine_label_names", _FINE), ("coarse_label_names", _CLASSES))
        for row in [_list(meta, contents, key, n, (bytes, str), f"{n} names")]
    )
    return _part(folder / "train"), _part(folder / "test"), fine_names, coarse_names


def _part(path: Path) -> _Part:
    contents, width = _dictionary(path), 3 * _SIZE**2
    require("data" in contents, path, "a pickled dictionary with data")
    data = contents["data"]
    is_bytes = isinstance(data, np.ndarray) and data.dtype == np.uint8
    require(is_bytes and data.shape[1:] == (width,), path, f"data of uint8 [n {width}]")
    planes = data.reshape(-1, 3, _SIZE, _SIZE)  # all reds of a picture, then its greens, its blues
    labels = []
    for key, end in (("fine_labels", _FINE), ("coarse_labels", _CLASSES)):
        what = f"{len(data):,} integers in 0..{end - 1}, one an image"
        labels.append(np.array(_list(path, contents, key, len(data), (int,), what)))
        right = np.all((labels[-1] >= 0) & (labels[-1] < end))
        require(bool(right), path, f"{key} that are a list of {what}")
    return _Part(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), *labels, where=str(path))


def _dictionary(path: Path) -> dict:
    """Read a pickled dictionary. Python 2, which wrote the published files, made its keys bytes."""
    present = os.path.exists(path)
    require(present, path.parent, f"a folder that holds {path.name}, as {_FOLDER} does")
    contents = unpickle.read(path)
    if not isinstance(contents, dict):
        raise refusal(path, f"a pickled dictionary, not {type(contents).__name__}")
    return {k.decode("latin-1") if isinstance(k, bytes) else k: v for k, v in contents.items()}


def _list(path: Path, contents: dict, key: str, n: int, kinds: tuple, what: str) -> list:
    """Return the entry `key`, a list of n values of these types."""
    require(key in contents, path, f"a pickled dictionary with {key}")
    value = contents[key]
    right = isinstance(value, list) and len(value) == n and all(type(x) in kinds for x in value)
    require(right, path, f"{key} that are a list of {what}")
    return value


def _subclasses(part: _Part) -> np.ndarray:
    """Return int [20 5]: the fine labels of each coarse class in the images, ascending."""
    pairs = np.unique(np.stack([part.coarse, part.fine], axis=1), axis=0)  # sorted
    for label, count in enumerate(np.bincount(pairs[:, 0], minlength=_CLASSES)):
        allowed = f"{_GROUPS} fine labels in each coarse class; coarse class {label} has {count}"
        require(count == _GROUPS, part.where, allowed)
    allowed = "each fine label in one coarse class; there is one in two"
    require(len(np.unique(pairs[:, 1])) == _FINE, part.where, allowed)
    return pairs[:, 1].reshape(_CLASSES, _GROUPS)


def _samples(part: _Part, subclasses: np.ndarray, size: int) -> Samples:
    image = part.image if size == _SIZE else pictures.fit(part.image, size).image
    group = np.argmax(subclasses[part.coarse] == part.fine[:, None], axis=1)
    return Samples(image, part.coarse.astype(np.int32), group.astype(np.int32))

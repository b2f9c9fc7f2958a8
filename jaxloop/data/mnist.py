"""Colorized MNIST: the published digits, from a folder of IDX files or through tensorflow-datasets, coloured."""

import os
from pathlib import Path

import numpy as np

from jaxloop import config
from jaxloop.data import idx, prepared
from jaxloop.data.colorize import colored
from jaxloop.data.resize import resize
from jaxloop.errors import InputError
from jaxloop.types import Dataset

_SIZE = 28
_CLASSES = 10
_TRAIN, _TEST = "train", "t10k"  # how the published files are named
_FILES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")


def load(data: config.Data) -> Dataset:
    """The published split: 60,000 training and 10,000 test images, uint8 [n s s 3] with s = `data.image_size`; 10
    classes, 3 colours.

    With `data.path`, a folder with the four published files (gzip'd or not). A folder with the t10k files alone is
    split by index into 80% training and 20% test images (8,000 and 2,000), and a note says so.

    Raises:
      InputError: no such folder, a missing or broken file (named), a data set that cannot be downloaded, or a
        `data.color` that has not 10 rows.
    """
    train, test, notes = _from_folder(Path(data.path)) if data.path else _from_prepared()
    size = data.image_size
    if size != _SIZE:
        notes += (
            f"The {_SIZE}x{_SIZE} source is resized to {size}x{size} by cubic interpolation.",
        )
        train, test = ((resize(grey, size), label) for grey, label in (train, test))
    return colored(data, train, test, class_names=tuple("0123456789"), notes=notes)


def _from_prepared():
    splits = prepared.read("mnist", ("train", "test"))
    train, test = ((split["image"][..., 0], split["label"]) for split in splits.values())
    return train, test, (_published(train, test),)


def _from_folder(folder: Path):
    if not os.path.isdir(folder):  # unlike Path.is_dir, it never raises
        raise InputError("config.data.path", str(folder), "a folder that exists and may be entered")
    if any(idx.find(folder, name.format(_TRAIN)) for name in _FILES):
        train, test = _pair(folder, _TRAIN), _pair(folder, _TEST)
        return train, test, (_published(train, test),)
    grey, label = _pair(folder, _TEST)
    first = len(label) * 4 // 5
    note = (
        f"Colorized MNIST from the {len(label):,} published test digits alone: the first {first:,} train, the last "
        f"{len(label) - first:,} test. Figures are not comparable with those of the 60,000-image training set."
    )
    return (grey[:first], label[:first]), (grey[first:], label[first:]), (note,)


def _published(train, test) -> str:
    return f"Colorized MNIST, the published split: {len(train[1]):,} training and {len(test[1]):,} test digits."


def _pair(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The images uint8 [n 28 28] and labels uint8 [n] of one part of the data set, checked against each other."""
    images, labels = (_file(folder, name.format(part)) for name in _FILES)
    grey, label = idx.read(images, dimensions=3), idx.read(labels, dimensions=1)
    if grey.shape[1:] != (_SIZE, _SIZE) or len(grey) < 2:
        raise InputError(
            "config.data.path",
            str(images),
            f"2 or more images of {_SIZE}x{_SIZE}, not {grey.shape}",
        )
    if len(label) != len(grey):
        raise InputError(
            "config.data.path",
            str(labels),
            f"one label an image: {len(grey):,}, not {len(label):,}",
        )
    if label.max() >= _CLASSES:
        raise InputError(
            "config.data.path", str(labels), f"labels in 0..{_CLASSES - 1}, not {label.max()}"
        )
    return grey, label


def _file(folder: Path, name: str) -> Path:
    path = idx.find(folder, name)
    if path is None:
        raise InputError(
            "config.data.path", str(folder), f"a folder that holds {name} or {name}.gz"
        )
    return path

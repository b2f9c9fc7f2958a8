"""Photographs in an ordinary ImageNet folder, {train,val}/WNID/FILE."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop.data import augment, paths, pictures
from jaxloop.data.on_disk import OnDisk
from jaxloop.types import Dataset, Samples

LAYOUT = "ROOT/{train,val}/WNID/FILE.{JPEG,jpg,png}"
SPLITS = ("train", "val")


class Cell(NamedTuple):
    """What the pictures of one ImageNet class are here: label and group, as in Samples."""

    wnid: str
    label: int
    group: int


def wnids(root: Path) -> set[str]:
    """Return the classes that both splits have. Raises InputError where a split is missing."""
    return set.intersection(*({path.name for path in _folders(root / split)} for split in SPLITS))


def listed(folder: Path) -> tuple[list[str], int]:
    """Return the names of the pictures in the folder of a class, sorted, and how many other files
    it has.

    Raises InputError where there is no picture.
    """
    names = [path.name for path in paths.entries(folder)]
    files = [name for name in names if name.lower().endswith(pictures.SUFFIXES)]
    paths.require(bool(files), folder, f"a folder with pictures; the layout is {LAYOUT}")
    return files, len(names) - len(files)


def split(root: Path, name: str, cells: Sequence[Cell], size: int, fit: str) -> tuple[Samples, int]:
    """Return the pictures of a split, on disk, and how many files were passed over.

    Args: cells: the classes to take.  size, fit: of OnDisk.
    """
    files, label, group, others = [], [], [], 0
    for cell in cells:
        found, more = listed(root / name / cell.wnid)
        files += [f"{name}/{cell.wnid}/{file}" for file in found]
        label += [cell.label] * len(found)
        group += [cell.group] * len(found)
        others += more
    image = OnDisk(root, files, size, fit)
    return Samples(image, np.array(label, np.int32), np.array(group, np.int32)), others


def decoded(samples: Samples) -> tuple[Samples, tuple[str, ...]]:
    """Return the same pictures in memory, and sentences on what was done to them."""
    read = samples.image.pictures()
    return samples._replace(image=read.image), pictures.notes(read)


def dataset(root: Path, cells: Sequence[Cell], size: int, notes: Sequence[str], **names) -> Dataset:
    """Return the pictures of the `cells`: training ones on disk, those of val, the test, in memory.

    names: class_names, group_names and subgroup_names of the Dataset.
    """
    (train, more), (val, others) = (split(root, name, cells, size, "center") for name in SPLITS)
    test, done = decoded(val)
    counts = f"{len(train.label):,} for training and {len(test.label):,} of val/ for test"
    words = [f"Photographs: {counts}.", *notes, *(f"Test: {words}" for words in done)]
    if more + others:
        words.append(f"Files passed over, being no pictures: {more + others:,}.")
    return Dataset(
        train, test, image_group=None, notes=tuple(words), augmentations=augment.NAMES, **names
    )


def _folders(folder: Path) -> list[Path]:
    paths.require(folder.is_dir(), folder, f"a folder that exists; the layout is {LAYOUT}")
    return [path for path in paths.entries(folder) if path.is_dir()]

"""Your own images: a folder of pictures, or one .npz file. Models learn classes; subgroups are only measured."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop import config
from jaxloop.data import augment, npz, pictures, tree
from jaxloop.errors import InputError
from jaxloop.types import Dataset, Samples


class _Part(NamedTuple):
    """One split. pictures: of n images; label, group: int32 [n]."""

    pictures: pictures.Pictures
    label: np.ndarray
    group: np.ndarray


class _Names(NamedTuple):
    """As in Dataset: L names, G names, and one row a class or nothing."""

    class_names: tuple[str, ...]
    group_names: tuple[str, ...]
    subgroup_names: tuple[tuple[str, ...], ...]


def load(data: config.Data) -> Dataset:
    """Images uint8 [n s s 3] with s = `data.image_size`, of L >= 2 classes that have up to G subgroups each.

    `data.path` is a folder ROOT with ROOT/{train,test}/CLASS/SUBGROUP/PICTURE.{png,jpg,jpeg}, or a .npz file (see
    `jaxloop.data.npz`). In a folder, the label is the rank of the class by name, and the group that of the subgroup
    within its class. All that had to be done to the pictures is in `notes`.

    Raises:
      InputError: no such folder or file, or one that does not fit; it names the folder, the file or the array.
    """
    path = Path(data.path)
    if data.path and os.path.isdir(path):
        train, test, names = _from_tree(path, data.image_size)
    elif os.path.isfile(path) and path.suffix.lower() == ".npz":
        train, test, names = _from_npz(path, data.image_size)
    else:
        raise InputError(
            "config.data.path", data.path, f"a folder that exists ({tree.LAYOUT}), or a .npz file"
        )
    return Dataset(
        train=Samples(train.pictures.image, train.label, train.group),
        test=Samples(test.pictures.image, test.label, test.group),
        image_group=None,
        notes=_notes(train, test, names, data.image_size),
        augmentations=augment.NAMES,
        **names._asdict(),
    )


def _from_tree(root: Path, size: int) -> tuple[_Part, _Part, _Names]:
    splits = tree.scan(root)
    class_names = tuple(splits["train"])
    if len(class_names) < 2:
        raise InputError(
            "config.data.path", str(root), f"a folder with two or more classes ({tree.LAYOUT})"
        )
    rows = tuple(tuple(subgroups) for subgroups in splits["train"].values())
    if len(set(rows)) == 1:
        names = _Names(class_names, rows[0], ())
    else:
        names = _Names(
            class_names, tuple(f"subgroup {k + 1}" for k in range(max(map(len, rows)))), rows
        )
    return _decoded(splits["train"], size), _decoded(splits["test"], size), names


def _decoded(classes: tree.Classes, size: int) -> _Part:
    paths, cells = [], []
    for label, subgroups in enumerate(classes.values()):
        for group, of_one in enumerate(subgroups.values()):
            paths += of_one
            cells += [(label, group)] * len(of_one)
    label, group = np.array(cells, np.int32).T
    return _Part(pictures.read(paths, size), label.copy(), group.copy())


def _from_npz(path: Path, size: int) -> tuple[_Part, _Part, _Names]:
    found = npz.read(path)
    train, test = (
        _Part(pictures.fit(found.image[index], size), found.label[index], found.group[index])
        for index in (~found.is_test, found.is_test)
    )
    return train, test, _Names(found.class_names, found.group_names, ())


def _notes(train: _Part, test: _Part, names: _Names, size: int) -> tuple[str, ...]:
    """The sentences that a report on these images must show."""
    n = len(train.label), len(test.label)
    notes = [
        f"Own images: {n[0]:,} for training and {n[1]:,} for test, in {len(names.class_names)} classes."
    ]
    notes += pictures.notes(train.pictures.remarks + test.pictures.remarks, sum(n), size)
    if names.subgroup_names:
        notes.append(
            "Subgroup k is the k-th of its class by name; pooled over classes it has no meaning, so read the per-class "
            "measures."
        )
    most = len(names.group_names)
    counts = [
        len(np.unique(train.group[train.label == label])) for label in range(len(names.class_names))
    ]
    for says, few in (
        ("Classes with a single subgroup, in which measures between subgroups do not exist", 2),
        (f"Classes with fewer than {most} subgroups, which means over classes leave out", most),
    ):
        if these := [
            name for name, count in zip(names.class_names, counts, strict=True) if count < few
        ]:
            notes.append(f"{says}: {', '.join(these)}.")
    in_training = set(train.pictures.digest)
    if leaked := sum(digest in in_training for digest in test.pictures.digest):
        notes.append(
            f"Test pictures that are training pictures too, byte by byte: {leaked:,} of {n[1]:,}. Accuracy is too high "
            "by what is learnt by heart."
        )
    return tuple(notes)

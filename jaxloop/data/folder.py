"""Your own images: a folder of pictures, or one .npz file. Models learn classes, not subgroups.

In a folder only what desktops leave is silently passed over. Files that are no pictures may lie
above the folders of pictures, and a note lists them.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from jaxloop.data import augment, npz, paths, pictures
from jaxloop.data.pictures import SUFFIXES
from jaxloop.spec import Data
from jaxloop.types import Dataset, Samples

_NAMED = 5  # files that a note names
_SPLITS = ("train", "test")
_LAYOUT = "ROOT/{train,test}/CLASS/SUBGROUP/PICTURE.{png,jpg,jpeg}"
_JUNK = ("thumbs.db", "desktop.ini", "__macosx")  # what desktops leave, like hidden files
_LEVELS = ("class folders", "subgroup folders (one will do)")  # of a split, of a class


def load(data: Data) -> Dataset:
    """Return images uint8 [n s s 3] of L >= 2 classes that have up to G subgroups each.

    `data.path` is a folder ROOT with ROOT/{train,test}/CLASS/SUBGROUP/PICTURE.{png,jpg,jpeg}, or a
    .npz file (see `jaxloop.data.npz`). In a folder, the label is the rank of the class by name, and
    the group that of the subgroup within its class. `notes` say all that was done to the pictures.
    """
    path = Path(data.path)
    if data.path and os.path.isdir(path):
        return _from_tree(path, data.image_size)
    if os.path.isfile(path) and path.suffix.lower() == ".npz":
        arrays = npz.read(path)
        return _dataset(pictures.fit(arrays[0], data.image_size), *arrays[1:])
    raise paths.refusal(data.path, f"a folder that exists ({_LAYOUT}), or a .npz file")


def _from_tree(root: Path, size: int) -> Dataset:
    files, others = _scan(root)
    columns = ["split", "class", "subgroup"]
    table = pd.DataFrame([path.parts[-4:-1] for path in files], columns=columns)
    classes = table.groupby("class")["subgroup"]
    class_names, rows = tuple(map(str, classes.groups)), tuple(map(tuple, classes.unique()))
    allowed = f"a folder with two or more classes ({_LAYOUT})"
    paths.require(len(class_names) > 1, root, allowed)
    label = classes.ngroup().to_numpy(np.int32)
    group = classes.transform(lambda names: pd.factorize(names)[0]).to_numpy(np.int32)
    is_test = (table["split"] == "test").to_numpy()
    group_names = tuple(f"subgroup {k + 1}" for k in range(max(map(len, rows))))
    if len(set(rows)) == 1:
        group_names, rows = rows[0], ()
    names = [paths.escaped(str(path.relative_to(root))) for path in others]
    images = pictures.read(files, size)
    return _dataset(images, label, group, is_test, class_names, group_names, rows, names)


def _scan(root: Path) -> tuple[list[Path], list[Path]]:
    """List the pictures, of the same subgroups in both splits, and the other files; open none.

    InputError names the first file or folder that does not fit the layout.
    """
    others = []
    for path in _entries(root):
        if path.name not in _SPLITS:
            _require(os.path.isfile(path), path, "only train/ and test/ at this level")
            others.append(path)
    files = {split: _pictures(root / split, _LEVELS, others) for split in _SPLITS}
    train, test = ({path.parts[-3:-1] for path in of_split} for of_split in files.values())
    for name, subgroup in sorted(train ^ test):
        present, absent = (root / split / name / subgroup for split in _SPLITS)
        if (name, subgroup) in test:
            present, absent = absent, present
        _require(False, absent, f"a folder with pictures, because {present} is one")
    return [*files["train"], *files["test"]], others


def _pictures(folder: Path, levels: tuple[str, ...], others: list[Path]) -> list[Path]:
    """List the pictures in a folder, in whose folders there are further `levels`, sorted."""
    files = []
    for path in _entries(folder):
        is_file, suffix = os.path.isfile(path), path.suffix.lower()
        if not levels:
            allowed = f"only pictures ({', '.join(SUFFIXES)}) at this level, each a regular file"
            _require(is_file and suffix in SUFFIXES, path, allowed)
            files.append(path)
        elif is_file and suffix not in Image.registered_extensions():
            others.append(path)
        else:
            _require(os.path.isdir(path), path, f"only {levels[0]} at this level")
            _require(path.name == paths.escaped(path.name), path, "a name in UTF-8")
            files += _pictures(path, levels[1:], others)
    _require(bool(files), folder, f"a folder that holds {levels[0] if levels else 'pictures'}")
    return files


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted by name, without hidden files and other junk."""
    visible = [path for path in paths.entries(folder) if not path.name.startswith(".")]
    return [path for path in visible if path.name.lower() not in _JUNK]


def _require(ok: bool, path: Path, allowed: str) -> None:
    paths.require(ok, path, f"{allowed}; the layout is {_LAYOUT}")


def _dataset(
    images: pictures.Pictures,
    label: np.ndarray,
    group: np.ndarray,
    is_test: np.ndarray,
    class_names: tuple[str, ...],
    group_names: tuple[str, ...],
    subgroup_names: tuple[tuple[str, ...], ...] = (),
    others: Sequence[str] = (),
) -> Dataset:
    """Put both splits together. is_test: bool [n]. others: files that are no pictures."""
    parts, first = (~is_test, is_test), int(np.sum(~is_test))
    if is_test[first:].all():  # as in folders: nothing need be copied
        parts = slice(first), slice(first, None)
    train, test = (Samples(images.image[part], label[part], group[part]) for part in parts)
    notes = (
        f"Own images: {len(train.label):,} for training and {len(test.label):,} for test, in "
        f"{len(class_names)} classes.",
        *pictures.notes(images),
    )
    if others:
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        notes += (f"Passed over, being no pictures: {', '.join(others[:_NAMED])}{more}.",)
    if subgroup_names:
        notes += (
            "Subgroup k is the k-th of its class by name; pooled over classes it has no meaning, "
            "so read the per-class measures.",
        )
    most, cells = len(group_names), np.unique(np.stack([label, group]), axis=1)
    for words, few in (
        ("Classes with a single subgroup, in which measures between subgroups do not exist", 2),
        (f"Classes with fewer than {most} subgroups, which means over classes leave out", most),
    ):
        if names := [class_names[c] for c in np.flatnonzero(np.bincount(cells[0]) < few)]:
            notes += (f"{words}: {', '.join(names)}.",)
    if leaked := int(np.isin(images.digest[is_test], images.digest[~is_test]).sum()):
        notes += (
            f"Test pictures that are training pictures too, byte by byte: {leaked:,} of "
            f"{len(test.label):,}. Accuracy is too high by what is learnt by heart.",
        )
    return Dataset(
        train, test, class_names, group_names, None, notes, subgroup_names, augment.NAMES
    )

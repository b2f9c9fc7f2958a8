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

from jaxloop.data import augment, memory, npz, paths, pictures
from jaxloop.data.on_disk import OnDisk
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
        return _from_tree(path, data)
    if os.path.isfile(path) and path.suffix.lower() == ".npz":
        image, label, group, is_test, class_names, group_names = npz.read(path)
        images = pictures.fit(image, data.image_size)
        parts = [images.image[part] for part in (~is_test, is_test)]
        done, copies = pictures.notes(images), _copied(images, is_test)
        dataset = _dataset(parts, label, group, is_test, done, class_names, group_names)
        return dataset._replace(notes=(*dataset.notes, *copies))
    raise paths.refusal(data.path, f"a folder that exists ({_LAYOUT}), or a .npz file")


def _from_tree(root: Path, data: Data) -> Dataset:
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
    images, done, copies = _split_images(root, files, is_test, data)
    of_names = class_names, group_names, rows, names
    dataset = _dataset(images, label, group, is_test, done, *of_names)
    return dataset._replace(notes=(*dataset.notes, *copies))


def _split_images(root: Path, files: list[Path], is_test: np.ndarray, data: Data):
    """Return the images of both splits, those of training on disk or read; notes on what was done
    to them, and on copies.

    files: those of training first.
    """
    first, size = int(np.sum(~is_test)), data.image_size
    train = OnDisk(root, [str(path.relative_to(root)) for path in files[:first]], size, "crop")
    if data.memory in memory.ON_DISK or (data.memory == "auto" and memory.is_large(train)):
        test = pictures.read(files[first:], size)
        done = [f"Test: {words}" for words in pictures.notes(test)]
        words = "Whether test pictures are training pictures too is not known: those stay on disk."
        return (train, test.image), done, (words,)
    images = pictures.read(files, size)
    parts = images.image[:first], images.image[first:]
    return parts, pictures.notes(images), _copied(images, is_test)


def _copied(images: pictures.Pictures, is_test: np.ndarray) -> tuple[str, ...]:
    """Return a note on test pictures that are training pictures too, if there are any."""
    if leaked := int(np.isin(images.digest[is_test], images.digest[~is_test]).sum()):
        return (
            f"Test pictures that are training pictures too, byte by byte: {leaked:,} of "
            f"{is_test.sum():,}. Accuracy is too high by what is learnt by heart.",
        )
    return ()


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
    images: Sequence[np.ndarray | OnDisk],
    label: np.ndarray,
    group: np.ndarray,
    is_test: np.ndarray,
    done: Sequence[str],
    class_names: tuple[str, ...],
    group_names: tuple[str, ...],
    subgroup_names: tuple[tuple[str, ...], ...] = (),
    others: Sequence[str] = (),
) -> Dataset:
    """Put both splits together.

    images: of training and test.  is_test: bool [n].  done: notes on what was done to them.
    others: files that are no pictures.
    """
    parts = zip(images, (~is_test, is_test), strict=True)
    train, test = (Samples(image, label[part], group[part]) for image, part in parts)
    notes = (
        f"Own images: {len(train.label):,} for training and {len(test.label):,} for test, in "
        f"{len(class_names)} classes.",
        *done,
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
    return Dataset(
        train, test, class_names, group_names, None, notes, subgroup_names, augment.NAMES
    )

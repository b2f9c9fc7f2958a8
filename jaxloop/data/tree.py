"""The layout of folders of own images: ROOT/{train,test}/CLASS/SUBGROUP/PICTURE. Nothing is silently passed over."""

import os
from pathlib import Path

from jaxloop.data.pictures import SUFFIXES
from jaxloop.errors import InputError

SPLITS = ("train", "test")
LAYOUT = "ROOT/{train,test}/CLASS/SUBGROUP/PICTURE.{png,jpg,jpeg}"

_JUNK = ("thumbs.db", "desktop.ini", "__macosx")  # what desktops leave, like hidden files

Classes = dict[str, dict[str, list[Path]]]  # class -> subgroup -> pictures, each sorted by name


def scan(root: Path) -> dict[str, Classes]:
    """Lists the pictures; opens none.

    Returns:
      {"train": {class: {subgroup: paths}}, "test": ...}, each sorted by name. Both splits have the same classes and
      subgroups, and each subgroup at least one path.

    Raises:
      InputError: names the first file or folder that does not fit the layout: one that is missing, empty, too high or
        too deep, a file that is no picture, or a subgroup that one split has and the other lacks.
    """
    for path in _entries(root):
        if path.name not in SPLITS:
            raise _refused(path, "only train/ and test/ at this level")
    tree = {split: _classes(root / split) for split in SPLITS}
    _require_both(root, tree)
    return tree


def _classes(split: Path) -> Classes:
    return {
        folder.name: {
            subgroup.name: _pictures(subgroup)
            for subgroup in _folders(folder, "subgroup folders (one will do)")
        }
        for folder in _folders(split, "class folders")
    }


def _folders(folder: Path, what: str) -> list[Path]:
    """The folders in `folder`: at least one, and nothing else."""
    entries = _entries(folder)
    for path in entries:
        if not os.path.isdir(path):
            raise _refused(path, f"only {what} at this level")
    if not entries:
        raise _refused(folder, f"a folder that holds {what}")
    return entries


def _pictures(subgroup: Path) -> list[Path]:
    """The pictures in `subgroup`: at least one, and nothing else."""
    entries = _entries(subgroup)
    for path in entries:
        if os.path.isdir(path) or path.suffix.lower() not in SUFFIXES:
            raise _refused(path, f"only pictures ({', '.join(SUFFIXES)}) at this level")
    if not entries:
        raise _refused(subgroup, "a folder that holds pictures")
    return entries


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name, without hidden files and other junk."""
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise _refused(
            folder, f"a folder that exists and may be read ({error.strerror})"
        ) from error
    return [
        folder / name
        for name in sorted(names)
        if not name.startswith(".") and name.lower() not in _JUNK
    ]


def _require_both(root: Path, tree: dict[str, Classes]) -> None:
    train, test = (
        {(name, s) for name, subgroups in tree[split].items() for s in subgroups}
        for split in SPLITS
    )
    for name, subgroup in sorted(train ^ test):
        has, lacks = ("train", "test") if (name, subgroup) in train else ("test", "train")
        there = root / has / name / subgroup
        raise _refused(
            root / lacks / name / subgroup, f"a folder with pictures, because {there} is one"
        )


def _refused(path: Path, allowed: str) -> InputError:
    return InputError("config.data.path", str(path), f"{allowed}; the layout is {LAYOUT}")

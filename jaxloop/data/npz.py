"""People's own images in one .npz file, as numpy.savez writes it. Every array is checked, and an error names it."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop.errors import InputError

_REQUIRED = ("image", "label", "group", "split")
_OPTIONAL = ("class_names", "group_names")
_SPLITS = ("train", "test")


class Arrays(NamedTuple):
    """What the file holds, in one form.

    image: uint8 [n h w c], c = 1 or 3.
    label: int32 [n], in [0, L), L >= 2.
    group: int32 [n], in [0, G). A class need not have every group; one that it has is in both splits.
    is_test: bool [n].
    class_names: L names.
    group_names: G names.
    """

    image: np.ndarray
    label: np.ndarray
    group: np.ndarray
    is_test: np.ndarray
    class_names: tuple[str, ...]
    group_names: tuple[str, ...]


def read(path: Path) -> Arrays:
    """Reads the arrays `image` (uint8 [n h w 3], [n h w 1] or [n h w]), `label` and `group` (integers [n]), `split`
    ("train" or "test", or 0 or 1, [n]), and, where they are there, `class_names` and `group_names` (strings).

    Nothing is unpickled. Without names, classes are called by their number and subgroups "subgroup 1" and so on.

    Raises:
      InputError: names the file and the array that is missing, unknown, misshapen or out of range, or the subgroup that
        has no image in one of the splits.
    """
    arrays = _arrays(path)
    image = _image(path, arrays["image"])
    n = len(image)
    class_names = _names(path, "class_names", arrays)
    group_names = _names(path, "group_names", arrays)
    label = _indices(path, "label", arrays["label"], n, class_names)
    group = _indices(path, "group", arrays["group"], n, group_names)
    is_test = _is_test(path, arrays["split"], n)
    class_names = class_names or tuple(map(str, range(label.max() + 1)))
    group_names = group_names or tuple(f"subgroup {k + 1}" for k in range(group.max() + 1))
    if len(class_names) < 2:
        raise _refused(path, "label", "two or more classes")
    found = Arrays(image, label, group, is_test, class_names, group_names)
    _require_both_splits(path, found)
    return found


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise InputError("config.data.path", str(path), "a .npz file, as numpy.savez writes it")
    arrays, name = {}, ""
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                if name not in _REQUIRED + _OPTIONAL:
                    raise _refused(
                        path, name, f"no such array; only {', '.join(_REQUIRED + _OPTIONAL)}"
                    )
                arrays[name] = file[name]
    except InputError:
        raise
    except Exception as error:  # whatever NumPy or zipfile raises, the person needs one line
        raise _refused(
            path, name, f"a whole array without Python objects ({type(error).__name__}: {error})"
        ) from error
    for name in _REQUIRED:
        if name not in arrays:
            raise _refused(path, name, f"is missing; there are {', '.join(arrays) or 'none'}")
    return arrays


def _image(path: Path, image: np.ndarray) -> np.ndarray:
    shaped = image[..., None] if image.ndim == 3 else image
    if (
        image.dtype != np.uint8
        or shaped.ndim != 4
        or shaped.shape[-1] not in (1, 3)
        or not shaped.size
    ):
        raise _refused(
            path,
            "image",
            f"uint8 [n h w 3], [n h w 1] or [n h w], not {image.dtype} {list(image.shape)}",
        )
    return shaped


def _names(path: Path, name: str, arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    if name not in arrays:
        return ()
    value = arrays[name]
    if (
        value.ndim != 1
        or value.dtype.kind != "U"
        or not value.size
        or len(set(value)) != len(value)
    ):
        raise _refused(path, name, f"different strings [n], not {value.dtype} {list(value.shape)}")
    return tuple(map(str, value))


def _indices(
    path: Path, name: str, value: np.ndarray, n: int, names: tuple[str, ...]
) -> np.ndarray:
    if value.dtype.kind not in "iu" or value.shape != (n,):
        raise _refused(
            path, name, f"integers [{n}], one an image, not {value.dtype} {list(value.shape)}"
        )
    end = (
        len(names) or n
    )  # without names, the largest index says how many there are: n images have at most n
    if value.min() < 0 or value.max() >= end:
        raise _refused(path, name, f"integers in 0..{end - 1}, not {value.min()}..{value.max()}")
    unused = np.setdiff1d(np.arange(len(names) or value.max() + 1), value)
    if unused.size:
        raise _refused(path, name, f"an image of each; {unused[0]} has none")
    return value.astype(np.int32)


def _is_test(path: Path, split: np.ndarray, n: int) -> np.ndarray:
    values = _SPLITS if split.dtype.kind == "U" else (0, 1)
    if split.dtype.kind not in "Uiu" or split.shape != (n,) or not np.isin(split, values).all():
        raise _refused(
            path,
            "split",
            f'"train" or "test" [{n}], or 0 or 1 [{n}], not {split.dtype} {list(split.shape)}',
        )
    return split == values[1]


def _require_both_splits(path: Path, found: Arrays) -> None:
    train, test = (
        set(zip(found.label[index].tolist(), found.group[index].tolist(), strict=True))
        for index in (~found.is_test, found.is_test)
    )
    for label, group in sorted(train ^ test):
        which = f"class {found.class_names[label]}, group {found.group_names[group]}"
        has = "training" if (label, group) in train else "test"
        raise _refused(
            path,
            "split",
            f"training and test images of each subgroup; {which} has {has} images alone",
        )


def _refused(path: Path, name: str, allowed: str) -> InputError:
    return InputError("config.data.path", str(path), f"in array {name!r}: {allowed}")

"""People's own images in one .npz file, as numpy.savez writes it. An error names the array."""

import zipfile
from pathlib import Path

import numpy as np

from jaxloop.data import paths
from jaxloop.errors import refusing

_REQUIRED = ("image", "label", "group", "split")
_OPTIONAL = ("class_names", "group_names")

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...]]


def read(path: Path) -> Arrays:
    """Read the arrays `image` (uint8 [n h w 3], [n h w 1] or [n h w]), `label` and `group`
    (integers [n]), `split` ("train" or "test", or 0 or 1, [n]), and, where present, `class_names`
    and `group_names` (strings). Nothing is unpickled.

    Returns image uint8 [n h w c], c = 1 or 3; label and group int32 [n]; is_test bool [n]; the
    names of L >= 2 classes and of G groups: by default the number, "subgroup 1" and so on.
    """
    arrays = _arrays(path)
    image, split = arrays["image"], arrays["split"]
    shaped = image[..., None] if image.ndim == 3 else image
    right = image.dtype == np.uint8 and shaped.ndim == 4 and shaped.size > 0
    allowed = f"uint8 [n h w 3], [n h w 1] or [n h w], not {_kind(image)}"
    _require(right and shaped.shape[-1] in (1, 3), path, "image", allowed)
    n = len(image)
    class_names, group_names = (_names(path, name, arrays) for name in _OPTIONAL)
    label = _indices(path, "label", arrays["label"], n, class_names)
    group = _indices(path, "group", arrays["group"], n, group_names)
    values = ("train", "test") if split.dtype.kind == "U" else (0, 1)
    right = split.dtype.kind in "Uiu" and split.shape == (n,) and bool(np.isin(split, values).all())
    allowed = f'"train" or "test" [{n}], or 0 or 1 [{n}], not {_kind(split)}'
    _require(right, path, "split", allowed)
    class_names = class_names or tuple(map(str, range(label.max() + 1)))
    group_names = group_names or tuple(f"subgroup {k + 1}" for k in range(group.max() + 1))
    _require(len(class_names) > 1, path, "label", "two or more classes")
    is_test, cells = split == values[1], np.stack([label, group], axis=1)
    train, test = (set(map(tuple, cells[part])) for part in (~is_test, is_test))
    for c, g in sorted(train ^ test):
        has = "training" if (c, g) in train else "test"
        which = f"class {class_names[c]}, group {group_names[g]} has {has} images alone"
        _require(False, path, "split", f"training and test images of each subgroup; {which}")
    return shaped, label, group, is_test, class_names, group_names


def _arrays(path: Path) -> dict[str, np.ndarray]:
    arrays, known, whole = {}, _REQUIRED + _OPTIONAL, "a .npz file, as numpy.savez writes it"
    paths.require(zipfile.is_zipfile(path), path, whole)
    with refusing(paths.FIELD, str(path), whole), np.load(path, allow_pickle=False) as file:
        for name in file.files:
            _require(name in known, path, name, f"no such array; only {', '.join(known)}")
            allowed = f"in array {name!r}: a whole array without Python objects"
            with refusing(paths.FIELD, str(path), allowed):
                arrays[name] = file[name]
    for name in _REQUIRED:
        present = ", ".join(arrays) or "none"
        _require(name in arrays, path, name, f"is missing; there are {present}")
    return arrays


def _names(path: Path, name: str, arrays: dict[str, np.ndarray]) -> tuple[str, ...]:
    if name not in arrays:
        return ()
    value = arrays[name]
    right = value.ndim == 1 and value.dtype.kind == "U" and value.size > 0
    right = right and len(set(value)) == len(value) and all(paths.escaped(x) == x for x in value)
    _require(right, path, name, f"different strings [n], not {_kind(value)}")
    return tuple(map(str, value))


def _indices(path: Path, name: str, value: np.ndarray, n: int, names: tuple) -> np.ndarray:
    right = value.dtype.kind in "iu" and value.shape == (n,)
    _require(right, path, name, f"integers [{n}], one an image, not {_kind(value)}")
    end = len(names) or n  # without names, the largest index says how many: n images have up to n
    lowest, highest = value.min(), value.max()
    right, allowed = lowest >= 0 and highest < end, f"integers in 0..{end - 1}"
    _require(right, path, name, f"{allowed}, not {lowest}..{highest}")
    unused = [*np.setdiff1d(np.arange(len(names) or highest + 1), value), None][0]
    _require(unused is None, path, name, f"an image of each; {unused} has none")
    return value.astype(np.int32)


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _require(ok: bool, path: Path, name: str, allowed: str) -> None:
    paths.require(ok, path, f"in array {name!r}: {allowed}")

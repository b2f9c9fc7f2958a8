"""Colorized MNIST: the published digits, or other 28x28 pictures in IDX files, coloured.

An IDX file is a magic number (two zero bytes, 8 for unsigned bytes, the number of dimensions), the
dimensions as big-endian 32-bit integers, and the values.
"""

import gzip
import hashlib
import math
import os
import re
import struct
from pathlib import Path

import numpy as np

from jaxloop.data import paths, prepared
from jaxloop.data.colorize import Part, colored
from jaxloop.data.paths import require
from jaxloop.errors import refusing
from jaxloop.spec import Data
from jaxloop.types import Dataset

_FILES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
# As published: the images of each label, and the MD5 of the unpacked image file.
_COUNTS = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "t10k": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}
_MD5 = {"train": "6bbc9ace898e44ae57da46a324031adb", "t10k": "2646ac647ad5339dbf082846283269ea"}


def load(data: Data) -> Dataset:
    """Return 28x28 pictures of L classes, resized and coloured: uint8 [n s s 3], 3 colours.

    With `data.path`, from the four IDX files of a folder, gzip'd or not; t10k files alone are split
    by index into 80 % training and 20 % test images. Without, MNIST through tensorflow-datasets.
    A note says which. What is not MNIST has the classes 0..(largest label), called "class 0" etc.
    """
    if data.path:
        parts = _from_folder(Path(data.path))
    else:
        splits, _ = prepared.read("mnist", ("train", "test"))
        named = zip(_COUNTS, splits.values(), strict=True)
        parts = {part: (split["image"][..., 0], split["label"]) for part, split in named}
    num_classes = 1 + max(int(label.max()) for _, label in parts.values())
    require(num_classes > 1, data.path, "labels of two or more classes")
    is_mnist, title = _title(parts, by_hash=bool(data.path))
    (grey, label), first = parts["t10k"], 0
    if "train" not in parts:
        first = len(label) * 4 // 5
        parts["train"] = grey[:first], label[:first]
    train, test = parts["train"], (grey[first:], label[first:])
    note = f"{title}: {len(train[1]):,} training and {len(test[1]):,} test pictures."
    if first:
        note += (
            f" There are no train files: of the t10k files the first {first:,} train, the last "
            f"{len(label) - first:,} test. Figures are not comparable with those of a training set."
        )
    names = tuple(str(c) if is_mnist else f"class {c}" for c in range(num_classes))
    return colored(data, train, test, names, note)


def _title(parts: dict[str, Part], by_hash: bool) -> tuple[bool, str]:
    """Tell by numbers of labels whether this is MNIST, and return what it may be called."""
    counts = {part: np.bincount(label).tolist() for part, (_, label) in parts.items()}
    if counts != {part: _COUNTS[part] for part in parts}:
        return False, "Colorized pictures that are not MNIST (other numbers of labels)"
    if by_hash and any(_md5(grey) != _MD5[part] for part, (grey, _) in parts.items()):
        return True, "Colorized MNIST by its numbers of labels (not the published image files)"
    return True, "Colorized MNIST, the published split" if len(parts) == 2 else "Colorized MNIST"


def _from_folder(folder: Path) -> dict[str, Part]:
    """Read the parts "train" and "t10k", or "t10k" alone where no file looks like training's."""
    names = [path.name + "/" * os.path.isdir(path) for path in paths.entries(folder)]
    near = [name for name in names if re.search("(train|t10k|test).*(image|label|idx)", name, re.I)]
    present = f"; there is {', '.join(map(paths.escaped, near))}" if near else ""
    parts = {}
    for part in _COUNTS:
        if part == "t10k" or any("train" in name.lower() for name in near):
            files = [_file(folder, name.format(part), present) for name in _FILES]
            grey, label = (read_idx(*file) for file in zip(files, (3, 1), strict=True))
            right = grey.shape[1:] == (28, 28) and len(grey) > 1
            require(right, files[0], f"2 or more images of 28x28, not {grey.shape}")
            counts = f"{len(grey):,}, not {len(label):,}"
            require(len(label) == len(grey), files[1], f"one label an image: {counts}")
            parts[part] = grey, label
    return parts


def _file(folder: Path, name: str, present: str) -> Path:
    """Return the file `name` or `name`.gz of a folder, or one with a near name.

    A near name ("train-images.idx3-ubyte") has other marks between the same words, in any case.
    """
    near = re.compile("[^a-z0-9]+".join(name.split("-")) + "([.]gz)?", re.IGNORECASE)
    files = [path for path in paths.entries(folder) if near.fullmatch(path.name)]
    files = [path for path in files if not os.path.isdir(path)]
    require(bool(files), folder, f"a folder that holds {name} or {name}.gz{present}")
    return min(files, key=lambda path: (path.name.removesuffix(".gz") != name, path))


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read one whole IDX file of unsigned bytes, gzip where its name ends in .gz: uint8."""
    content = paths.read_bytes(path)
    if path.suffix.lower() == ".gz":
        with refusing(paths.FIELD, str(path), "a file that can be unpacked"):
            content = gzip.decompress(content)
    magic, start = bytes([0, 0, 8, dimensions]), 4 * (1 + dimensions)
    first = content[:4].hex() or "nothing"
    require(first == magic.hex(), path, f"an IDX file that starts with {magic.hex()}, not {first}")
    end = f"a whole IDX file; this one ends after {len(content)} bytes, inside its header"
    require(len(content) >= start, path, end)
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    count, promised = len(content) - start, math.prod(shape)
    sizes = f"{' x '.join(map(str, shape))} = {promised:,} values, it has {count:,}"
    require(count == promised, path, f"a whole IDX file: its header promises {sizes}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _md5(image: np.ndarray) -> str:
    """Return the MD5 of the unpacked file that holds uint8 [n h w]."""
    header = struct.pack(">4I", 0x803, *image.shape)
    return hashlib.md5(header + image.tobytes(), usedforsecurity=False).hexdigest()

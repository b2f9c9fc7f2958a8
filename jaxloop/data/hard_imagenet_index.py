"""Hard ImageNet (Moayeri, Singla & Feizi 2022): 15 classes of ImageNet with spurious cues, and
masks of their objects. `data.path` is an index of both, which jaxloop.data.hard_imagenet prepares.
"""

import json
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image

from jaxloop.data import augment, imagenet, paths, pictures, squares
from jaxloop.data.imagenet import SPLITS
from jaxloop.data.on_disk import OnDisk
from jaxloop.errors import refusing
from jaxloop.spec import Data
from jaxloop.types import Dataset, Samples

FORMAT = "jaxloop.hard_imagenet.1"
COMMAND = "python -m jaxloop.data.hard_imagenet prepare IMAGENET MASKS OUT.json"
CLASSES = (  # in the label order of its authors
    ("n03218198", "dog sled"), ("n02492660", "howler monkey"), ("n04162706", "seat belt"),
    ("n04228054", "ski"), ("n04356056", "sunglasses"), ("n02807133", "swimming cap"),
    ("n02777292", "balance beam"), ("n03535780", "horizontal bar"), ("n03899768", "patio"),
    ("n04019541", "hockey puck"), ("n03770439", "miniskirt"), ("n04264628", "space bar"),
    ("n04540053", "volleyball"), ("n09835506", "baseball player"), ("n04251144", "snorkel"),
)  # fmt: skip
LABELS = {wnid: label for label, (wnid, _) in enumerate(CLASSES)}


def load(data: Data) -> Dataset:
    """Return the pictures of an index, `data.path`.

    By the published protocol a picture is squashed to 8/7 of the side (256 for 224) and cropped at
    the centre; masks take the same road, and what is not zero after it is object. The group is the
    class. `test_extras` has "masks", bool [n s s].

    Raises InputError that counts the files that are missing, and names the first.
    """
    index = _index(Path(data.path))
    parts = {name: _samples(index, name, data.image_size) for name in SPLITS}
    test, done = imagenet.decoded(parts["val"])
    masks = read_masks(masks_of(index, "val"), data.image_size)
    names = tuple(name for _, name in CLASSES)
    notes = (
        f"Hard ImageNet: {len(parts['train'].label):,} pictures for training and "
        f"{len(test.label):,} of val/ for test.",
        "Nobody has published subgroups of it: each class is a group, so that pooled measures "
        "compare classes; ranks (eq. 5) and measures within a class do not exist. The spurious cue "
        "is measured by accuracy on ablated pictures.",
        *(f"Test: {words}" for words in done),
    )
    return Dataset(
        parts["train"], test, names, names, None, notes, augmentations=augment.NAMES,
        test_extras={"masks": masks},
    )  # fmt: skip


def read_masks(files_: Sequence[Path], size: int) -> np.ndarray:
    """Return masks by the road of their pictures: bool [n s s], true where there is object."""
    masks = np.empty((len(files_), size, size), bool)

    def work(i: int) -> None:
        image = opened_mask(files_[i])
        masks[i] = np.asarray(squares.squashed(image, size, set())) > 0

    with ThreadPool(pictures.THREADS) as pool:
        list(pool.imap(work, range(len(files_))))
    return masks


def opened_mask(path: Path) -> Image.Image:
    content = paths.read_bytes(path)
    return pictures.opened(path, content).convert("L")


def _index(path: Path) -> dict:
    paths.require(path.is_file(), path, f"an index, made by {COMMAND}")
    with refusing(paths.FIELD, str(path), f"an index, made by {COMMAND}"):
        index = json.loads(path.read_bytes())
        if index["format"] != FORMAT:
            raise ValueError
    for name in SPLITS:
        wanted = [*pictures_of(index, name), *masks_of(index, name)]
        missing = [file for file in wanted if not file.is_file()]
        words = f"an index whose files are there; {len(missing):,} of {len(wanted):,} are missing"
        paths.require(not missing, missing[0] if missing else path, words)
    return index


def _samples(index: dict, name: str, size: int) -> Samples:
    names = [f"{name}/{wnid}/{file}" for wnid, file in _rows(index, name)]
    label = np.array([LABELS[wnid] for wnid, _ in _rows(index, name)], np.int32)
    return Samples(OnDisk(Path(index["imagenet"]), names, size, "squash"), label, label)


def _rows(index: dict, name: str) -> list[tuple[str, str]]:
    return [(wnid, file) for wnid, found in index[name].items() for file in found]


def pictures_of(index: dict, name: str) -> list[Path]:
    root = Path(index["imagenet"]) / name
    return [root / wnid / file for wnid, file in _rows(index, name)]


def masks_of(index: dict, name: str) -> list[Path]:
    root = Path(index["masks"]) / name
    return [root / f"{wnid}_{file}" for wnid, file in _rows(index, name)]

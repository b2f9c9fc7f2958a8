"""What is set aside of the real training images: for a generator, and for validation."""

from functools import partial

import numpy as np

from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.types import Samples


def validation_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Hold out a random part of the training set, for early stopping; both parts keep its order.

    The draw is stratified by class x subgroup: of a cell of m images, in random order, the j-th is
    held out before all whose (j + 1/2) / m is larger. The last of a cell always stays.

    share: share held out, in (0, 1): round(share n) of n >= 2 images, but one in each part.
    seed: `data.seed`, so that every run seed has the same split.

    Returns (training part, validation part), NumPy Samples.
    """
    refuse = partial(InputError, "config.data.validation", share)
    n = len(train.label)
    if n < 2:
        raise refuse(f"a training set of 2 or more images, not {n}")
    order, cell = np.argsort(draws.uniform(seed, "validation", n), kind="stable"), _cells(train)
    size, place = np.bincount(cell)[cell], _places(order, cell)
    depth = np.where(place < size - 1, (place + 0.5) / size, np.inf)
    ranked = order[np.argsort(depth[order], kind="stable")]
    held = ranked[np.isfinite(depth[ranked])][: min(max(round(share * n), 1), n - 1)]
    if not len(held):
        raise refuse("a share that holds out more than the last of each subgroup")
    return _parts(train, np.isin(np.arange(n), held))


def held_out_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Set aside a random part of every class x subgroup; both parts keep the order of `train`.

    share: share set aside, in [0, 1): round(share n) of the n images of a class x subgroup, but one
      in each part where n >= 2, and none of a single image; 0: nothing.
    seed: `data.seed`, so that every run seed has the same split.

    Returns (the rest, what is set aside), NumPy Samples.

    Raises InputError where nothing of a class can be set aside.
    """
    label, cell = np.asarray(train.label), _cells(train)
    order = np.argsort(draws.uniform(seed, "held_out", len(label)), kind="stable")
    size = np.bincount(cell)
    count = np.minimum(np.maximum(np.round(share * size), 1), size - 1) * (share > 0)
    held = _places(order, cell) < count[cell]
    if share and len(np.unique(label[held])) < len(np.unique(label)):
        words = "0 where a class has one image at most of each subgroup: nothing of it is set aside"
        raise InputError("config.data.held_out", share, words)
    return _parts(train, held)


def _cells(train: Samples) -> np.ndarray:
    """Return the number of each image's class x subgroup, int [n], from 0 on without a gap."""
    both = np.stack([np.asarray(train.label), np.asarray(train.group)])
    return np.unique(both, axis=1, return_inverse=True)[1].reshape(both.shape[1])


def _places(order: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return the place, from 0 on, of each image among those of its cell in `order`, int [n]."""
    ranked = order[np.argsort(cell[order], kind="stable")]
    size, place = np.bincount(cell), np.empty(len(cell), int)
    place[ranked] = np.arange(len(cell)) - (np.cumsum(size) - size)[cell[ranked]]
    return place


def _parts(train: Samples, held: np.ndarray) -> tuple[Samples, Samples]:
    """Return (the rest, what `held`, bool [n], marks), NumPy Samples."""
    fields = [train.image, np.asarray(train.label), np.asarray(train.group)]
    rest, aside = ([field[part] for field in fields] for part in (~held, held))
    return Samples(*rest), Samples(*aside)

"""What is set aside of the real training images: for a generator, and for validation."""

from functools import partial

import numpy as np

from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.types import Samples


def validation_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Hold out a random part of the training set, for early stopping; both parts keep its order.

    The draw is not stratified, but a class x subgroup that it would empty keeps one image: of its
    images the first in drawn order goes back to training.

    share: share held out, in (0, 1): round(share n) of n >= 2 images, but one in each part.
    seed: `data.seed`, so that every run seed has the same split.

    Returns (training part, validation part), NumPy Samples.
    """
    refuse = partial(InputError, "config.data.validation", share)
    n, fields = len(train.label), [np.asarray(field) for field in train]
    if n < 2:
        raise refuse(f"a training set of 2 or more images, not {n}")
    _, label, group = fields
    held_count = min(max(round(share * n), 1), n - 1)
    order = np.argsort(draws.uniform(seed, "validation", n), kind="stable")
    held, kept = order[:held_count], order[held_count:]
    cell = np.unique(np.stack([label, group]), axis=1, return_inverse=True)[1].reshape(n)
    cells, first = np.unique(cell[held], return_index=True)
    back = first[~np.isin(cells, cell[kept])]
    if len(back) == len(held):
        raise refuse("a share that holds out more than the last of each subgroup")
    kept, held = np.append(kept, held[back]), np.delete(held, back)
    training, validation = ([field[np.sort(part)] for field in fields] for part in (kept, held))
    return Samples(*training), Samples(*validation)


def held_out_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Set aside a random part of every class x subgroup; both parts keep the order of `train`.

    share: share set aside, in [0, 1): round(share n) of the n images of a class x subgroup, but one
      in each part where n >= 2, and none of a single image; 0: nothing.
    seed: `data.seed`, so that every run seed has the same split.

    Returns (the rest, what is set aside), NumPy Samples.

    Raises InputError where nothing of a class can be set aside.
    """
    fields = [np.asarray(field) for field in train]
    _, label, group = fields
    held = np.zeros(len(label), bool)
    order = np.argsort(draws.uniform(seed, "held_out", len(label)), kind="stable")
    cell = np.unique(np.stack([label, group]), axis=1, return_inverse=True)[1].reshape(len(label))
    for number, n in enumerate(np.bincount(cell) if share else ()):
        count = min(max(round(share * n), 1), n - 1)
        held[order[cell[order] == number][:count]] = True
    if share and len(np.unique(label[held])) < len(np.unique(label)):
        words = "0 where a class has one image at most of each subgroup: nothing of it is set aside"
        raise InputError("config.data.held_out", share, words)
    rest, aside = ([field[part] for field in fields] for part in (~held, held))
    return Samples(*rest), Samples(*aside)

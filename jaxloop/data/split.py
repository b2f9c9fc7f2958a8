"""The validation split of the real training images."""

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

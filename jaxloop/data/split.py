"""The validation split of the real training images."""

import numpy as np

from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.types import Samples


def validation_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Hold out a random part of the training set, for early stopping; both parts keep its order.

    The draw is not stratified, but a class x subgroup that it would empty keeps one image: of its
    images the first in drawn order goes back to training.

    Args:
      share: share held out, in (0, 1): round(share n) of n >= 2 images, but one in each part.
      seed: `data.seed`, so that every run seed has the same split.

    Returns:
      (training part, validation part), NumPy Samples.
    """
    n, fields = len(train.label), [np.asarray(field) for field in train]
    _, label, group = fields
    held_count = min(max(round(share * n), 1), n - 1)
    order = np.argsort(draws.uniform(seed, "validation", n), kind="stable")
    held, kept = order[:held_count], order[held_count:]
    cell = np.unique(np.stack([label, group]), axis=1, return_inverse=True)[1].reshape(n)
    cells, first = np.unique(cell[held], return_index=True)
    back = first[~np.isin(cells, cell[kept])]
    for wrong, allowed in (
        (n < 2, f"a training set of 2 or more images, not {n}"),
        (0 in np.bincount(label), f"an image of each class; {np.bincount(label).tolist()} is not"),
        (len(back) == len(held), "a share that holds out more than the last of each subgroup"),
    ):
        if wrong:
            raise InputError("config.data.validation", share, allowed)
    kept, held = np.append(kept, held[back]), np.delete(held, back)
    training, validation = (
        Samples(*(field[np.sort(part)] for field in fields)) for part in (kept, held)
    )
    return training, validation

"""The validation split of the real training images."""

import numpy as np

from jaxloop.data import draws
from jaxloop.errors import InputError
from jaxloop.types import Samples


def validation_split(train: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """Holds out a random part of the training set, for early stopping.

    The part is not stratified: it is drawn from the images as they are, so that its class x group proportions are those
    of the training set up to chance. Both parts keep the order of `train`.

    Args:
      train: NumPy Samples of n >= 2 images.
      share: share held out, in (0, 1): round(share n) images, but at least one in each part.
      seed: `data.seed`, so that every run seed has the same split.

    Returns:
      (training part, validation part), NumPy Samples.

    Raises:
      InputError: fewer than two images.
    """
    n = len(train.label)
    if n < 2:
        raise InputError(
            "config.data.validation", share, f"a training set of 2 or more images, not {n}"
        )
    held_out = min(max(round(share * n), 1), n - 1)
    order = np.argsort(draws.uniform(seed, "validation", n), kind="stable")
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    training, validation = (
        Samples(*(np.asarray(field)[index] for field in train)) for index in parts
    )
    return training, validation

"""Colorized Digits: scikit-learn's 1,797 real handwritten 8x8 digits, resized and coloured. Needs no download."""

import numpy as np

from jaxloop import config
from jaxloop.data.colorize import colored
from jaxloop.data.resize import resize
from jaxloop.errors import InputError
from jaxloop.types import Dataset

_TEST_EVERY = 5  # image i is a test image where i % 5 == 0
_LEVELS = 16  # the source counts ink in 0..16


def load(data: config.Data) -> Dataset:
    """1,437 training and 360 test images, uint8 [n s s 3] with s = `data.image_size`; 10 classes, 3 colours.

    Raises:
      InputError: `data.path` is given, or `data.color` has not 10 rows.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    if data.path:
        raise InputError("config.data.path", data.path, "empty: the digits come with scikit-learn")
    source = load_digits()
    grey = resize(source.images * (255 / _LEVELS), data.image_size)
    label = source.target.astype(np.int32)
    is_test = np.arange(len(label)) % _TEST_EVERY == 0
    notes = (
        f"Colorized Digits: of scikit-learn's {len(label):,} digits every fifth is a test image ({is_test.sum():,}), "
        f"the others train ({(~is_test).sum():,}); the same writers are in both, so accuracy says nothing about new "
        "writers.",
        f"The 8x8 source is resized to {data.image_size}x{data.image_size} by cubic interpolation.",
    )
    return colored(
        data,
        train=(grey[~is_test], label[~is_test]),
        test=(grey[is_test], label[is_test]),
        class_names=tuple("0123456789"),
        notes=notes,
    )

"""Colorized Digits: scikit-learn's 1,797 real handwritten 8x8 digits, resized and coloured."""

import numpy as np

from jaxloop.data.colorize import colored
from jaxloop.spec import Data
from jaxloop.types import Dataset

_TEST_EVERY = 5  # image i is a test image where i % 5 == 0
_LEVELS = 16  # the source counts ink in 0..16


def load(data: Data) -> Dataset:
    """Return 1,437 training and 360 test images, uint8 [n s s 3]; 10 classes, 3 colours."""
    from sklearn.datasets import load_digits  # takes a second to import

    pixels, label = map(np.asarray, load_digits(return_X_y=True))
    grey = pixels.reshape(-1, 8, 8) * (255 / _LEVELS)
    is_test = np.arange(len(label)) % _TEST_EVERY == 0
    note = (
        f"Colorized Digits: of scikit-learn's {len(label):,} digits every fifth is a test image "
        f"({is_test.sum():,}), the others train ({(~is_test).sum():,}); the same writers are in "
        "both, so accuracy says nothing about new writers."
    )
    train, test = ((grey[part], label[part]) for part in (~is_test, is_test))
    return colored(data, train, test, tuple("0123456789"), note)

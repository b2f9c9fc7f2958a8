"""The validation split."""

import numpy as np
import pytest

from jaxloop.data.split import validation_split
from jaxloop.errors import InputError
from jaxloop.types import Samples


def numbered(n):
    number = np.arange(n, dtype=np.int32)
    return Samples(
        np.broadcast_to(number.astype(np.uint8)[:, None, None, None], (n, 2, 2, 3)),
        number,
        number % 3,
    )


@pytest.mark.parametrize(
    ("n", "share", "held_out"), [(100, 0.1, 10), (7, 0.5, 4), (5, 0.01, 1), (2, 0.9, 1)]
)
def test_the_parts_are_disjoint_and_complete(n, share, held_out):
    train, validation = validation_split(numbered(n), share, seed=0)
    assert len(validation.label) == held_out
    assert sorted([*train.label, *validation.label]) == list(range(n))
    for part in (train, validation):
        np.testing.assert_array_equal(
            part.image[:, 0, 0, 0], part.label
        )  # the fields stay together
        np.testing.assert_array_equal(part.group, part.label % 3)


def test_it_is_random_and_fixed_by_the_seed():
    def held_out(seed):
        return validation_split(numbered(200), 0.2, seed)[1].label.tolist()

    assert held_out(0) == held_out(0) != held_out(1)
    assert held_out(0) != list(range(40))
    times = np.zeros(200)
    for seed in range(200):
        times[held_out(seed)] += 1
    assert np.abs(times - 40).max() < 4.5 * np.sqrt(
        200 * 0.2 * 0.8
    )  # binomial; 4.5 deviations over 200 images


def test_refuses_a_training_set_that_cannot_be_split():
    with pytest.raises(InputError, match=r"config.data.validation.*2 or more"):
        validation_split(numbered(1), 0.1, seed=0)

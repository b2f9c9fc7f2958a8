"""The validation split, and what is set aside for a generator."""

from typing import Any

import numpy as np
import pytest

from jaxloop.data.split import held_out_split, validation_split
from jaxloop.errors import InputError
from jaxloop.types import Samples


def numbered(n, label: Any = 0, group: Any = 0):
    """Image i has the value i in all its pixels."""
    image = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 2, 3))
    return Samples(image, *(np.broadcast_to(x, n).astype(np.int32) for x in (label, group)))


def numbers(part):
    return part.image[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("n", "share", "held_out"), [(100, 0.1, 10), (7, 0.5, 4), (5, 0.01, 1), (2, 0.9, 1)]
)
def test_the_parts_are_disjoint_and_complete(n, share, held_out):
    whole = numbered(n, group=np.arange(n) % 2 if n > 2 else 0)
    train, validation = validation_split(whole, share, seed=0)
    assert len(validation.label) == held_out
    assert sorted([*numbers(train), *numbers(validation)]) == list(range(n))
    for part in (train, validation):
        assert numbers(part) == sorted(numbers(part))
        np.testing.assert_array_equal(part.group, whole.group[numbers(part)])


def test_it_is_random_and_fixed_by_the_seed():
    def held_out(seed):
        return numbers(validation_split(numbered(200), 0.2, seed)[1])

    assert held_out(0) == held_out(0) != held_out(1)
    assert held_out(0) != list(range(40))
    times = np.zeros(200)
    for seed in range(200):
        times[held_out(seed)] += 1
    # Binomial; 4.5 deviations over 200 images.
    assert np.abs(times - 40).max() < 4.5 * np.sqrt(200 * 0.2 * 0.8)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
def test_the_validation_split_is_stratified(share):
    """Every class x subgroup gives its share, within an image, and keeps its last one."""
    sizes = np.array([1, 2, 3, 40, 54, 100])
    for seed in range(20):
        cell = np.random.default_rng(seed).permutation(np.repeat(np.arange(6), sizes))
        whole = numbered(200, label=cell // 3, group=cell % 3 - 1)
        train, validation = validation_split(whole, share, seed)
        assert len(validation.label) == round(share * 200)
        counts = np.bincount(cell[numbers(validation)], minlength=6)
        assert (np.abs(counts - share * sizes) <= 1).all() and (counts < sizes).all()
        assert set(cell[numbers(train)]) == set(range(6))


def test_refuses_a_training_set_that_cannot_be_split():
    for whole, words in (
        (numbered(0), "2 or more images, not 0"),
        (numbered(1), "2 or more images, not 1"),
        (numbered(9, label=np.arange(9)), "more than the last of each subgroup"),
    ):
        with pytest.raises(InputError, match=f"config.data.validation.*{words}"):
            validation_split(whole, 0.1, seed=0)


# What is set aside for a generator


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9])
def test_a_share_of_every_subgroup_is_set_aside(share):
    sizes = np.array([1, 2, 3, 40, 54, 100])
    cell = np.random.default_rng(0).permutation(np.repeat(np.arange(6), sizes))
    whole = numbered(200, label=cell // 3, group=cell % 3 - 1)
    rest, held_out = held_out_split(whole, share, seed=0)
    assert sorted([*numbers(rest), *numbers(held_out)]) == list(range(200))
    for part in (rest, held_out):
        assert numbers(part) == sorted(numbers(part))
        np.testing.assert_array_equal(part.label, whole.label[numbers(part)])
        np.testing.assert_array_equal(part.group, whole.group[numbers(part)])
    counts = np.bincount(cell[numbers(held_out)], minlength=6)
    wanted = np.clip(np.round(share * sizes), 1, np.maximum(sizes - 1, 1)) * (sizes > 1)
    np.testing.assert_array_equal(counts, wanted if share else 0 * sizes)


def test_what_is_set_aside_is_random_and_fixed_by_the_seed():
    def aside(seed):
        return numbers(held_out_split(numbered(200), 0.2, seed)[1])

    assert aside(0) == aside(0) != aside(1)
    times = np.zeros(200)
    for seed in range(200):
        times[aside(seed)] += 1
    # Binomial; 4.5 deviations over 200 images.
    assert np.abs(times - 40).max() < 4.5 * np.sqrt(200 * 0.2 * 0.8)


def test_refuses_a_class_of_which_nothing_can_be_set_aside():
    whole = numbered(9, label=np.arange(9) // 8, group=0)
    with pytest.raises(InputError, match="config.data.held_out=0.5.*one image"):
        held_out_split(whole, 0.5, seed=0)

"""Colours: who gets which, and reading them back off the pixels."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxloop.data import colorize
from jaxloop.errors import InputError
from jaxloop.spec import Data

N = 6_000
LABEL = np.arange(N, dtype=np.int32) % 10
GREY = np.random.default_rng(0).integers(0, 256, (N, 4, 4), dtype=np.uint8) * (
    np.arange(16).reshape(4, 4) % 2 == 0
)
BIASED = colorize.probabilities(colorize.biased(10), 10)


def test_color_shares_follow_the_matrix():
    _, group = colorize.colorize(GREY, LABEL, BIASED, seed=0, split="train")
    assert group.dtype == np.int32
    share = np.stack(
        [np.bincount(group[c == LABEL], minlength=3) / np.sum(c == LABEL) for c in range(10)]
    )
    # Standard errors of 600 draws a class: 30 entries leave 4 of them once in 500 seeds.
    assert np.all(np.abs(share - BIASED) < 4 * np.sqrt(BIASED * (1 - BIASED) / 600))


def test_a_color_of_probability_0_is_never_drawn():
    certain = np.eye(3)[np.arange(10) % 3]
    _, group = colorize.colorize(GREY, LABEL, certain, seed=0, split="train")
    np.testing.assert_array_equal(group, LABEL % 3)


def test_the_foreground_is_colored_and_the_background_stays_black():
    image, group = colorize.colorize(GREY, LABEL, BIASED, seed=0, split="train")
    assert image.shape == (N, 4, 4, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[np.arange(N), :, :, group], GREY)
    np.testing.assert_array_equal(
        image.sum(axis=-1), GREY
    )  # so the two other channels are 0, and 0 stays 0


def test_colors_are_a_function_of_seed_and_split_alone():
    def group(seed=0, split="train", probability=BIASED, n=N):
        return colorize.colorize(GREY[:n], LABEL[:n], probability, seed, split)[1]

    np.testing.assert_array_equal(group(), group())
    np.testing.assert_array_equal(group()[:100], group(n=100))
    for other in (group(seed=1), group(split="test")):
        assert (
            np.mean(group() == other) < 0.7
        )  # independent draws agree with 0.8^2 + 2 x 0.1^2 = 0.66
    # The very colours, so that a library or machine that recolours the data set fails here.
    assert "".join("rgb"[k] for k in group(n=20)) == "rrbbbbrgrrbgbrgbrbbr"


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_image_group_reads_the_color_and_only_a_clear_one(transform):
    def filled(*color):
        return np.broadcast_to(np.array(color, np.uint8), (4, 4, 3))

    cases = [
        (filled(9, 0, 0), 0),
        (filled(0, 255, 0), 1),
        (filled(60, 60, 130), 2),  # more than half of the light is blue
        (filled(0, 0, 0), -1),
        (filled(255, 255, 255), -1),
        (filled(200, 200, 0), -1),  # exactly half each: neither
        (filled(100, 80, 70), -1),
    ]
    group = transform(colorize.image_group)(np.stack([image for image, _ in cases]))
    assert group.dtype == np.int32
    assert group.tolist() == [expected for _, expected in cases]


def test_image_group_does_not_overflow():
    image = np.zeros((1, 512, 512, 3), np.uint8)
    image[..., 2] = 255
    assert colorize.image_group(image).tolist() == [2]


def test_probabilities():
    np.testing.assert_allclose(colorize.probabilities((), 4), np.full((4, 3), 1 / 3))
    np.testing.assert_array_equal(colorize.probabilities(((1.0, 0.0, 0.0),), 1), [[1, 0, 0]])
    with pytest.raises(InputError, match=r"config.data.color.*10 rows.*not 4"):
        colorize.probabilities(colorize.biased(4), 10)


def test_biased_prefers_one_color_a_class():
    assert colorize.biased(4) == (
        (0.8, 0.1, 0.1),
        (0.1, 0.8, 0.1),
        (0.1, 0.1, 0.8),
        (0.8, 0.1, 0.1),
    )


@pytest.mark.parametrize(
    ("test_color", "color", "red", "noted"),
    [
        ("uniform", colorize.biased(10), 1 / 3, True),
        ("same", colorize.biased(10), 0.8, False),
        ("uniform", (), 1 / 3, False),
    ],
)
def test_colors_of_the_test_set(test_color, color, red, noted):
    data = dataclasses.replace(Data(), color=color, test_color=test_color)
    part, names = (GREY, LABEL), tuple("0123456789")
    dataset = colorize.colored(data, part, part, names, "A source.")
    share = np.mean(dataset.test.group[LABEL == 0] == 0)
    assert abs(share - red) < 4 * np.sqrt(0.25 / 600)  # 4 standard errors of 600 draws, at most
    assert dataset.notes[0] == "A source."
    assert any("coloured uniformly" in note for note in dataset.notes) == noted
    assert any("read off its pixels" in note for note in dataset.notes)
    assert dataset.group_names == ("red", "green", "blue")


SMALL = np.random.default_rng(0).integers(0, 256, (5_000, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("size", [5, 12, 16])
def test_resizing_equals_jax_image_resize(size):
    small = SMALL[:50]
    theirs = jax.image.resize(small.astype(np.float32), (50, size, size), "cubic")
    # Both clip; ours rounds a float64, theirs is a float32: half a level, and its error.
    assert np.max(np.abs(colorize.resized(small, size) - np.clip(theirs, 0, 255))) < 0.501


def test_the_same_size_changes_nothing():
    np.testing.assert_array_equal(colorize.resized(SMALL, 8), SMALL)


def test_chunks_are_seamless_and_black_stays_black():
    whole = colorize.resized(SMALL, 12)
    np.testing.assert_array_equal(whole[4090:4100], colorize.resized(SMALL[4090:4100], 12))
    assert not colorize.resized(np.zeros((1, 8, 8), np.uint8), 16).any()

"""Resizing on the host against jax.image.resize."""

import jax
import numpy as np
import pytest

from jaxloop.data.resize import resize

GREY = np.random.default_rng(0).integers(0, 256, (5_000, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("size", [5, 12, 16])
def test_equals_jax_image_resize(size):
    small = GREY[:50]
    theirs = jax.image.resize(small.astype(np.float32), (50, size, size), "cubic")
    # Both clip; ours rounds a float64, theirs is a float32, so they differ by half a level and float32's error.
    assert np.max(np.abs(resize(small, size) - np.clip(theirs, 0, 255))) < 0.501


def test_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resize(GREY, 8), GREY)


def test_chunks_are_seamless_and_black_stays_black():
    whole = resize(GREY, 12)
    np.testing.assert_array_equal(whole[4090:4100], resize(GREY[4090:4100], 12))
    assert not resize(np.zeros((1, 8, 8), np.uint8), 16).any()

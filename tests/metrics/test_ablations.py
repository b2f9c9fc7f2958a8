"""Ablations: by hand, and against a slow reading of what they are meant to do.

Pixels are copied or grey: all comparisons are exact.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import ablations as reading
from jaxloop.metrics import ablations
from jaxloop.metrics.ablations import ABLATIONS

COMPILED = {name: jax.jit(function) for name, function in ABLATIONS.items()}


def image(height: int, width: int) -> np.ndarray:
    """Return pixels that all differ: row + column / 100, in all channels."""
    plane = np.arange(height)[:, None] + np.arange(width)[None] / 100
    return np.repeat((plane / height)[..., None], 3, axis=-1).astype(np.float32)


def mask_of(text: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in text.split()])


def ablated(name: str, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.asarray(COMPILED[name](jnp.asarray(picture[None]), jnp.asarray(mask[None])))[0]


MASKS = {
    "top edge": ".##. .##. .... .... ....",
    "bottom edge": ".... .... .... .##. .##.",
    "left edge": ".... ##.. ##.. .... ....",
    "right edge": ".... ..## ..## .... ....",
    "two components": "##..... ##..... ....... ....### ....### .......",
    "the one trims the other": "....... .##.... .##.... ....... .##.... .......",
    "neighbours": "####... ####... ####### ...####",
    "touching at a corner": "...... .##... .##... ...##. ...##. ......",
    "L": "#.... #.... #.... ####. .....",
    "fills the frame": "#### #### ####",
    "a ring fills the frame": "##### #...# #.#.# #...# #####",
    "no object": ".... .... ....",
    "one pixel": "..... ..#.. ..... .....",
    "a row": "..... ##### .....",
    "a column": ".#. .#. .#. .#.",
    "spiral": "######### #.......# #.#####.# #.#...#.# #.#.###.# #.#.....# #.####### #........",
    "overlapping boxes": "#......... #.#....... #.#....... ####...... ..........",
}


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_hand_made_masks_as_read(name, mask):
    mask = mask_of(mask)
    picture = image(*mask.shape)
    np.testing.assert_array_equal(
        ablated(name, picture, mask), reading.READING[name](picture, mask)
    )


def test_a_box_at_the_upper_edge_by_hand():
    """2x2 at the top of 5x4: below there are two whole rows, at each side one column."""
    picture, mask = image(5, 4), mask_of(MASKS["top edge"])
    wanted = picture.copy()
    wanted[0:2, 1:3] = picture[2:4, 1:3]
    np.testing.assert_array_equal(ablated("tile_box", picture, mask), wanted)
    wanted[0:2, 1:3] = 0.5
    np.testing.assert_array_equal(ablated("gray_box", picture, mask), wanted)
    np.testing.assert_array_equal(ablated("gray_object", picture, mask), wanted)


def test_a_part_that_is_too_small_is_repeated_by_hand():
    """A column of three pixels at the left of five rows: right of it are whole columns, as wide."""
    picture, mask = image(3, 5), mask_of("#### #### ####".replace("####", "####."))
    wanted = picture.copy()
    wanted[:, :4] = picture[:, 4:]  # the only column left, four times
    np.testing.assert_array_equal(ablated("tile_box", picture, mask), wanted)


def test_another_object_trims_by_hand():
    """Of the upper box, below: one free row, then the other box; the right has both columns."""
    picture = image(6, 7)
    mask = mask_of(MASKS["the one trims the other"])
    wanted = picture.copy()
    wanted[1:3, 1:3] = picture[1:3, 3:5]  # 4 pixels; above and below 2, left 2
    wanted[4, 1:3] = picture[3, 1:3]  # one row above, before the one below
    np.testing.assert_array_equal(ablated("tile_box", picture, mask), wanted)


def test_nothing_beside_a_box_leaves_grey():
    picture = image(3, 4)
    np.testing.assert_array_equal(
        ablated("tile_box", picture, mask_of(MASKS["fills the frame"])), np.full((3, 4, 3), 0.5)
    )


def test_the_box_is_around_all_objects_and_the_tiles_around_each():
    picture, mask = image(6, 7), mask_of(MASKS["two components"])
    gray = ablated("gray_box", picture, mask)
    assert (gray[0:5, 0:7] == 0.5).all() and (gray[5] == picture[5]).all()
    tiled = ablated("tile_box", picture, mask)
    np.testing.assert_array_equal(tiled[0:2, 2:], picture[0:2, 2:])


@pytest.mark.parametrize(
    ("mask", "wanted"),
    [
        (MASKS["touching at a corner"], 2),
        (MASKS["L"], 1),
        (MASKS["spiral"], 1),
        (MASKS["two components"], 2),
        (MASKS["a ring fills the frame"], 2),
        (MASKS["no object"], 0),
    ],
)
def test_components_are_4_connected(mask, wanted):
    mask = mask_of(mask)
    number = np.asarray(jax.jit(ablations.components)(jnp.asarray(mask[None])))[0]
    assert len(np.unique(number[mask])) == wanted
    assert (number[~mask] == mask.size).all()
    parts = reading.components(mask)
    for part in parts:
        rows, columns = zip(*part, strict=True)
        assert (number[rows, columns] == part[0][0] * mask.shape[1] + part[0][1]).all()


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("density", [0.02, 0.3, 0.6])
def test_random_masks_as_read(name, density):
    """Noise as of compressed masks: many components, boxes that overlap."""
    draw = np.random.default_rng(int(100 * density))
    pictures = draw.random((20, 12, 15, 3), np.float32)
    masks = draw.random((20, 12, 15)) < density
    out = np.asarray(COMPILED[name](pictures, masks))
    for picture, mask, result in zip(pictures, masks, out, strict=True):
        np.testing.assert_array_equal(result, reading.READING[name](picture, mask))


@pytest.mark.parametrize("name", ABLATIONS)
def test_ellipses_as_read(name):
    pictures, masks = reading.drawn(6, 48)
    out = np.asarray(COMPILED[name](pictures, masks))
    for picture, mask, result in zip(pictures, masks, out, strict=True):
        np.testing.assert_array_equal(result, reading.READING[name](picture, mask))


def test_grey_objects_change_nothing_else():
    pictures, masks = reading.drawn(4, 32)
    out = np.asarray(COMPILED["gray_object"](pictures, masks))
    assert (out[masks] == 0.5).all()
    np.testing.assert_array_equal(out[~masks], pictures[~masks])


def test_one_trace_for_any_masks():
    function = jax.jit(lambda images, masks: ablations.tile_box(images, masks))
    for seed in (0, 1):
        function(*reading.drawn(2, 20, seed))
    assert function._cache_size() == 1

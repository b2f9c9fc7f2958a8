"""The ablations against results by hand and a plain reading, pixel by pixel (benchmarks.ablations).

Every pixel of a result is a copy of one of the image, or 0.5, so all comparisons are exact.
"""

import jax
import numpy as np
import pytest

from benchmarks.ablations import READINGS, read_components
from jaxloop.metrics import ablations
from jaxloop.metrics.ablations import ABLATIONS, gray_box, gray_object, tile_box

G = 16  # grey, in the pictures by hand: their values are 0, 1, ... over 32


def drawn(*rows):
    """A mask of one image, from rows of "#" and "."."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])[None]


def numbered(mask):
    """Images whose pixels are numbered by rows, over 32; the same in every channel."""
    n, h, w = mask.shape
    values = np.arange(n * h * w, dtype=np.float32).reshape(n, h, w) / 32
    return np.repeat(values[..., None], 3, axis=3)


def by_hand(ablate, mask, want):
    got = np.asarray(ablate(numbered(mask), mask))
    want = np.repeat(np.float32(want)[None, ..., None] / 32, 3, axis=3)
    np.testing.assert_array_equal(got, want)


def noise(shape, seed=0):
    """Images in which no two pixels are alike, so that a copy tells where it is from."""
    return np.random.default_rng(seed).random((*shape, 3), np.float32)


def equals_the_reading(name, masks):
    images = noise(masks.shape)
    got = np.asarray(ABLATIONS[name](images, masks))
    want = np.stack([READINGS[name](*pair) for pair in zip(images, masks, strict=True)])
    np.testing.assert_array_equal(got, want)
    return images, got


def rectangle(shape, *boxes):
    """A mask with the given boxes (top, bottom, left, right) filled, ends included."""
    mask = np.zeros(shape, bool)
    for top, bottom, left, right in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask


def spiral(side):
    """A line of one pixel that turns inwards, with a gap of one pixel between its turns."""
    mask, row, column, direction = np.zeros((side, side), bool), 0, 0, (0, 1)
    mask[0, 0] = True
    length = [side - 1, *(s for k in range(side - 1, 1, -2) for s in (k, k))]
    for steps in length:
        for _ in range(steps):
            row, column = row + direction[0], column + direction[1]
            mask[row, column] = True
        direction = direction[1], -direction[0]
    return mask


def test_objects_by_hand():
    mask = drawn("....", "#..#", ".#..")
    by_hand(gray_object, mask, [[0, 1, 2, 3], [G, 5, 6, G], [8, G, 10, 11]])


def test_one_box_around_all_objects_by_hand():
    mask = drawn("....", "#...", "..#.")
    by_hand(gray_box, mask, [[0, 1, 2, 3], [G, G, G, 7], [G, G, G, 11]])


def test_tiles_by_hand_at_the_upper_edge():
    """Below there are two free rows, at the sides one free column: below is larger."""
    mask = drawn(".##.", ".##.", "....", "....", "....")
    rows = [[0, 9, 10, 3], [4, 13, 14, 7], [8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19]]
    by_hand(tile_box, mask, rows)


@pytest.mark.parametrize(
    ("row", "want"),
    [
        ("..###..", [0, 1, 0, 1, 0, 5, 6]),  # two free pixels on either side: left is first
        ("#####..", [6, 5, 6, 5, 6, 5, 6]),  # the copy that is cut lies at the far edge
        ("...####", [0, 1, 2, 0, 1, 2, 0]),
        ("#", [G]),
    ],
)
def test_tiles_by_hand_in_a_line(row, want):
    by_hand(tile_box, drawn(row), [want])
    by_hand(tile_box, drawn(*row), np.transpose([want]))


def test_tiles_by_hand_where_one_box_trims_the_others_part():
    """The upper box finds one row above, and two below, as the third is of the lower box. That one
    takes row 5 as it was given."""
    mask = drawn(".", "#", "#", "#", ".", ".", "#")
    by_hand(tile_box, mask, [[0], [5], [4], [5], [4], [5], [5]])


def test_overlapping_boxes_by_hand():
    """The first pixel decides. The L's comes first, and the other pixel goes under. Then the other
    comes first, and as the box of the L lies around it within the frame, it finds no part. Beside
    that box it finds one, and is none of the L's."""
    beside = [[4] * 5, [9] * 5, [14] * 5]
    by_hand(tile_box, drawn("#.#..", "#....", "####."), beside)
    beside[0][0] = G
    by_hand(tile_box, drawn("#..#.", "...#.", "####."), beside)
    mask = drawn("#..#.", "...#.", ".###.")
    by_hand(tile_box, mask, [[5, 4, 4, 4, 4], [5, 9, 9, 9, 9], [10, 14, 14, 14, 14]])


H, W = 11, 14
MASKS = {
    "upper edge": rectangle((H, W), (0, 3, 4, 8)),
    "lower edge": rectangle((H, W), (6, 10, 4, 8)),
    "left edge": rectangle((H, W), (3, 6, 0, 5)),
    "right edge": rectangle((H, W), (3, 6, 9, 13)),
    "corner": rectangle((H, W), (7, 10, 8, 13)),
    "two": rectangle((H, W), (1, 4, 1, 3), (6, 9, 8, 12)),
    "side by side": rectangle((H, W), (4, 8, 1, 5), (4, 8, 7, 11)),
    "one pixel apart at all sides": rectangle(
        (H, W), (4, 6, 5, 8), (0, 2, 5, 8), (8, 10, 5, 8), (4, 6, 0, 3), (4, 6, 10, 13)
    ),
    "no free pixel": rectangle(
        (H, W), (4, 6, 5, 8), (0, 3, 4, 4), (7, 10, 4, 4), (3, 3, 9, 13), (7, 7, 9, 13)
    ),
    "L": rectangle((H, W), (1, 8, 2, 3), (7, 8, 2, 9)),
    "pixel within an L": rectangle((H, W), (1, 8, 2, 3), (7, 8, 2, 9), (3, 3, 7, 7)),
    "box that sticks out of another": rectangle((H, W), (4, 9, 2, 2), (9, 9, 2, 10), (1, 6, 7, 8)),
    "touching at a corner": rectangle((H, W), (2, 4, 3, 5), (5, 7, 6, 9)),
    "frame": np.ones((H, W), bool),
    "frame, hollow": ~rectangle((H, W), (1, H - 2, 1, W - 2)),
    "all but a row": rectangle((H, W), (1, 10, 0, 13)),
    "none": np.zeros((H, W), bool),
    "a pixel": rectangle((H, W), (5, 5, 7, 7)),
    "a pixel in a corner": rectangle((H, W), (10, 10, 13, 13)),
    "checkerboard": np.indices((H, W)).sum(axis=0) % 2 == 0,
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_made_masks_equal_the_reading(name):
    equals_the_reading(name, np.stack(list(MASKS.values())))


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("shape", [(12, 9), (1, 30)])
def test_random_masks_equal_the_reading(name, shape):
    """From specks to almost everything, in more images than are labelled at a time."""
    rng = np.random.default_rng(sum(shape))
    density = np.linspace(0.01, 0.95, 70)[:, None, None]
    equals_the_reading(name, rng.random((70, *shape)) < density)


def test_random_boxes_equal_the_reading():
    """One to five boxes: between them are parts of every depth, on all sides."""
    rng = np.random.default_rng(1)
    masks = []
    for _ in range(60):
        top, left = rng.integers(0, 17, (2, rng.integers(1, 6)))
        height, width = rng.integers(0, 8, (2, len(top)))
        boxes = np.stack([top, top + height, left, left + width], axis=1)
        masks.append(rectangle((20, 21), *boxes))
    images, got = equals_the_reading("tile_box", np.stack(masks))
    assert (images != got).any(axis=(1, 2, 3)).all()


def first_pixels(mask):
    """The component of every pixel, by the reading."""
    h, w = mask.shape
    number = np.full((h, w), h * w)
    for pixels in read_components(mask):
        number[tuple(zip(*pixels, strict=True))] = pixels[0][0] * w + pixels[0][1]
    return number


def test_components_of_winding_masks():
    """The spiral is one, mirrored too. At six in ten pixels a random mask has components as winding
    as can be."""
    masks = np.random.default_rng(0).random((5, 41, 41)) < 0.6
    masks[0] = spiral(41)
    masks[1] = spiral(41)[::-1, ::-1]
    got = np.asarray(jax.jit(ablations.components)(masks))
    np.testing.assert_array_equal(got, np.stack([first_pixels(mask) for mask in masks]))
    assert len(np.unique(got[0])) == 2 and spiral(41).sum() > 41 * 41 // 2


def test_most_components():
    """No image has more components than one to two pixels, rounded up. Each finds a part here."""
    mask = np.indices((5, 5)).sum(axis=0) % 2 == 0
    images, got = equals_the_reading("tile_box", mask[None])
    assert len(read_components(mask)) == 13
    assert (got != 0.5).all() and (got != images)[0][mask].all()


def test_pixels_outside_the_boxes_stay():
    masks = np.stack(list(MASKS.values()))
    images = noise(masks.shape)
    inside = np.zeros_like(masks)
    for mask, within in zip(masks, inside, strict=True):
        for pixels in read_components(mask):
            rows, columns = np.transpose(pixels)
            within[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    changed = (np.asarray(tile_box(images, masks)) != images).any(axis=3)
    np.testing.assert_array_equal(changed, inside)
    changed = (np.asarray(gray_object(images, masks)) != images).any(axis=3)
    np.testing.assert_array_equal(changed, masks)


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("axis", [1, 2])
def test_a_flip_flips_the_result(name, axis):
    """Where one part is larger than all others and boxes do not overlap. Parts that begin at the
    box's upper left corner on all sides would fail."""
    boxes = [
        [(0, 6, 3, 9)], [(5, 10, 4, 9)], [(4, 9, 2, 12)], [(3, 10, 1, 7)], [(3, 9, 5, 11)],
        [(2, 4, 1, 7), (8, 10, 3, 12)],
    ]  # fmt: skip
    masks = np.stack([rectangle((H, W), *box) for box in boxes])
    images = noise(masks.shape)
    got = ABLATIONS[name](np.flip(images, axis), np.flip(masks, axis))
    np.testing.assert_array_equal(np.flip(got, axis), ABLATIONS[name](images, masks))


@pytest.mark.parametrize("name", ABLATIONS)
def test_a_batch_is_its_images_one_by_one(name):
    masks = np.random.default_rng(2).random((ablations.BATCH + 3, 8, 8)) < 0.2
    images = noise(masks.shape)
    together = np.asarray(ABLATIONS[name](images, masks))
    for i in (0, 1, ablations.BATCH - 1, ablations.BATCH, ablations.BATCH + 2):
        alone = np.asarray(ABLATIONS[name](images[i : i + 1], masks[i : i + 1]))
        np.testing.assert_array_equal(together[i], alone[0])


@pytest.mark.parametrize("name", ABLATIONS)
def test_one_trace_for_each_shape(name):
    ablate = ABLATIONS[name]
    ablate.clear_cache()
    for seed, number in ((0, 2), (1, 2), (2, 3)):
        masks = np.random.default_rng(seed).random((number, 6, 7)) < 0.3
        ablate(noise(masks.shape, seed), masks)
    assert ablate._cache_size() == 2


@pytest.mark.parametrize("name", ABLATIONS)
def test_no_image_and_other_dtypes(name):
    masks = drawn("..#", ".##")
    assert ABLATIONS[name](noise((0, 4, 5)), np.zeros((0, 4, 5), bool)).shape == (0, 4, 5, 3)
    assert ABLATIONS[name](noise((1, 2, 3)).astype(np.float16), masks).dtype == np.float16


@pytest.mark.parametrize("name", ABLATIONS)
def test_refusals(name):
    images, masks = noise((2, 4, 5)), np.zeros((2, 4, 5), bool)
    for wrong in (masks.astype(np.uint8), masks[:1], masks[..., None]):
        with pytest.raises(ValueError, match="^images and masks must be"):
            ABLATIONS[name](images, wrong)

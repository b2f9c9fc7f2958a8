"""Augmentation, against a definition in plain NumPy."""

import jax
import numpy as np
import pytest

from jaxloop import config, keys
from jaxloop.data.augment import NAMES, augment

N, SIDE, PADDING = 600, 16, 2  # padding = side // 8
IMAGE = np.random.default_rng(0).integers(
    1, 256, (SIDE, SIDE, 3), dtype=np.uint8
)  # no black pixel, no symmetry


jitted = jax.jit(augment, static_argnames="how")


def key(step=0):
    return keys.stage_key(keys.root_key(0), "test", 0, step)


def outcomes(how):
    """{bytes of an image: (dy, dx, flip)} of all that may come out of `how`."""
    padded = np.pad(IMAGE, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    crops = {
        (dy, dx): padded[dy : dy + SIDE, dx : dx + SIDE]
        for dy in range(2 * PADDING + 1)
        for dx in range(2 * PADDING + 1)
    }
    flips = (False, True) if how == "crop_flip" else (False,)
    return {
        (crop[:, ::-1] if flip else crop).tobytes(): (*at, flip)
        for at, crop in crops.items()
        for flip in flips
    }


def drawn(how, image=IMAGE, step=0):
    """N copies of an image, each augmented by its own draw."""
    batch = np.stack([image] * N)
    out = np.asarray(jitted(key(step), batch, how))
    assert (out.shape, out.dtype) == (batch.shape, np.uint8)
    return out


@pytest.mark.parametrize("how", ["crop", "crop_flip"])
def test_every_possible_crop_comes_out_about_equally_often(how):
    possible = outcomes(how)
    found = [possible[image.tobytes()] for image in drawn(how)]  # KeyError: not a crop
    expected = N / len(possible)
    counts = np.array([found.count(outcome) for outcome in possible.values()])
    chi_squared = np.sum((counts - expected) ** 2 / expected)
    freedom = len(possible) - 1
    assert abs(chi_squared - freedom) < 4 * np.sqrt(2 * freedom)  # 4 standard deviations


def test_the_draws_do_not_depend_on_the_images():
    possible = outcomes("crop_flip")
    batch = np.random.default_rng(1).integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8)
    augmented = jitted(key(), batch, "crop_flip")
    for got, image, same in zip(augmented, batch, drawn("crop_flip"), strict=True):
        dy, dx, flip = possible[same.tobytes()]
        padded = np.pad(image, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
        crop = padded[dy : dy + SIDE, dx : dx + SIDE]
        np.testing.assert_array_equal(got, crop[:, ::-1] if flip else crop)


def test_another_key_draws_anew_and_a_mirror_leaves_the_crop_alone():
    assert (drawn("crop", step=0) != drawn("crop", step=1)).any()
    crop, mirrored = (outcomes(how) for how in ("crop", "crop_flip"))
    for a, b in zip(drawn("crop"), drawn("crop_flip"), strict=True):
        assert crop[a.tobytes()][:2] == mirrored[b.tobytes()][:2]


def test_none_is_the_image_itself():
    np.testing.assert_array_equal(drawn("none"), np.stack([IMAGE] * N))


def test_a_side_that_eight_does_not_divide():
    image = drawn("crop", np.full((12, 12, 1), 9, np.uint8))
    black_rows = np.sum(np.all(image == 0, axis=(2, 3)), axis=1)
    assert set(black_rows) == {0, 1}  # 12 // 8 rows of padding


def test_is_the_same_in_a_loop():
    batch = np.stack([IMAGE] * N)
    loop = jax.jit(
        lambda x: jax.lax.fori_loop(0, 3, lambda step, x: augment(key(step), x, "crop_flip"), x)
    )
    stepped = batch
    for step in range(3):
        stepped = jitted(key(step), stepped, "crop_flip")
    np.testing.assert_array_equal(loop(batch), stepped)


def test_every_name_is_one_that_the_config_admits():
    for how in NAMES:
        config.resolve({"classifier": {"augment": how}})


def test_a_resized_crop_of_a_ramp_is_a_ramp():
    """Of x -> a x + b it is linear again: its slope tells the part's width, its ends the place."""
    ramp = np.broadcast_to(np.linspace(40, 200, 64)[:, None, None], (64, 64, 3))
    image = np.repeat(np.round(ramp).astype(np.uint8)[None], N, axis=0)
    out = np.asarray(jitted(key(), image, how="resized_crop_flip")).astype(float)
    column = out[:, :, 0, 0]
    slope = (column[:, 48] - column[:, 16]) / 32 / (160 / 63)  # share of the side that is shown
    # Width and height are sqrt(area ratio), 0.08 <= area <= 1, 3/4 <= ratio <= 4/3.
    assert slope.min() >= 0.08**0.5 * 0.75**0.5 - 0.03 and slope.max() <= 1.03
    assert slope.min() < 0.4 and slope.max() > 0.9
    assert out.min() >= 39 and out.max() <= 201
    middle = column[:, 20:44]
    line = middle[:, :1] + np.arange(24) * (slope * 160 / 63)[:, None]
    assert np.abs(middle - line).max() < 4  # rounding to whole pixel values, twice


def test_a_resized_crop_mirrors_half_and_shows_every_part():
    ramp = np.broadcast_to(np.linspace(0, 255, 32)[None, :, None], (32, 32, 3))
    image = np.repeat(np.round(ramp).astype(np.uint8)[None], N, axis=0)
    out = np.asarray(jitted(key(3), image, how="resized_crop_flip")).astype(float)
    left, right = out[:, 16, 2, 0], out[:, 16, 29, 0]
    # A share of 600 draws: three standard deviations are 0.06.
    assert abs((left > right).mean() - 0.5) < 0.06
    assert min(left.min(), right.min()) < 30 and max(left.max(), right.max()) > 225


def test_a_resized_crop_depends_on_its_key_alone():
    image = np.repeat(IMAGE[None], 4, axis=0)
    a, b, c = (jitted(key(k), image, how="resized_crop_flip") for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c) and not np.array_equal(a[0], a[1])

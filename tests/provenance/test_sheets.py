import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from jaxloop.provenance import sheets

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("h, w", [(1, 1), (5, 3), (3, 17), (28, 28)])
def test_a_sheet_gives_its_pictures_back_bit_for_bit(h, w):
    for n in (1, 2, 3, 7, 16, 50):
        image = noise(n, h, w, 3)
        np.testing.assert_array_equal(sheets.decode(sheets.encode(image)), image)


def test_a_sheet_is_a_picture_of_rows_for_any_other_reader():
    image = noise(7, 4, 4, 3)
    shown = np.array(Image.open(io.BytesIO(sheets.encode(image))))
    rows = [image[:3], image[3:6], np.concatenate([image[6:], np.zeros((2, 4, 4, 3), np.uint8)])]
    np.testing.assert_array_equal(shown, np.vstack([np.hstack(row) for row in rows]))


@pytest.mark.parametrize("h, w", [(8, 8), (8, 24), (30, 10)])
def test_a_sheet_is_about_square(h, w):
    width, height = Image.open(io.BytesIO(sheets.encode(noise(100, h, w, 3)))).size
    assert 0.75 < width / height < 1.34


def test_views_are_encoded_as_what_they_show():
    image = noise(6, 5, 4, 3)
    view = image[::2, :, ::-1]
    np.testing.assert_array_equal(sheets.decode(sheets.encode(view)), view)
    assert sheets.sha256(view[0]) == sheets.sha256(view[0].copy())
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(sheets.png(view[0])))), view[0])


def test_an_unpacked_picture_s_length_tells_its_shape_alone():
    for h, w in [(8, 8), (28, 28), (33, 20), (200, 150)]:
        flat, slope = (
            np.full((h, w, 3), 7, np.uint8),
            np.arange(h * w * 3, dtype=np.uint8).reshape(h, w, 3),
        )
        contents = [sheets.png(image, packed=False) for image in (noise(h, w, 3), flat, slope)]
        assert len({len(content) for content in contents}) == 1
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(contents[2]))), slope)
        assert len(sheets.png(flat)) < len(sheets.png(noise(h, w, 3)))


def test_a_name_is_of_pixels_and_shape():
    image = noise(4, 6, 3)
    assert (
        sheets.sha256(image)
        == hashlib.sha256(b"(4, 6, 3)" + bytes(image.ravel().tolist())).hexdigest()
    )
    other = image.copy()
    other[3, 5, 2] ^= 1
    names = {
        sheets.sha256(x) for x in (image, other, image.reshape(6, 4, 3), image.reshape(8, 3, 3))
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    "image", [noise(0, 4, 4, 3), noise(2, 4, 4, 1), noise(4, 4, 3), noise(2, 4, 4, 3) / 255]
)
def test_what_is_no_set_of_pictures_is_refused(image):
    with pytest.raises(ValueError, match=r"\[n h w 3\]"):
        sheets.encode(image)


def test_a_broken_byte_or_a_cut_makes_no_whole_sheet():
    """Every byte of a PNG stands under a checksum, is one, or is a length or the signature: no
    change may pass.
    """
    content = sheets.encode(noise(5, 6, 6, 3))
    assert len(content) > 400
    broken = [content[:i] for i in range(len(content))]
    for i in range(len(content)):
        for flipped in (1, 0x80, 0xFF):
            broken.append(content[:i] + bytes([content[i] ^ flipped]) + content[i + 1 :])
    for attempt in broken:
        with pytest.raises(ValueError):
            sheets.decode(attempt)


def test_another_png_is_no_sheet():
    with pytest.raises(ValueError, match="not a whole sheet"):
        sheets.decode(sheets.png(noise(4, 4, 3)))


def test_a_large_sheet_is_no_attack(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # above it PIL warns, above twice it raises
    image = noise(9, 4, 4, 3)
    np.testing.assert_array_equal(sheets.decode(sheets.encode(image)), image)

import numpy as np
import pytest
from PIL import Image

from jaxloop.features import resizing
from tests.classifiers.oracles import libraries

SIZES = [(8, 8), (28, 40), (299, 299), (300, 512), (1, 3)]  # enlarged, kept, shrunk, and of one row


def pictures(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(h).integers(0, 256, (2, h, w, 3)).astype(np.float32)


def resized(matrix, image: np.ndarray, h: int, w: int) -> np.ndarray:
    return np.asarray(resizing.apply(matrix(image.shape[1], h), matrix(image.shape[2], w), image))


@pytest.mark.parametrize(("h", "w"), SIZES)
def test_tensorflow1_is_torch_fidelitys(h, w):
    torch, _, _ = libraries()
    interpolate = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    image = pictures(h, w)
    theirs = interpolate.interpolate_bilinear_2d_like_tensorflow1x(
        torch.from_numpy(image.transpose(0, 3, 1, 2)), size=(299, 299), align_corners=False
    )
    # Of the range of pixels; the places are the same floats, only the order of sums differs.
    np.testing.assert_allclose(
        resized(resizing.tensorflow1, image, 299, 299),
        theirs.numpy().transpose(0, 2, 3, 1),
        rtol=0,
        atol=255 * 1e-6,
    )


def test_tensorflow1_by_its_definition():
    image, (h, w) = pictures(5, 9), (12, 4)
    expected = np.zeros((2, h, w, 3))
    for i in range(h):
        for j in range(w):
            y, x = i * 5 / h, j * 9 / w
            top, left = int(y), int(x)
            bottom, right = min(top + 1, 4), min(left + 1, 8)
            above = image[:, top, left] * (1 - x + left) + image[:, top, right] * (x - left)
            below = image[:, bottom, left] * (1 - x + left) + image[:, bottom, right] * (x - left)
            expected[:, i, j] = above * (1 - y + top) + below * (y - top)
    # Places are float32, as TensorFlow's: off by up to 5e-7 pixels here.
    np.testing.assert_allclose(
        resized(resizing.tensorflow1, image, h, w), expected, rtol=0, atol=255 * 1e-6
    )


@pytest.mark.parametrize(("h", "w"), SIZES)
@pytest.mark.parametrize("side", [299, 50])
def test_bicubic_is_pils(h, w, side):
    image = pictures(h, w)
    theirs = [
        [
            np.asarray(Image.fromarray(x[..., c]).resize((side, side), Image.Resampling.BICUBIC))
            for c in range(3)
        ]
        for x in image
    ]
    # Both sum in float32, or PIL in float64, with weights of the same float64 formula.
    np.testing.assert_allclose(
        resized(resizing.bicubic, image, side, side),
        np.moveaxis(theirs, 1, -1),
        rtol=0,
        atol=255 * 1e-6,
    )


def test_what_is_of_the_size_stays():
    for matrix in (resizing.tensorflow1, resizing.bicubic):
        np.testing.assert_array_equal(matrix(7, 7), np.eye(7))

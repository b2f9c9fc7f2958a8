"""Colorized Digits, and the registry."""

import dataclasses

import numpy as np
import pytest

from jaxloop import data
from jaxloop.data.colorize import biased
from jaxloop.errors import InputError
from jaxloop.spec import Data
from jaxloop.types import Dataset, Samples

BIASED = Data(name="digits", image_size=16, color=biased(10))


@pytest.fixture(scope="module")
def digits():
    return data.load(BIASED)


def test_shapes_types_and_sizes(digits):
    for samples, n in ((digits.train, 1_437), (digits.test, 360)):
        assert samples.image.shape == (n, 16, 16, 3)
        assert (samples.image.dtype, samples.label.dtype, samples.group.dtype) == (
            np.uint8,
            np.int32,
            np.int32,
        )
        assert samples.label.shape == samples.group.shape == (n,)
        for label in range(10):
            assert np.sum(samples.label == label) > 0.07 * n
        assert set(samples.group.tolist()) == {0, 1, 2}
    assert digits.class_names == tuple("0123456789")
    assert "(360)" in digits.notes[0]
    assert "(1,437)" in digits.notes[0]
    assert (
        len(digits.notes) == 4
    )  # the split, the size, the colours of the test set, how a colour is read off


def test_every_fifth_image_is_a_test_image():
    from sklearn.datasets import load_digits

    pixels, target = map(np.asarray, load_digits(return_X_y=True))
    dataset = data.load(
        dataclasses.replace(BIASED, image_size=8)
    )  # the source's own size: no interpolation
    np.testing.assert_array_equal(dataset.test.label, target[::5])
    np.testing.assert_array_equal(dataset.train.label[:4], target[1:5])
    ink = np.rint(pixels.reshape(-1, 8, 8)[::5] * 255 / 16)
    np.testing.assert_array_equal(dataset.test.image.max(axis=-1), ink)


def test_the_group_of_every_real_image_is_read_off_its_pixels(digits):
    for samples in (digits.train, digits.test):
        np.testing.assert_array_equal(digits.image_group(samples.image), samples.group)


def test_the_data_set_is_a_function_of_its_settings(digits):
    same, other = data.load(BIASED), data.load(dataclasses.replace(BIASED, seed=1))
    np.testing.assert_array_equal(digits.train.image, same.train.image)
    np.testing.assert_array_equal(digits.train.label, other.train.label)
    assert np.any(digits.train.group != other.train.group)


def test_refusals():
    with pytest.raises(InputError, match=r"config.data.name='digit'.*digits, mnist"):
        data.load(Data(name="digit"))
    with pytest.raises(InputError, match=r"config.data.color"):
        data.load(Data(name="digits", color=biased(4)))


def toy(settings):
    """A data set from outside the package: one black image of each class in each split."""
    names = ("a", "b")
    label = np.arange(2 if settings.seed == 0 else 1, dtype=np.int32)
    samples = Samples(np.zeros((len(label), 4, 4, 3), np.uint8), label, label)
    return Dataset(samples, samples, names, (settings.path,), None, ())


def test_a_source_is_registered_from_outside(monkeypatch):
    monkeypatch.setitem(data.SOURCES, "toy", toy)
    monkeypatch.setenv("HOME", "/home/me")
    assert "toy" in data.NAMES
    assert data.load(Data(name="toy", path="~/x")).group_names == ("/home/me/x",)
    with pytest.raises(InputError, match="a training image of each class; class 'b' has none"):
        data.load(Data(name="toy", seed=1))


def test_a_path_that_is_not_utf8_is_refused():
    with pytest.raises(InputError, match=r"config.data.path='/x\\udcff' is refused.*UTF-8"):
        data.load(Data(name="folder", path="/x\udcff"))

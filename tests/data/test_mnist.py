"""Colorized MNIST: the real digits where they are present, and folders that the test writes."""

import gzip
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from jaxloop import data
from jaxloop.data import mnist
from jaxloop.data.colorize import biased
from jaxloop.errors import InputError
from jaxloop.spec import Data

REAL = Path(__file__).parents[3] / "shared" / "data" / "mnist"
WHOLE = REAL.parent / "mnist_whole"
PARTS = ("train", "t10k")


def idx_bytes(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write(folder, part, images, labels, pack=False):
    for kind, array in (
        (f"{part}-images-idx3-ubyte", images),
        (f"{part}-labels-idx1-ubyte", labels),
    ):
        content = idx_bytes(array)
        path = folder / (f"{kind}.gz" if pack else kind)
        path.write_bytes(gzip.compress(content) if pack else content)


def digits(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10


def load(folder, image_size=28, **fields):
    return data.load(Data(name="mnist", path=str(folder), image_size=image_size, **fields))


@pytest.mark.parametrize("pack", [False, True])
def test_the_four_published_files(tmp_path, pack):
    train, test = digits(30, seed=0), digits(20, seed=1)
    write(tmp_path, "train", *train, pack=pack)
    write(tmp_path, "t10k", *test, pack=pack)
    dataset = load(tmp_path)
    for samples, (image, label) in ((dataset.train, train), (dataset.test, test)):
        np.testing.assert_array_equal(samples.image.sum(axis=-1), image)
        np.testing.assert_array_equal(samples.label, label)
        assert (samples.image.dtype, samples.label.dtype, samples.group.dtype) == (
            np.uint8,
            np.int32,
            np.int32,
        )
    assert not any("coloured uniformly" in note or "resized" in note for note in dataset.notes)


def test_the_test_files_alone_are_split_by_index_with_a_note(tmp_path):
    image, label = digits(50)
    write(tmp_path, "t10k", image, label)
    dataset = load(tmp_path, image_size=14)
    assert dataset.train.image.shape == (40, 14, 14, 3)
    np.testing.assert_array_equal(dataset.train.label, label[:40])
    np.testing.assert_array_equal(dataset.test.label, label[40:])
    assert "There are no train files: of the t10k files the first 40 train" in dataset.notes[0]
    assert "the last 10 test. Figures are not comparable" in dataset.notes[0]
    assert "resized to 14x14" in dataset.notes[1]


@pytest.fixture
def whole(tmp_path):
    for seed, part in enumerate(PARTS):
        write(tmp_path, part, *digits(10, seed))
    return tmp_path


@pytest.mark.parametrize(
    "name", [f"{part}-{kind}-ubyte" for part in PARTS for kind in ("images-idx3", "labels-idx1")]
)
class TestOneBrokenFile:
    def test_missing(self, whole, name):
        (whole / name).unlink()
        with pytest.raises(InputError, match=rf"config.data.path=.*{name}"):
            load(whole)

    def test_truncated(self, whole, name):
        (whole / name).write_bytes((whole / name).read_bytes()[:-1])
        with pytest.raises(InputError, match=rf"{name}.*whole IDX file"):
            load(whole)

    def test_another_file_under_this_name(self, whole, name):
        (whole / name).write_bytes(b"<html>404 Not Found</html>")
        with pytest.raises(InputError, match=rf"{name}.*starts with"):
            load(whole)

    def test_corrupt_gzip(self, whole, name):
        packed = gzip.compress((whole / name).read_bytes())
        (whole / name).unlink()
        (whole / f"{name}.gz").write_bytes(packed[: len(packed) // 2])
        with pytest.raises(InputError, match=rf"{name}.gz.*unpacked"):
            load(whole)


@pytest.mark.parametrize(
    ("image_shape", "labels", "says"),
    [
        ((4, 28, 28), [0, 1, 2], "t10k-labels-idx1-ubyte.*one label an image: 4, not 3"),
        ((4, 28, 28), [0] * 4, "labels of two or more classes"),
        ((4, 32, 32), [0, 1, 2, 3], "t10k-images-idx3-ubyte.*28x28, not .*32"),
        ((0, 28, 28), [], "t10k-images-idx3-ubyte.*2 or more images"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path, image_shape, labels, says):
    write(tmp_path, "t10k", np.zeros(image_shape, np.uint8), np.array(labels, np.uint8))
    with pytest.raises(InputError, match=says):
        load(tmp_path)


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match=r"config.data.path=.*absent.*a folder that exists"):
        load(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a folder that exists"):
        load(tmp_path / "file")
    with pytest.raises(
        InputError, match=r"holds t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz"
    ):
        load(tmp_path)


@pytest.mark.parametrize("name", ["train-images.idx3-ubyte", "Train_Images_idx3_ubyte.GZ"])
def test_near_names_are_taken(whole, name):
    expected = load(whole)
    content = (whole / "train-images-idx3-ubyte").read_bytes()
    (whole / "train-images-idx3-ubyte").unlink()
    (whole / "train-images-idx3-ubyte").mkdir()  # as some archives unpack
    (whole / name).write_bytes(gzip.compress(content) if name.endswith("GZ") else content)
    np.testing.assert_array_equal(load(whole).train.image, expected.train.image)


def test_the_published_name_goes_before_near_ones(whole):
    expected = load(whole)
    (whole / "t10k-images.idx3-ubyte").write_bytes(b"another")
    np.testing.assert_array_equal(load(whole).test.image, expected.test.image)


@pytest.mark.parametrize("name", ["train-images.idx3", "mnist_train_labels", "train-images-2.gz"])
def test_other_names_are_named_instead_of_a_fallback(tmp_path, name):
    write(tmp_path, "t10k", *digits(50))
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"holds train-images-idx3-ubyte or .*there is.* {name}"):
        load(tmp_path)


def test_a_fifo_is_refused(whole):
    (whole / "train-images-idx3-ubyte").unlink()
    os.mkfifo(whole / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match="train-images-idx3-ubyte' is refused.*a regular file"):
        load(whole)


def test_pictures_that_are_not_mnist(whole):
    """As Fashion-MNIST, which has the same files and shapes, but as many pictures in each class."""
    dataset = load(whole)
    assert dataset.notes[0] == (
        "Colorized pictures that are not MNIST (other numbers of labels): 10 training and 10 test "
        "pictures."
    )
    assert dataset.class_names == tuple(f"class {c}" for c in range(10))


def test_some_classes_alone(tmp_path):
    for part, n in (("train", 12), ("t10k", 6)):
        write(tmp_path, part, digits(n)[0], np.arange(n, dtype=np.uint8) % 3)
    assert load(tmp_path).class_names == ("class 0", "class 1", "class 2")
    with pytest.raises(InputError, match=r"config.data.color.*3 rows, one a class \(not 10\)"):
        load(tmp_path, color=biased(10))


@pytest.mark.parametrize(
    ("train", "test", "absent"),
    [
        ([0, 2, 2], [0, 2, 2], "a training image of each class; class 'class 1'"),
        ([0, 1, 2], [0, 1, 1], "a test image of each class; class 'class 2'"),
        ([0, 1, 1], [0, 1, 2], "a training image of each class; class 'class 2'"),
    ],
)
def test_absent_classes_are_refused(tmp_path, train, test, absent):
    for part, label in (("train", train), ("t10k", test)):
        write(tmp_path, part, digits(3)[0], np.array(label, np.uint8))
    with pytest.raises(InputError, match=f"config.data.path.*{absent} has none"):
        load(tmp_path)


def test_other_images_with_the_labels_of_mnist(tmp_path):
    label = np.repeat(np.arange(10, dtype=np.uint8), mnist._COUNTS["t10k"])
    label = np.random.default_rng(0).permutation(label)
    write(tmp_path, "t10k", np.zeros((len(label), 28, 28), np.uint8), label)
    dataset = load(tmp_path)
    assert dataset.notes[0].startswith(
        "Colorized MNIST by its numbers of labels (not the published image files): 8,000 training"
    )
    assert dataset.class_names == tuple("0123456789")


def test_a_tilde_is_the_home_folder(whole, monkeypatch):
    monkeypatch.setenv("HOME", str(whole.parent))
    assert len(load(f"~/{whole.name}").train.label) == 10


@pytest.fixture(scope="module")
def real():
    if not REAL.is_dir():
        pytest.skip("needs the real MNIST test digits in ../shared/data/mnist")
    return load(REAL, color=biased(10))


def test_real_digits(real):
    assert real.train.image.shape == (8_000, 28, 28, 3)
    assert real.test.image.shape == (2_000, 28, 28, 3)
    assert real.train.label[:5].tolist() == [7, 2, 1, 0, 4]  # as everybody knows it to begin
    share = np.mean(real.train.image.sum(axis=-1) == 0)
    assert 0.7 < share < 0.9  # most of a digit's picture is background, and it is black
    assert real.notes[0].startswith("Colorized MNIST: 8,000 training and 2,000 test pictures.")
    assert "the first 8,000 train, the last 2,000 test" in real.notes[0]
    assert real.class_names == tuple("0123456789")
    assert "coloured uniformly" in real.notes[1]


def test_the_group_of_every_real_image_is_read_off_its_pixels(real):
    for samples in (real.train, real.test):
        np.testing.assert_array_equal(real.image_group(samples.image), samples.group)


def test_real_test_colors_are_uniform(real):
    share = np.bincount(real.test.group, minlength=3) / 2_000
    assert np.all(np.abs(share - 1 / 3) < 4 * np.sqrt(2 / 9 / 2_000))  # 4 standard errors


def test_real_digits_unpacked_are_the_same(real, tmp_path):
    for path in REAL.glob("*.gz"):
        with gzip.open(path) as packed, (tmp_path / path.stem).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    np.testing.assert_array_equal(load(tmp_path, color=biased(10)).train.image, real.train.image)


def test_the_published_files_are_known_by_hash():
    if not WHOLE.is_dir():
        pytest.skip("needs MNIST whole in ../shared/data/mnist_whole")
    assert load(WHOLE).notes[0] == (
        "Colorized MNIST, the published split: 60,000 training and 10,000 test pictures."
    )

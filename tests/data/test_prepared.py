"""Prepared data sets: read without TensorFlow, and refused in one line where they cannot be.

The test prepares a small MNIST with tensorflow-datasets' own builder, from pictures that are PNG
files already (encoding one needs TensorFlow) and without a download manager (which needs
importlib_resources).
"""

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxloop.data import prepared
from jaxloop.errors import InputError

PIL_Image = pytest.importorskip("PIL.Image", reason="needs Pillow")
tfds = pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets")

ROOT = Path(__file__).parents[2]
SIZES = {"train": 40, "test": 10}


def png(image):
    file = io.BytesIO()
    PIL_Image.fromarray(image).save(file, "png")
    file.seek(0)
    return file


def examples(n, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    image[:, 0, 0] = np.arange(n)  # the library shuffles: this pixel tells which image it is
    return image, np.arange(n) % 10


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    from tensorflow_datasets.image_classification.mnist import MNIST

    def generate(split, seed):
        for i, (image, label) in enumerate(zip(*examples(SIZES[split], seed), strict=True)):
            yield i, {"image": png(image), "label": int(label)}

    def split_generators(self, download_manager):
        return {split: generate(split, seed) for seed, split in enumerate(SIZES)}

    monkeypatch.setattr(MNIST, "_split_generators", split_generators)
    monkeypatch.setattr(
        MNIST, "_make_download_manager", lambda *_, **__: SimpleNamespace(downloaded_size=0)
    )
    builder = tfds.builder("mnist", data_dir=str(tmp_path), file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return str(tmp_path)


def test_reads_what_was_prepared(data_dir):
    splits, names = prepared.read("mnist", ("train", "test"), data_dir)
    assert list(splits) == ["train", "test"]
    assert names == {"label": tuple("0123456789")}
    for seed, (name, split) in enumerate(splits.items()):
        image, label = examples(SIZES[name], seed)
        assert split["image"].shape == (SIZES[name], 28, 28, 1)
        assert split["image"].dtype == np.uint8
        index = split["image"][:, 0, 0, 0]
        np.testing.assert_array_equal(np.sort(index), np.arange(SIZES[name]))
        np.testing.assert_array_equal(split["image"][..., 0], image[index])
        np.testing.assert_array_equal(split["label"], label[index])


def run(code, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )


def test_mnist_is_found_through_TFDS_DATA_DIR_and_read_without_tensorflow(data_dir):
    code = """
import sys
from jaxloop import data
from jaxloop.spec import Data
dataset = data.load(Data(name="mnist", image_size=28))
assert "tensorflow" not in sys.modules
print(dataset.train.image.shape, dataset.test.image.shape, dataset.notes[0])
"""
    process = run(code, TFDS_DATA_DIR=data_dir)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == (
        "(40, 28, 28, 3) (10, 28, 28, 3) Colorized pictures that are not MNIST "
        "(other numbers of labels): 40 training and 10 test pictures."
    )


def test_a_broken_prepared_set_is_refused(data_dir):
    (shard,) = Path(data_dir).rglob("mnist-train.array_record*")
    shard.write_bytes(b"not an array record")
    with pytest.raises(InputError, match=r"config.data.path=''.*a whole prepared") as caught:
        prepared.read("mnist", ("train", "test"), data_dir)
    assert data_dir in str(caught.value)


def test_a_missing_split_is_refused(data_dir):
    with pytest.raises(InputError, match=r"a whole prepared data set.*extra"):
        prepared.read("mnist", ("train", "extra"), data_dir)


def test_not_prepared_and_no_tensorflow(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else find_spec(name)
    )
    with pytest.raises(InputError, match=r"config.data.path") as caught:
        prepared.read("mnist", ("train", "test"), str(tmp_path))
    for words in (
        "tensorflow",
        "pip install -c constraints.txt -e '.[prepare]'",
        "give data.path",
        str(tmp_path),
    ):
        assert words in str(caught.value)


def test_a_download_that_fails_is_refused_in_one_line(tmp_path, monkeypatch):
    from tensorflow_datasets.image_classification.mnist import MNIST

    def no_network(self):
        raise ConnectionError("cannot reach the host\nand ten lines of advice")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(MNIST, "download_and_prepare", no_network)
    with pytest.raises(
        InputError, match=r"downloaded; or give .*\(ConnectionError: cannot reach the host\)$"
    ) as caught:
        prepared.read("mnist", ("train", "test"), str(tmp_path))
    assert "advice" not in str(caught.value)


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"config.data.path.*no_such_set"):
        prepared.read("no_such_set", ("train",), str(tmp_path))

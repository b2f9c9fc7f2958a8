"""CIFAR-20/100, from small archives and a small data set that tensorflow-datasets prepares."""

import io
import os
import pickle
import runpy
import struct
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxloop import config, data
from jaxloop.data import augment, prepared, unpickle
from jaxloop.errors import InputError
from jaxloop.spec import Data

CONFIG = Path(__file__).parents[2] / "configs" / "cifar.py"

# The coarse label of each fine label, as published.
COARSE_OF = np.array([
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15,
    3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4,
    2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
    16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
])  # fmt: skip


def examples(seed, n=150):
    """Planar images uint8 [n 3072] and fine labels [n], all hundred of them."""
    rng = np.random.default_rng(seed)
    fine = rng.permutation(np.arange(n) % 100)
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8), fine


def images(seed):
    return examples(seed)[0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def content(seed):
    planar, fine = examples(seed)
    return {
        b"filenames": [b"a_s_%06d.png" % i for i in range(len(fine))],
        b"batch_label": b"one of one",
        b"fine_labels": fine.tolist(),
        b"coarse_labels": COARSE_OF[fine].tolist(),
        b"data": planar,
    }


META = {
    b"fine_label_names": [b"fine_%02d" % i for i in range(100)],
    b"coarse_label_names": [b"coarse_%02d" % i for i in range(20)],
}


def python2(value) -> bytes:
    """A pickle in protocol 2 as Python 2 and NumPy 1 wrote it: text is (SHORT_)BINSTRING."""

    def text(raw):
        return (
            b"U" + bytes([len(raw)]) + raw
            if len(raw) < 256
            else b"T" + struct.pack("<i", len(raw)) + raw
        )

    def write(x):
        if isinstance(x, bytes):
            return text(x)
        if isinstance(x, int):
            return b"J" + struct.pack("<i", x)
        if isinstance(x, list):
            return b"](" + b"".join(map(write, x)) + b"e"
        if isinstance(x, dict):
            return b"}(" + b"".join(write(key) + write(item) for key, item in x.items()) + b"u"
        shape = b"".join(map(write, x.shape))
        dtype = (
            b"cnumpy\ndtype\n"
            + text(b"u1")
            + b"K\x00K\x01\x87R"
            + b"(K\x03"
            + text(b"|")
            + b"NNN"
            + b"J\xff\xff\xff\xff" * 2
        )
        return (
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
            + text(b"b")
            + b"\x87R"
            b"(K\x01(" + shape + b"t" + dtype + b"K\x00tb" + b"\x89" + text(x.tobytes()) + b"tb"
        )

    return b"\x80\x02" + write(value) + b"."


def write(folder, dump=lambda value: pickle.dumps(value, protocol=2), **replaced):
    """The three files; `replaced` is the content of a file instead of the usual one."""
    folder.mkdir(exist_ok=True)
    whole = {"train": content(0), "test": content(1), "meta": META} | replaced
    for name, value in whole.items():
        (folder / name).write_bytes(value if isinstance(value, bytes) else dump(value))
    return folder


def load(path, image_size=32):
    return data.load(Data(name="cifar", path=str(path), image_size=image_size))


def check(samples, seed):
    """Images, labels and groups against the definition, one image at a time."""
    planar, fine = examples(seed)
    assert len(samples.image) == len(fine)
    assert (samples.image.dtype, samples.label.dtype, samples.group.dtype) == (
        np.uint8,
        np.int32,
        np.int32,
    )
    for i, label in enumerate(fine):
        red, green, blue = planar[i].reshape(3, 32, 32)
        np.testing.assert_array_equal(samples.image[i], np.dstack([red, green, blue]))
        assert samples.label[i] == COARSE_OF[label]
        siblings = np.flatnonzero(COARSE_OF[label] == COARSE_OF).tolist()
        assert samples.group[i] == siblings.index(label)


@pytest.mark.parametrize(
    "dump", [lambda value: pickle.dumps(value, protocol=2), python2], ids=["python3", "python2"]
)
def test_the_published_files(tmp_path, dump):
    folder = write(tmp_path / "cifar-100-python", dump)
    dataset = load(folder)
    check(dataset.train, seed=0)
    check(dataset.test, seed=1)
    assert dataset.class_names == tuple(f"coarse_{i:02d}" for i in range(20))
    assert dataset.group_names == (
        "subclass 1",
        "subclass 2",
        "subclass 3",
        "subclass 4",
        "subclass 5",
    )
    assert dataset.subgroup_names[4] == ("fine_00", "fine_51", "fine_53", "fine_57", "fine_83")
    assert len(dataset.subgroup_names) == 20
    assert dataset.image_group is None
    assert dataset.augmentations == augment.NAMES
    assert dataset.notes[0] == (
        "CIFAR-20/100, not the published split, but a part: 150 training and 150 test images."
    )
    assert "pooled over classes it has no meaning" in dataset.notes[1]
    assert len(dataset.notes) == 2


def test_python2_pickles_are_what_numpy_reads():
    """The test's own writer, against pickle itself."""
    value = {b"data": np.arange(600, dtype=np.uint8).reshape(2, 300), b"labels": [1, 300]}
    from_pickle = unpickle._Unpickler(io.BytesIO(python2(value)), encoding="bytes").load()
    assert from_pickle.keys() == value.keys()
    np.testing.assert_array_equal(from_pickle[b"data"], value[b"data"])
    assert from_pickle[b"labels"] == [1, 300]


def test_the_folder_above_and_another_size(tmp_path):
    write(tmp_path / "cifar-100-python")
    dataset = load(tmp_path, image_size=16)
    assert dataset.train.image.shape == (150, 16, 16, 3)
    assert dataset.notes[2] == "The 32x32 source is resized to 16x16 by cubic interpolation."


def test_resized_images_are_what_pillow_makes_of_them(tmp_path):
    from PIL import Image

    write(tmp_path)
    small, whole = load(tmp_path, image_size=16).train.image, load(tmp_path).train.image
    for i in (0, 149):
        expected = Image.fromarray(whole[i]).resize((16, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(small[i], np.asarray(expected))


class Shell:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_malicious_pickle_runs_nothing(tmp_path, name):
    proof = tmp_path / "proof"
    folder = write(tmp_path / "cifar-100-python", **{name: {b"data": Shell(f"touch {proof}")}})
    with pytest.raises(
        InputError, match=rf"config.data.path=.*{name}' is refused.*asks for \w+\.system"
    ):
        load(folder)
    assert not proof.exists()


@pytest.mark.parametrize(
    "wanted",
    [
        "builtins.eval",
        "__builtin__.eval",
        "builtins.getattr",
        "numpy.load",
        "numpy.core.multiarray.x",
    ],
)
def test_no_other_global_is_admitted(tmp_path, wanted):
    module, _, name = wanted.rpartition(".")
    (tmp_path / "x").write_bytes(f"\x80\x02c{module}\n{name}\n.".encode("latin1"))
    with pytest.raises(InputError, match=f"asks for {wanted}"):
        unpickle.read(tmp_path / "x")


@pytest.mark.parametrize("name", ["train", "test", "meta"])
class TestOneBrokenFile:
    def test_missing(self, tmp_path, name):
        (write(tmp_path) / name).unlink()
        with pytest.raises(
            InputError, match=rf"config.data.path=.*holds {name}, as cifar-100-python does"
        ):
            load(tmp_path)

    @pytest.mark.parametrize(
        "bad", [b"", b"<html>404 Not Found</html>", b"\x80\x02}q\x00(", pickle.dumps({1: 2})[:-1]]
    )
    def test_no_whole_pickle(self, tmp_path, name, bad):
        write(tmp_path, **{name: bad})
        with pytest.raises(
            InputError, match=rf"config.data.path=.*{name}' is refused.*a whole pickle"
        ):
            load(tmp_path)

    def test_a_fifo(self, tmp_path, name):
        (write(tmp_path) / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}' is refused; allowed: a regular file"):
            load(tmp_path)

    def test_another_thing(self, tmp_path, name):
        write(tmp_path, **{name: [1, 2]})
        with pytest.raises(
            InputError, match=rf"{name}' is refused; allowed: a pickled dictionary, not list"
        ):
            load(tmp_path)

    def test_without_its_entries(self, tmp_path, name):
        write(tmp_path, **{name: {b"x": 1}})
        with pytest.raises(
            InputError,
            match=rf"{name}' is refused; .* a pickled dictionary with (data|fine_label_names)",
        ):
            load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({b"data": np.zeros((150, 3071), np.uint8)}, r"data of uint8 \[n 3072\]"),
        ({b"data": np.zeros((150, 3072), np.int64)}, "a whole pickle of byte arrays.*of 'i8'"),
        ({b"data": [1, 2, 3]}, r"data of uint8 \[n 3072\]"),
        ({b"fine_labels": [0] * 149}, r"fine_labels that are a list of 150 integers in 0\.\.99"),
        ({b"fine_labels": [100] * 150}, "fine_labels that are a list of 150 integers"),
        ({b"coarse_labels": [-1] * 150}, r"coarse_labels that are .* 150 integers in 0\.\.19"),
        ({b"coarse_labels": ["fish"] * 150}, "coarse_labels that are a list of 150 integers"),
        ({b"coarse_labels": [0] * 150}, "5 fine labels in each .*; coarse class 0 has 100"),
        ({b"fine_labels": [COARSE_OF.tolist().index(0)] * 150}, "5 .*; coarse class 0 has 1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["train", "test"])
def test_entries_that_do_not_fit(tmp_path, name, changes, says):
    write(tmp_path, **{name: content(0) | changes})
    with pytest.raises(
        InputError, match=rf"config.data.path=.*{name}' is refused; allowed: {says}"
    ):
        load(tmp_path)


def test_names_that_do_not_fit(tmp_path):
    write(tmp_path, meta=META | {b"coarse_label_names": [b"fish"]})
    with pytest.raises(
        InputError,
        match=r"meta' is refused; allowed: coarse_label_names that are a list of 20 names",
    ):
        load(tmp_path)


def exchanged(first, second):
    """The coarse labels of the test part with those of two fine labels exchanged."""
    of = COARSE_OF.copy()
    of[[first, second]] = of[[second, first]]
    return content(1) | {b"coarse_labels": of[examples(1)[1]].tolist()}


def test_a_test_part_with_another_hierarchy(tmp_path):
    write(tmp_path, test=exchanged(0, 1))
    with pytest.raises(
        InputError,
        match=r"test' is refused; allowed: the same coarse class for each fine label as in .*train",
    ):
        load(tmp_path)


def test_a_fine_label_in_two_coarse_classes(tmp_path):
    part = content(0)
    fine = np.array(part[b"fine_labels"])
    fine[fine == 0] = 1  # fine label 1 is now in the coarse class of 0 too, which still has five
    write(tmp_path, train=part | {b"fine_labels": fine.tolist()})
    with pytest.raises(
        InputError, match=r"train' is refused; allowed: each fine label in one coarse class"
    ):
        load(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"config.data.path=.*absent.*a folder that exists"):
        load(tmp_path / "absent")
    archive = tmp_path / "cifar-100-python.tar.gz"
    archive.touch()
    with pytest.raises(InputError, match=r"unpacking makes \(tar xf cifar-100-python.tar.gz\)"):
        load(archive)


def test_the_config_and_its_variants_resolve():
    get_config = runpy.run_path(str(CONFIG))["get_config"]
    scratch, edm, pretrained = (
        config.resolve(get_config(variant)) for variant in ("scratch", "edm", "pretrained")
    )
    assert (scratch.generator.name, edm.generator.name) == ("dcgan", "edm")
    assert edm.classifiers == scratch.classifiers
    assert config.resolve(get_config()) == scratch
    assert {scratch.data.name, pretrained.data.name} <= set(data.NAMES)
    assert scratch.classifier.pretrained == ()
    assert len(pretrained.classifier.pretrained) == len(pretrained.classifiers)
    with pytest.raises(
        InputError,
        match=r"the variant after --config=FILE.py:='small' is refused.*scratch, edm, pretrained",
    ):
        get_config("small")


def test_through_tensorflow_datasets(tmp_path, monkeypatch):
    """Its own builder prepares it, from PNG files, as in test_prepared.py."""
    Image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs tensorflow-datasets")
    from tensorflow_datasets.image_classification.cifar import Cifar100

    def generate(seed):
        for i, (picture, label) in enumerate(
            zip(images(seed), examples(seed)[1].tolist(), strict=True)
        ):
            png = io.BytesIO()
            Image.fromarray(picture).save(png, "png")
            png.seek(0)
            yield (
                i,
                {
                    "id": f"{i:03d}",
                    "image": png,
                    "label": label,
                    "coarse_label": int(COARSE_OF[label]),
                },
            )

    def split_generators(self, download_manager):
        for key, names in (("label", "fine_label_names"), ("coarse_label", "coarse_label_names")):
            self.info.features[key].names = [name.decode() for name in META[names.encode()]]
        return {"train": generate(0), "test": generate(1)}

    monkeypatch.setattr(Cifar100, "_split_generators", split_generators)
    monkeypatch.setattr(
        Cifar100, "_make_download_manager", lambda *_, **__: SimpleNamespace(downloaded_size=0)
    )
    monkeypatch.setattr(prepared, "read", partial(prepared.read, data_dir=str(tmp_path)))
    builder = tfds.builder("cifar100", data_dir=str(tmp_path), file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    dataset = data.load(Data(name="cifar", image_size=32))
    # The library shuffles: put the images back in their order before.
    before, after = (image.reshape(-1, 3072) for image in (images(0), dataset.train.image))
    index = [int(np.flatnonzero((after == one).all(axis=1))[0]) for one in before]
    check(type(dataset.train)(*(field[index] for field in dataset.train)), seed=0)
    assert dataset.class_names == tuple(f"coarse_{i:02d}" for i in range(20))
    assert dataset.subgroup_names[4] == ("fine_00", "fine_51", "fine_53", "fine_57", "fine_83")

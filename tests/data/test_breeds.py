"""BREEDS from an ImageNet folder: hand-made trees, and real photographs."""

import tarfile
from pathlib import Path

import numpy as np
import photographs
import pytest

from jaxloop import data
from jaxloop.data import breeds_table
from jaxloop.errors import InputError
from jaxloop.spec import Data

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "tiny_imagenet.tar"


def loaded(root, **fields):
    given = {"name": "living17", "path": str(root), "partial": True, "image_size": 16}
    return data.load(Data(**(given | fields)))


def test_labels_and_groups_are_those_of_the_table(tmp_path):
    dataset = loaded(photographs.imagenet(tmp_path, train=5, val=2))
    rows = breeds_table.table("living17")[:3]
    assert dataset.class_names == tuple(name for name, _ in rows)
    names = breeds_table.names()
    assert dataset.subgroup_names == tuple(tuple(names[w] for w in row[:2]) for _, row in rows)
    assert dataset.train.label.tolist() == np.repeat([0, 1, 2], 10).tolist()
    assert dataset.train.group.tolist() == np.tile(np.repeat([0, 1], 5), 3).tolist()
    assert np.asarray(dataset.train.image).shape == (30, 16, 16, 3)
    assert dataset.test.image.shape == (12, 16, 16, 3)
    assert any("3 of 17 classes" in note for note in dataset.notes)


def test_missing_classes_are_counted(tmp_path):
    root = photographs.imagenet(tmp_path)
    missing = 17 * 4 - 6
    first = breeds_table.table("living17")[0][1][2]
    with pytest.raises(InputError, match=rf"{missing} of its 68 .*first {first}.*takes the 3 with"):
        loaded(root, partial=False)


def test_fewer_pictures_are_no_fault(tmp_path):
    root = photographs.imagenet(tmp_path)
    for path in root.glob("train/n*/*_0.JPEG"):
        path.unlink()
    assert len(loaded(root).train.label) == 6 * 11


def test_a_tree_that_is_not_whole(tmp_path):
    root = photographs.imagenet(tmp_path)
    for path in (root / "val" / breeds_table.table("living17")[0][1][0]).iterdir():
        path.unlink()
    with pytest.raises(InputError, match="a folder with pictures"):
        loaded(root)
    (root / "val").rename(root / "validation")
    with pytest.raises(InputError, match="val.*a folder that exists"):
        loaded(root)


def test_other_files_are_counted(tmp_path):
    root = photographs.imagenet(tmp_path)
    wnid = breeds_table.table("living17")[0][1][0]
    (root / "README").write_text("x")
    (root / "train" / "labels.csv").write_text("x")
    (root / "train" / wnid / "notes.txt").write_text("x")
    notes = loaded(root).notes
    assert any("passed over, being no pictures: 1" in note for note in notes)


def test_one_class_is_no_task(tmp_path):
    with pytest.raises(InputError, match="two classes of living17 at least"):
        loaded(photographs.imagenet(tmp_path, classes=1))


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data/tiny_imagenet.tar")
def test_real_photographs(tmp_path):
    with tarfile.open(SHARED) as file:
        file.extractall(tmp_path, filter="data")
    dataset = loaded(tmp_path / "tiny_imagenet", name="entity13", image_size=64)
    counts = np.zeros((6, 4), int)
    np.add.at(counts, (dataset.train.label, dataset.train.group), 1)
    assert (counts == 80).all() and len(dataset.test.label) == 600
    assert {"garment", "arthropod", "produce"} <= set(dataset.class_names)
    image = np.asarray(dataset.train.image[:50])
    assert image.shape == (50, 64, 64, 3) and image.std() > 40

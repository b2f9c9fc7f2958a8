"""Hard ImageNet: the index, its faults, the protocol of pictures and masks."""

import csv
import json
from pathlib import Path

import numpy as np
import photographs
import pytest
from PIL import Image

from jaxloop import data
from jaxloop.data import hard_imagenet, hard_imagenet_index
from jaxloop.errors import InputError
from jaxloop.spec import Data

CLASSES = Path(__file__).parents[2].parent / "shared" / "data" / "hard_imagenet_classes.csv"


@pytest.fixture
def tree(tmp_path):
    return *photographs.hard_imagenet_tree(tmp_path), tmp_path / "index.json"


def loaded(index, size: int = 28):
    return data.load(Data(name="hard_imagenet", path=str(index), image_size=size))


def test_pictures_masks_and_labels(tree):
    images, masks, out = tree
    assert "45 pictures for training, 45 for test; 0 " in hard_imagenet.prepare(*tree)
    dataset = loaded(out)
    assert dataset.class_names == tuple(name for _, name in hard_imagenet_index.CLASSES)
    assert dataset.test.label.tolist() == np.repeat(np.arange(15), 3).tolist()
    np.testing.assert_array_equal(dataset.test.label, dataset.test.group)
    # The protocol by hand, of one picture and its mask: 28 of 32 pixels.
    wnid = hard_imagenet_index.CLASSES[4][0]
    file = sorted((images / "val" / wnid).iterdir())[1]
    row = 4 * 3 + 1
    squashed = Image.open(file).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(dataset.test.image[row], np.asarray(squashed)[2:30, 2:30])
    mask = Image.open(masks / "val" / f"{wnid}_{file.name}")
    mask = np.asarray(mask.resize((32, 32), Image.Resampling.BILINEAR))[2:30, 2:30] > 0
    given = dataset.test_extras["masks"]
    assert given.dtype == bool and given.shape == (45, 28, 28)
    np.testing.assert_array_equal(given[row], mask)
    assert 0.05 < given.mean() < 0.6
    assert any("each class is a group" in note for note in dataset.notes)


def test_pictures_without_a_mask_are_left_out_and_counted(tree):
    _, masks, out = tree
    gone = sorted((masks / "train").iterdir())[:2]
    for path in gone:
        path.unlink()
    said = hard_imagenet.prepare(*tree)
    assert said.startswith("43 pictures for training, 45 for test; 2 pictures")
    assert len(loaded(out).train.label) == 43


@pytest.mark.parametrize(
    ("break_", "message"),
    [
        (lambda i, m: sorted(i.glob("val/n02492660/*"))[0].unlink(), "no picture of it.*1 are"),
        (lambda i, m: sorted(i.glob("train/*/*"))[7].write_bytes(b"x"), r"train/.*1 are not so"),
        (lambda i, m: [p.write_bytes(b"x") for p in sorted(m.glob("val/*"))[:3]], "3 are not so"),
        (
            lambda i, m: Image.new("L", (5, 5)).save(sorted(m.glob("val/*"))[0], format="PNG"),
            r"\(5, 5\) pixels for \(40, 32\)",
        ),
        (lambda i, m: [p.unlink() for p in m.glob("val/n04228054*")], "none for 3 pictures"),
        (lambda i, m: (i / "val").rename(i / "test"), "a folder that exists"),
    ],
)
def test_faults_are_counted_and_the_first_is_named(tree, break_, message):
    images, masks, out = tree
    break_(images, masks)
    with pytest.raises(InputError, match=message):
        hard_imagenet.prepare(*tree)
    assert not out.exists()


def test_an_index_that_does_not_fit_is_refused(tree):
    images, _, out = tree
    with pytest.raises(InputError, match="an index, made by"):
        loaded(out)
    hard_imagenet.prepare(*tree)
    for path in sorted(images.glob("train/*/*"))[4:7]:
        path.unlink()
    with pytest.raises(InputError, match=r"train/.*3 of 90 are missing"):
        loaded(out)
    out.write_text(json.dumps({"format": "another"}))
    with pytest.raises(InputError, match="an index, made by"):
        loaded(out)


def test_the_command(tree, capsys):
    assert hard_imagenet.main(["prepare", *map(str, tree)]) == 0
    assert "45 pictures for training" in capsys.readouterr().out
    assert hard_imagenet.main(["prepare", "a"]) == 2
    assert hard_imagenet.main(["prepare", "nowhere", *map(str, tree[1:])]) == 2
    assert "nowhere" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(not CLASSES.exists(), reason="needs ../shared/data/hard_imagenet_classes.csv")
def test_classes_are_in_the_published_order():
    rows = list(csv.DictReader(CLASSES.read_text().splitlines()))
    published = [(row["wnid"], row["name"]) for row in sorted(rows, key=lambda r: int(r["label"]))]
    assert list(hard_imagenet_index.CLASSES) == published

"""Own images: small trees and .npz files that the test writes, and real CIFAR-10 folders."""

import io
import os
import re
import runpy
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from jaxloop import config, data
from jaxloop.data import augment, memory
from jaxloop.data.on_disk import OnDisk
from jaxloop.errors import InputError
from jaxloop.spec import Data

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10_folders.tar"
CONFIG = Path(__file__).parents[2] / "configs" / "folder.py"
SIZE = 8
DEEP = "Pictures of 16 bits per channel, whose values have up to {}: the upper 8 are kept: 1 of 13."
CELLS = ("pets/cat", "pets/dog", "farm/cow", "farm/pig")


def pixels(seed, height=SIZE, width=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, bytes):
        path.write_bytes(image)
        return
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(path, **options)


def load(path, image_size=SIZE, **fields):
    return data.load(Data(name="folder", path=str(path), image_size=image_size, **fields))


def write(root, cells=CELLS):
    """Two training pictures and one test picture in each cell; picture i has `pixels(i)`."""
    i = 0
    for split, count in (("train", 2), ("test", 1)):
        for cell in cells:
            for k in range(count):
                save(root / split / cell / f"{k}.png", pixels(i))
                i += 1
    return root


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "root")


def refused(root, path, says):
    """`path` is what the error names, and it says what is allowed."""
    with pytest.raises(InputError, match=says) as caught:
        load(root)
    assert caught.value.field == "config.data.path"
    assert caught.value.value == str(path)


# --- a tree that fits


def test_labels_and_groups_are_ranks_by_name(root):
    dataset = load(root)
    assert dataset.class_names == ("farm", "pets")
    assert dataset.train.label.tolist() == [0] * 4 + [1] * 4
    assert dataset.train.group.tolist() == [0, 0, 1, 1] * 2
    assert dataset.test.label.tolist() == [0, 0, 1, 1]
    assert dataset.test.group.tolist() == [0, 1] * 2
    for samples, order in (
        (dataset.train, (4, 5, 6, 7, 0, 1, 2, 3)),
        (dataset.test, (10, 11, 8, 9)),
    ):
        np.testing.assert_array_equal(samples.image, np.stack([pixels(i) for i in order]))
        assert (samples.image.dtype, samples.label.dtype, samples.group.dtype) == (
            np.uint8,
            np.int32,
            np.int32,
        )


def test_subgroups_of_other_names_in_each_class(root):
    dataset = load(root)
    assert dataset.group_names == ("subgroup 1", "subgroup 2")
    assert dataset.subgroup_names == (("cow", "pig"), ("cat", "dog"))
    assert dataset.notes == (
        "Own images: 8 for training and 4 for test, in 2 classes.",
        "Subgroup k is the k-th of its class by name; pooled over classes it has no meaning, so "
        "read the per-class measures.",
    )
    assert dataset.image_group is None
    assert dataset.augmentations == augment.NAMES


def test_subgroups_of_the_same_names_in_every_class(tmp_path):
    dataset = load(write(tmp_path, cells=("car/day", "car/night", "van/day", "van/night")))
    assert dataset.group_names == ("day", "night")
    assert dataset.subgroup_names == ()
    assert len(dataset.notes) == 1


def test_classes_with_fewer_subgroups(tmp_path):
    dataset = load(write(tmp_path, cells=("a/1", "a/2", "a/3", "b/1", "b/2", "c/1")))
    assert dataset.group_names == ("subgroup 1", "subgroup 2", "subgroup 3")
    assert dataset.subgroup_names == (("1", "2", "3"), ("1", "2"), ("1",))
    assert dataset.notes[-2:] == (
        "Classes with a single subgroup, in which measures between subgroups do not exist: c.",
        "Classes with fewer than 3 subgroups, which means over classes leave out: b, c.",
    )


def test_one_subgroup_in_every_class(tmp_path):
    dataset = load(write(tmp_path, cells=("a/all", "b/all")))
    assert dataset.group_names == ("all",)
    assert dataset.notes[1:] == (
        "Classes with a single subgroup, in which measures between subgroups do not exist: a, b.",
    )


def test_junk_is_passed_over(root):
    for folder in ("", "train", "train/pets", "train/pets/cat"):
        for name in (".DS_Store", ".hidden.png", "Thumbs.db", "desktop.ini"):
            (root / folder / name).touch()
        (root / folder / "__MACOSX").mkdir()
    assert len(load(root).train.label) == 8


def test_suffixes_in_any_case_and_jpeg(root):
    image = np.full((SIZE, SIZE, 3), (200, 30, 90), np.uint8)
    for name in ("a.JPG", "b.jpeg", "c.Png"):
        save(
            root / "test" / "pets" / "dog" / name,
            image,
            format="png" if name == "c.Png" else "jpeg",
        )
    dataset = load(root)
    assert len(dataset.test.label) == 4 + 3
    assert np.abs(dataset.test.image[-3:].astype(int) - image).max() < 8


def test_test_pictures_that_are_training_pictures_are_counted(root):
    shutil.copy(root / "train/pets/cat/0.png", root / "test/farm/cow/9.png")
    assert "byte by byte: 1 of 5." in load(root).notes[-1]


# --- pictures of all kinds


def test_training_pictures_that_stay_on_disk(root, monkeypatch):
    save(root / "test" / "pets" / "cat" / "1.png", pixels(0))
    whole = load(root)
    lazy = load(root, memory="disk")
    assert isinstance(lazy.train.image, OnDisk) and lazy.train.image.nbytes == 8 * SIZE * SIZE * 3
    for one, other in zip((*whole.train, *whole.test), (*lazy.train, *lazy.test), strict=True):
        np.testing.assert_array_equal(one, np.asarray(other))
    assert "not known" in lazy.notes[-1] and "1 of 5" in whole.notes[-1]
    assert isinstance(load(root, memory="decoded").train.image, OnDisk)
    monkeypatch.setattr(memory, "of_host", lambda: 4 * 8 * SIZE * SIZE * 3 - 1)
    assert isinstance(load(root).train.image, OnDisk)
    assert isinstance(load(root, memory="host").train.image, np.ndarray)


def test_16_bits_are_not_read_one_by_one(root, monkeypatch, tmp_path):
    """They are scaled by the largest value of all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    value = np.full((SIZE, SIZE, 1), 60, np.uint16)
    save(root / "train" / "pets" / "cat" / "9.png", png_of_16_bits(value, 0))
    image = load(root, memory="disk").train.image
    for act in (image.check, image.decoded, lambda: image.read(range(9))):
        with pytest.raises(InputError, match=r"9\.png.*8 bits.*data.memory"):
            act()


def one(root, image, name="9.png", image_size: int = SIZE, **options: Any):
    """Adds `image` to the training pictures; returns what was read, and the notes on pictures."""
    path = root / "train" / "pets" / "dog" / name
    save(path, image, **options)
    dataset = load(root, image_size)
    notes = [note for note in dataset.notes[1:] if re.search(r" of 1[34]\.$", note)]
    return dataset.train.image[-1], notes


def test_grey(root):
    grey = pixels(50)[..., 0]
    image, notes = one(root, grey)
    np.testing.assert_array_equal(image, np.dstack([grey] * 3))
    assert notes == ["Grey pictures, whose value all three channels take: 1 of 13."]


def test_grey_of_16_bits(root):
    grey = np.arange(SIZE * SIZE, dtype=np.uint16).reshape(SIZE, SIZE) * 1000
    image, notes = one(root, grey)
    np.testing.assert_array_equal(image, np.dstack([grey // 256] * 3))
    assert notes[0] == DEEP.format(16)
    assert "Grey" in notes[1]


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bits_are_scaled_by_what_the_files_hold(root, color, channels, bits):
    value = np.random.default_rng(bits).integers(0, 2**bits, (SIZE, SIZE, channels))
    value[0, 0, 0] = 2**bits - 1
    if channels in (2, 4):
        value[..., -1] = 65_535 if bits > 12 else 2**bits - 1  # opaque, in both ways
    image, notes = one(root, png_of_16_bits(value, color))
    expected = value[..., :3] if channels > 2 else np.repeat(value[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(image, expected >> (bits - 8))
    assert notes[0] == DEEP.format(bits)
    assert len(notes) == 1 + (channels < 3)  # and grey, but not transparent


def test_16_bits_are_scaled_alike_in_all_files(root):
    """A dark picture stays dark beside a bright one, in another split."""
    value = np.arange(SIZE * SIZE).reshape(SIZE, SIZE, 1)
    save(root / "test" / "pets" / "dog" / "9.png", png_of_16_bits(value * 60, 0))
    image, notes = one(root, png_of_16_bits(value, 0))
    np.testing.assert_array_equal(image, np.repeat(value >> 4, 3, axis=-1))
    assert notes == [note.replace("1 of", "2 of").replace("13", "14") for note in notes]


@pytest.mark.parametrize(("color", "clear"), [(0, (700,)), (2, (700, 1, 65_000))])
def test_a_transparent_value_of_16_bits(root, color, clear):
    value = np.full((SIZE, SIZE, len(clear)), 256 * 9)
    value[1], value[2] = clear, np.add(clear, 1)  # equal to it in the upper 8 bits
    value[3, :, -1] = 65_535
    image, notes = one(root, png_of_16_bits(value, color, clear))
    expected = np.broadcast_to(value >> 8, (SIZE, SIZE, 3)).copy()
    expected[1] = 255
    np.testing.assert_array_equal(image, expected)
    assert "Pictures with transparent parts, laid on white: 1 of 13." in notes


def test_black_and_white_of_one_bit(root):
    image, notes = one(root, Image.fromarray(pixels(50)[..., 0] > 127))
    assert set(np.unique(image)) == {0, 255}
    assert len(notes) == 1


def test_palette(root):
    picture = Image.fromarray(pixels(50)).quantize(16)
    image, notes = one(root, picture)
    np.testing.assert_array_equal(image, np.asarray(picture.convert("RGB")))
    assert notes == []


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(root, mode):
    picture = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, SIZE, SIZE // 2))  # the upper half is transparent
    options: dict[str, Any] = {}
    if mode == "P":
        picture, options = (
            Image.fromarray(np.asarray(picture.convert("RGB"))[..., 0]).convert("P"),
            {"transparency": 0},
        )
    image, notes = one(root, picture.convert(mode), **options)
    half = np.zeros((SIZE, SIZE, 3), np.uint8)
    half[: SIZE // 2 if mode != "P" else SIZE] = 255
    np.testing.assert_array_equal(image, half)
    assert "Pictures with transparent parts, laid on white: 1 of 13." in notes


def test_opaque_alpha_changes_nothing(root):
    image, notes = one(root, np.dstack([pixels(50), np.full((SIZE, SIZE), 255, np.uint8)]))
    np.testing.assert_array_equal(image, pixels(50))
    assert notes == []


def test_cmyk(root):
    image, notes = one(root, Image.new("CMYK", (SIZE, SIZE), (0, 255, 255, 0)), name="9.jpg")
    assert np.abs(image.astype(int) - (255, 0, 0)).max() < 8
    assert notes == ["Pictures converted from CMYK to RGB: 1 of 13."]


def test_exif_orientation(root):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees, clockwise, to see it upright
    image, notes = one(root, pixels(50), exif=exif)
    np.testing.assert_array_equal(image, np.rot90(pixels(50), -1))
    assert notes == ["Pictures turned upright, as their EXIF data says: 1 of 13."]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_as_pillow_turns_it(root, orientation):
    exif: Any = Image.Exif()
    exif[0x0112] = orientation
    save(root / "x.png", pixels(50), exif=exif)
    with Image.open(root / "x.png") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(one(root, pixels(50), exif=exif)[0], expected)


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack(">HHII", 0x0132, 5, 1, 0xFFFFFF),  # a rational beyond the end of the block
        struct.pack(">HHII", 0x8769, 4, 1, 0xFFFFFF),  # a sub-block beyond it
        struct.pack(">HHI4s", 0x011A, 2, 4, b"abc\0"),  # a text where a rational belongs
        struct.pack(">HHI4s", 0x0100, 2, 4, b"abc\0"),  # or an integer
        struct.pack(">HHII", 0x0201, 99, 1, 7),  # a type that does not exist
    ],
)
def test_odd_exif_tags_do_not_matter(root, odd):
    turned = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    entries = b"".join(sorted([turned, odd]))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + entries + bytes(4)
    image, notes = one(root, pixels(50), name="9.jpg", exif=exif, quality=100, subsampling=0)
    assert np.abs(image.astype(int) - np.rot90(pixels(50), -1)).mean() < 4
    assert notes == ["Pictures turned upright, as their EXIF data says: 1 of 13."]


def test_exif_that_cannot_be_read_is_said(root):
    image, notes = one(root, pixels(50), exif=b"Exif\0\0garbage")
    np.testing.assert_array_equal(image, pixels(50))
    assert notes == ["Pictures whose EXIF data cannot be read, taken as upright: 1 of 13."]


@pytest.mark.parametrize("kind", ["zip text", "plain text", "many texts", "profile"])
def test_large_texts_and_profiles_do_not_matter(root, kind):
    info, options = PngInfo(), {}
    if kind == "profile":
        options["icc_profile"] = bytes(3 * 2**20)
    for i in range(40 if kind == "many texts" else 1):
        info.add_text(f"key {i}", "x" * 2 * 2**20, zip=kind != "plain text")
    image, notes = one(root, pixels(50), pnginfo=info, **options)
    np.testing.assert_array_equal(image, pixels(50))
    assert notes == []


def test_crop_without_resizing_keeps_every_pixel(root):
    image, notes = one(root, pixels(50, SIZE, SIZE + 5))
    np.testing.assert_array_equal(image, pixels(50, SIZE, SIZE + 5)[:, 2:-3])
    assert notes == ["Pictures that are not square, cropped at the centre: 1 of 13."]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (30, 16), (16, 31), (5, 7)])
def test_another_size(root, height, width):
    image, notes = one(root, pixels(50, height, width))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(pixels(50, height, width)[top : top + side, left : left + side])
    np.testing.assert_array_equal(
        image, np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    )
    assert notes[-1] == "Pictures resized to 8x8 (cubic interpolation, antialiased): 1 of 13."
    assert len(notes) == 1 + (height != width)


# --- trees that do not fit


def test_no_path_and_no_such_path(tmp_path):
    refused("", "", r"a folder that exists \(ROOT/\{train,test\}/CLASS/SUBGROUP/.*\.npz file")
    refused(tmp_path / "absent", tmp_path / "absent", "a folder that exists")
    (tmp_path / "file.txt").touch()
    refused(tmp_path / "file.txt", tmp_path / "file.txt", "a folder that exists")
    refused(
        tmp_path / "absent.npz", tmp_path / "absent.npz", "a folder that exists .*, or a .npz file"
    )


@pytest.mark.parametrize("split", ["train", "test"])
class TestOneSplit:
    def test_missing(self, root, split):
        shutil.rmtree(root / split)
        refused(root, root / split, "a folder that exists and may be read")

    def test_without_classes(self, root, split):
        shutil.rmtree(root / split)
        (root / split).mkdir()
        refused(root, root / split, "a folder that holds class folders")

    def test_a_class_without_subgroups(self, root, split):
        (root / split / "fish").mkdir()
        refused(root, root / split / "fish", "a folder that holds subgroup folders")

    def test_a_subgroup_without_pictures(self, root, split):
        (root / split / "pets" / "fish").mkdir()
        refused(root, root / split / "pets" / "fish", "a folder that holds pictures")

    def test_a_picture_in_the_place_of_a_class(self, root, split):
        save(root / split / "a.png", pixels(0))
        refused(root, root / split / "a.png", "only class folders at this level")

    def test_a_picture_without_a_subgroup_folder(self, root, split):
        save(root / split / "pets" / "a.png", pixels(0))
        refused(
            root,
            root / split / "pets" / "a.png",
            r"only subgroup folders \(one will do\) at this level",
        )

    def test_a_folder_too_deep(self, root, split):
        save(root / split / "pets" / "cat" / "siamese.png" / "a.png", pixels(0))
        refused(root, root / split / "pets" / "cat" / "siamese.png", "only pictures")

    @pytest.mark.parametrize("name", ["a.txt", "a.gif", "a", "a.png.part"])
    def test_another_file(self, root, split, name):
        (root / split / "pets" / "cat" / name).touch()
        refused(root, root / split / "pets" / "cat" / name, r"only pictures \(.png, .jpg, .jpeg\)")

    def test_a_subgroup_that_the_other_lacks(self, root, split):
        save(root / split / "pets" / "fish" / "a.png", pixels(0))
        other = "test" if split == "train" else "train"
        refused(root, root / other / "pets" / "fish", f"because .*{split}/pets/fish is one")

    def test_a_class_that_the_other_lacks(self, root, split):
        save(root / split / "wild" / "lion" / "a.png", pixels(0))
        other = "test" if split == "train" else "train"
        refused(root, root / other / "wild" / "lion", f"because .*{split}/wild/lion is one")


@pytest.mark.parametrize("name", ["val", "Train", "README.txt"])
def test_another_thing_beside_train_and_test(root, name):
    (root / name).mkdir()
    refused(root, root / name, "only train/ and test/ at this level")


def test_documents_are_passed_over_and_named(root):
    names = ["LICENSE", "README", "labels.csv", "preview.png", "train/labels.csv"]
    names += ["train/pets/README.md", "test/classes.json"]
    for name in names:
        (root / name).touch()
    whole = load(root)
    assert len(whole.train.label) == 8
    assert whole.notes[1] == (
        "Passed over, being no pictures: LICENSE, README, labels.csv, preview.png, "
        "train/labels.csv and 2 more."
    )


def test_a_file_name_that_is_not_utf8_is_escaped_in_a_note(root):
    (root / os.fsdecode(b"caf\xe9.txt")).touch()
    assert load(root).notes[1] == r"Passed over, being no pictures: caf\udce9.txt."


@pytest.mark.parametrize("folder", ["pets", "pets/cat"])
def test_a_folder_whose_name_is_not_utf8(root, folder):
    for split in ("train", "test"):
        path = root / split / folder
        path.rename(path.with_name(os.fsdecode(b"caf\xe9")))
    with pytest.raises(
        InputError, match=r"train.*caf\\udce9' is refused; allowed: a name in UTF-8"
    ):
        load(root)


@pytest.mark.parametrize("kind", ["fifo", "dangling link", "device"])
@pytest.mark.parametrize("folder", [".", "train", "train/pets", "train/pets/cat"])
def test_what_is_no_regular_file(root, folder, kind):
    path = root / folder / "a.png"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "/absent")
    refused(root, path, "only .* at this level")


def test_one_class(tmp_path):
    refused(write(tmp_path, cells=("pets/cat", "pets/dog")), tmp_path, "two or more classes")


def png_of_16_bits(value, color, clear=None):
    """A PNG file of values [h w c] with a colour type (0 grey, 2 RGB, 4 and 6 with alpha)."""

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    height, width = value.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in value)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0))
    clear = b"" if clear is None else chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + clear + end


def encoded(image, kind, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def bomb():
    """A small PNG file whose header promises 900 million pixels."""
    content = bytearray(encoded(pixels(0), "png"))
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is neither"),
        (b"<html>404 Not Found</html>", "it is neither"),
        (encoded(pixels(0), "gif"), "it is neither"),
        (encoded(pixels(0), "png")[:-40], "OSError|SyntaxError"),
        (encoded(pixels(0, 64, 64), "jpeg")[:-1000], "OSError: image file is truncated"),
        (bomb(), "DecompressionBombError"),
        (
            encoded(pixels(0), "png", save_all=True, append_images=[Image.fromarray(pixels(1))]),
            "it is animated",
        ),
    ],
)
def test_a_file_that_cannot_be_decoded(root, content, says):
    path = root / "test" / "pets" / "cat" / "bad.png"
    path.write_bytes(content)
    refused(root, path, rf"a still PNG or JPEG picture that can be decoded \(.*({says})")


def test_the_first_bad_file_is_the_one_that_is_named(root):
    for name in ("3.png", "1.png", "2.png"):
        (root / "train" / "farm" / "pig" / name).write_bytes(b"bad")
    refused(root, root / "train" / "farm" / "pig" / "1.png", "can be decoded")


# --- .npz files


def arrays(**changes):
    """Two classes with two subgroups each, two training images and one test image in each."""
    n = 12
    whole = {
        "image": np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8),
        "label": np.arange(n) % 2,
        "group": np.arange(n) // 2 % 2,
        "split": np.repeat(["train", "train", "test"], 4),
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def write_npz(tmp_path, **changes):
    np.savez(tmp_path / "mine.npz", **arrays(**changes))
    return tmp_path / "mine.npz"


@pytest.mark.parametrize(
    "split", [np.repeat(["train", "train", "test"], 4), np.repeat([0, 0, 1], 4)]
)
def test_npz(tmp_path, split):
    dataset = load(write_npz(tmp_path, split=split))
    whole = arrays()
    for samples, index in ((dataset.train, slice(0, 8)), (dataset.test, slice(8, 12))):
        np.testing.assert_array_equal(samples.image, whole["image"][index])
        np.testing.assert_array_equal(samples.label, whole["label"][index])
        np.testing.assert_array_equal(samples.group, whole["group"][index])
        assert (samples.image.dtype, samples.label.dtype, samples.group.dtype) == (
            np.uint8,
            np.int32,
            np.int32,
        )
    assert dataset.class_names == ("0", "1")
    assert dataset.group_names == ("subgroup 1", "subgroup 2")
    assert dataset.subgroup_names == ()
    assert dataset.augmentations == augment.NAMES
    assert dataset.notes == ("Own images: 8 for training and 4 for test, in 2 classes.",)


def test_npz_with_names_and_a_class_that_lacks_a_subgroup(tmp_path):
    names = {"class_names": np.array(["car", "van"]), "group_names": np.array(["day", "night"])}
    group = np.where(np.arange(12) % 2 == 0, 1, np.arange(12) // 2 % 2)
    dataset = load(write_npz(tmp_path, **names, group=group))
    assert dataset.class_names == ("car", "van")
    assert dataset.group_names == ("day", "night")
    assert (
        dataset.notes[1]
        == "Classes with a single subgroup, in which measures between subgroups do not exist: car."
    )


@pytest.mark.parametrize("shape", [(12, SIZE, SIZE), (12, SIZE, SIZE, 1)])
def test_npz_of_grey_images(tmp_path, shape):
    grey = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    dataset = load(write_npz(tmp_path, image=grey))
    np.testing.assert_array_equal(
        dataset.test.image, np.repeat(grey[8:].reshape(4, SIZE, SIZE, 1), 3, axis=-1)
    )
    assert dataset.notes[1] == "Grey pictures, whose value all three channels take: 12 of 12."


def test_npz_gives_what_the_same_pictures_in_folders_give(tmp_path):
    images = np.stack([pixels(i, 12, 9) for i in range(12)])
    from_npz = load(
        write_npz(tmp_path, image=images, label=np.arange(12) // 2 % 2, group=np.arange(12) % 2)
    )
    for i, image in enumerate(images):
        split = ("train", "train", "test")[i // 4]
        save(tmp_path / "root" / split / str(i // 2 % 2) / str(i % 2) / f"{i}.png", image)
    from_tree = load(tmp_path / "root")
    np.testing.assert_array_equal(from_npz.test.image, from_tree.test.image)
    assert from_npz.notes == from_tree.notes


def test_npz_in_which_no_class_has_every_subgroup(tmp_path):
    group = np.where(np.arange(12) % 2 == 0, 2, np.arange(12) // 2 % 2)
    notes = load(write_npz(tmp_path, group=group)).notes
    assert (
        notes[-1]
        == "Classes with fewer than 3 subgroups, which means over classes leave out: 0, 1."
    )


def test_npz_with_the_same_image_in_both_splits(tmp_path):
    image = arrays()["image"]
    image[11] = image[0]
    assert "byte by byte: 1 of 4." in load(write_npz(tmp_path, image=image)).notes[-1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": None}, "'image': is missing"),
        ({"split": None}, "'split': is missing"),
        ({"labels": np.zeros(12, int)}, "'labels': no such array; only image, label"),
        ({"image": np.zeros((12, SIZE, SIZE, 3), np.float32)}, "'image': uint8 .*not float32"),
        ({"image": np.zeros((12, 8, 8, 4), np.uint8)}, r"'image': .*not uint8 \[12, 8, 8, 4\]"),
        ({"image": np.zeros((12, 48), np.uint8)}, r"'image': uint8 .*not uint8 \[12, 48\]"),
        ({"image": np.zeros((0, 8, 8, 3), np.uint8)}, r"'image': .*not uint8 \[0, 8, 8, 3\]"),
        ({"label": np.zeros(11, int)}, r"'label': integers \[12\], one an image, not int64 \[11\]"),
        ({"label": np.zeros(12)}, r"'label': integers \[12\], one an image, not float64"),
        ({"label": np.arange(12) % 2 - 1}, r"'label': integers in 0\.\.11, not -1\.\.0"),
        ({"label": np.arange(12) % 2 * 2}, "'label': an image of each; 1 has none"),
        ({"label": np.zeros(12, int)}, "'label': two or more classes"),
        ({"class_names": np.array(["a", "b", "c"])}, "'label': an image of each; 2 has none"),
        ({"group_names": np.array(["a"])}, r"'group': integers in 0\.\.0, not 0\.\.1"),
        ({"group": np.arange(12)}, "'split': .*each subgroup; class 0, group subgroup 1 has"),
        ({"class_names": np.array(["a", "a"])}, "'class_names': different strings"),
        ({"class_names": np.array([1, 2])}, "'class_names': different strings"),
        ({"group_names": np.array([["a", "b"]])}, "'group_names': different strings"),
        ({"split": np.repeat(["train", "val", "test"], 4)}, "'split': \"train\" or \"test\""),
        ({"split": np.repeat([0, 1, 2], 4)}, "'split': \"train\" or \"test\""),
        ({"split": np.repeat([0.0, 0, 1], 4)}, "'split': \"train\" or \"test\""),
        ({"split": np.repeat(["train"], 12)}, "'split': .*subgroup; class 0, .* training images"),
        ({"class_names": np.array(["a", "b"], object)}, "'class_names': .*without Python objects"),
        ({"class_names": np.array(["a", "\udcff"])}, "'class_names': different strings"),
    ],
)  # fmt: skip
def test_npz_that_does_not_fit(tmp_path, changes, says):
    path = write_npz(tmp_path, **changes)
    refused(path, path, f"in array {says}")


def test_npz_that_is_none(tmp_path):
    path = tmp_path / "mine.npz"
    np.save(tmp_path / "mine.npy", np.zeros(3))
    for content in (
        b"",
        b"hello",
        (tmp_path / "mine.npy").read_bytes(),
        write_npz(tmp_path).read_bytes()[:-100],
    ):
        path.write_bytes(content)
        refused(path, path, "a .npz file, as numpy.savez writes it")


def test_npz_with_a_broken_array(tmp_path):
    path = write_npz(tmp_path)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1  # inside the images: the checksum of zip sees it
    path.write_bytes(content)
    refused(path, path, "in array 'image': a whole array")


def test_npz_with_another_file_in_it(tmp_path):
    path = write_npz(tmp_path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("notes.txt", "hello")
    refused(path, path, "in array 'notes.txt': no such array")


def test_the_config_resolves():
    get_config = runpy.run_path(str(CONFIG))["get_config"]
    spec = config.resolve(get_config())
    assert spec.data.name in data.NAMES
    refused(spec.data.path, "", "a folder that exists")  # until the person gives it
    with pytest.raises(InputError, match="no variants"):
        get_config("small")


# --- real pictures


def test_real_pictures(tmp_path):
    if not REAL.is_file():
        pytest.skip("needs the real CIFAR-10 folders, ../shared/data/cifar10_folders.tar")
    with tarfile.open(REAL) as archive:
        archive.extractall(tmp_path, filter="data")
    dataset = load(tmp_path / "cifar10_folders", image_size=32)
    assert dataset.train.image.shape == (8_000, 32, 32, 3)
    assert dataset.test.image.shape == (2_000, 32, 32, 3)
    assert dataset.class_names == ("craft", "grazers", "pets", "road", "small_animals")
    assert dataset.subgroup_names[2] == ("cat", "dog")
    for samples in (dataset.train, dataset.test):
        counts = np.bincount(samples.label * 2 + samples.group)
        np.testing.assert_array_equal(counts, len(samples.label) // 10)
    assert len(dataset.notes) == 2  # nothing was done to any picture, and none is in both splits
    blue = dataset.train.image[..., 2].mean(axis=(1, 2))
    airplane = (dataset.train.label == 0) & (dataset.train.group == 0)
    assert blue[airplane].mean() > blue.mean() + 20  # sky

"""Pictures as an array that is decoded when it is read."""

import errno
import os

import numpy as np
import photographs
import pytest
from PIL import Image

from jaxloop.data import memory, pictures
from jaxloop.data.on_disk import Decoded, OnDisk
from jaxloop.errors import InputError


@pytest.fixture
def files(tmp_path):
    draw = np.random.default_rng(0)
    names = [f"{i}.png" for i in range(6)]
    for i, name in enumerate(names):
        photographs.picture(draw, i, (30, 20)).save(tmp_path / name)
    return tmp_path, names


def test_rows_are_those_of_the_whole(files):
    lazy = OnDisk(*files, 16, "crop")
    whole = np.asarray(lazy)
    assert whole.shape == lazy.shape == (6, 16, 16, 3) and lazy.nbytes == whole.nbytes
    np.testing.assert_array_equal(lazy.read([4, 0, 4]), whole[[4, 0, 4]])
    for rows in (np.array([5, 1]), np.arange(6) % 2 == 0, slice(2, 4)):
        np.testing.assert_array_equal(np.asarray(lazy[rows]), whole[rows])
    np.testing.assert_array_equal(lazy[np.array([5, 1, 3])].read([2]), whole[[3]])
    assert np.asarray(lazy[np.zeros(6, bool)]).shape == (0, 16, 16, 3)


def test_squash_is_the_published_protocol(tmp_path):
    """Resize to 256x256 whatever the aspect, then crop 224 at the centre: Pillow's own, by hand."""
    photographs.picture(np.random.default_rng(1), 3, (400, 300)).save(tmp_path / "a.png")
    image = Image.open(tmp_path / "a.png").resize((256, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(image.crop((16, 16, 240, 240)))
    lazy = OnDisk(tmp_path, ["a.png"], 224, "squash")
    np.testing.assert_array_equal(lazy.read([0])[0], expected)
    np.testing.assert_array_equal(np.asarray(lazy)[0], expected)


def test_center_is_the_usual_crop(tmp_path):
    """Short side to 256, centre 224; a picture too small for that is cropped to a square."""
    photographs.picture(np.random.default_rng(1), 3, (400, 300)).save(tmp_path / "a.png")
    photographs.picture(np.random.default_rng(1), 3, (40, 30)).save(tmp_path / "b.png")
    image = Image.open(tmp_path / "a.png").resize((341, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(image.crop((58, 16, 282, 240)))
    names = ["a.png", "b.png"]
    lazy = OnDisk(tmp_path, names, 224, "center")
    np.testing.assert_array_equal(lazy.read([0])[0], expected)
    np.testing.assert_array_equal(lazy.read([1]), OnDisk(tmp_path, names, 224, "crop").read([1]))


def test_all_damaged_files_are_found_at_once(files):
    root, names = files
    for name in names[1:4]:
        (root / name).write_bytes((root / name).read_bytes()[:60])
    with pytest.raises(InputError) as caught:
        np.asarray(OnDisk(*files, 16, "crop"))
    text = str(caught.value)
    assert "1.png" in text and "2 other files" in text and "2.png" in text and "3.png" in text
    assert "0.png" not in text and "\n" not in text
    with pytest.raises(InputError, match=r"2\.png"):
        OnDisk(*files, 16, "crop").read([0, 2])


def test_a_check_finds_them_all_and_is_done_once(files, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    root, names = files
    content = (root / names[3]).read_bytes()
    for name in names[2:4]:
        (root / name).write_bytes(b"no picture")
    lazy = OnDisk(*files, 16, "crop")
    with pytest.raises(InputError, match=r"2\.png.*1 other file: .*3\.png"):
        lazy.check()
    for name in names[2:4]:
        (root / name).write_bytes(content)
    lazy.check()
    monkeypatch.setattr(pictures, "each", lambda *args: pytest.fail("decoded again"))
    lazy.check()
    with pytest.raises(pytest.fail.Exception):  # another set is another check
        lazy[1:].check()


def test_decoded_once_into_a_file(files, monkeypatch, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    root, names = files
    lazy, content = OnDisk(*files, 16, "crop"), (root / names[3]).read_bytes()
    (root / names[3]).write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"3\.png"):
        lazy.decoded()
    assert not [path for path in cache.rglob("*") if path.is_file()]  # no half of one is left
    (root / names[3]).write_bytes(content)
    lazy.decoded()
    monkeypatch.setattr(pictures, "each", lambda *args: pytest.fail("decoded again"))
    decoded = memory.with_host("decoded", lazy)
    assert isinstance(decoded, Decoded)
    assert len(decoded) == 6 and decoded.shape == lazy.shape
    np.testing.assert_array_equal(decoded.read(np.array([4, 0, 4])), lazy.read([4, 0, 4]))
    for other in (OnDisk(*files, 8, "crop"), OnDisk(*files, 16, "squash"), lazy[1:]):
        with pytest.raises(pytest.fail.Exception):  # another set is another file
            other.decoded()
    with open(decoded.path, "r+b") as file:
        file.truncate(16 * 16 * 3 * 5)
    with pytest.raises(OSError, match="cut short"):
        decoded.read([5])


def test_no_room_for_the_decoded_is_one_line(files, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match="config.data.memory='decoded'.*4,608 bytes of room"):
        OnDisk(*files, 16, "crop").decoded()


def test_a_long_list_of_damaged_files_is_cut(tmp_path):
    names = [f"{i:02d}.png" for i in range(12)]
    for name in names:
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"00\.png.*11 other files: .*04\.png and 7 more"):
        pictures.read([tmp_path / name for name in names], 16)


def test_the_checksum_is_of_names_and_sizes(files):
    root, names = files
    code = OnDisk(*files, 16, "crop").checksum(0)
    assert (
        code
        == OnDisk(*files, 32, "crop").checksum(0)
        != OnDisk(root, names[1:], 16, "crop").checksum(0)
    )
    (root / names[2]).write_bytes((root / names[2]).read_bytes() + b" ")
    assert code != OnDisk(*files, 16, "crop").checksum(0)


class Device:
    def __init__(self, limit: int | None):
        self.limit = limit

    def memory_stats(self):
        return None if self.limit is None else {"bytes_limit": self.limit}


def test_where_images_go(monkeypatch, files):
    monkeypatch.setattr(memory, "of_host", lambda: 4000)
    lazy, array = OnDisk(*files, 8, "crop"), np.zeros((5, 8, 8, 3), np.uint8)  # 1,152 and 960 bytes
    assert memory.chosen("auto", array, Device(3840)) == "device"
    assert memory.chosen("auto", array, Device(3839)) == "host"
    assert memory.chosen("auto", array, Device(None)) == "device"  # a CPU's is the host's: 4,000
    assert memory.chosen("auto", lazy, Device(3839)) == "disk"  # 4 x 1,152 > 4,000
    assert memory.chosen("auto", lazy[:5], Device(3839)) == "host"
    assert memory.chosen("disk", lazy, Device(10**9)) == "disk"
    for how in ("disk", "decoded"):
        with pytest.raises(InputError, match=f"config.data.memory='{how}'.*read whole"):
            memory.chosen(how, array, Device(None))


def test_the_hosts_memory_is_that_of_a_machine():
    assert 2**28 < memory.of_host() < 2**50

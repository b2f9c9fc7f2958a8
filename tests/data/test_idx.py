"""The IDX reader, on files that the test writes whole and broken."""

import gzip
import os
import struct

import numpy as np
import pytest

from jaxloop.data.mnist import read_idx
from jaxloop.errors import InputError

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
HEADER = struct.pack(">I3I", 0x803, 2, 3, 4)  # the magic number as published: 2051
WHOLE = HEADER + VALUES.tobytes()
PACKED = gzip.compress(WHOLE, mtime=0)  # the names of tests hold it: the same in every process


def test_reads_a_file_plain_and_gzipped(tmp_path):
    (tmp_path / "plain").write_bytes(WHOLE)
    (tmp_path / "packed.gz").write_bytes(PACKED)
    for name in ("plain", "packed.gz"):
        array = read_idx(tmp_path / name, dimensions=3)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, VALUES)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty", b"", "not nothing"),
        ("labels", struct.pack(">I", 0x801) + WHOLE[4:], "starts with 00000803, not 00000801"),
        ("floats", struct.pack(">I", 0xD03) + WHOLE[4:], "starts with 00000803"),
        ("header", HEADER[:9], "inside its header"),
        ("short", WHOLE[:-1], "2 x 3 x 4 = 24 values, it has 23"),
        ("long", WHOLE + b"\0", "it has 25"),
        ("packed_without_suffix", PACKED, "starts with 00000803, not 1f8b"),
        ("not_packed.gz", WHOLE, "unpacked"),
        ("cut.gz", PACKED[:-12], "unpacked"),
        ("flipped.gz", PACKED[:-8] + bytes(8), "unpacked"),
        ("garbage.gz", PACKED[:10] + b"\xff" * 30, "unpacked"),
    ],
)
def test_refuses_a_broken_file_and_names_it(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"config.data.path") as caught:
        read_idx(path, dimensions=3)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_refuses_a_missing_file_and_a_fifo(tmp_path):
    with pytest.raises(InputError, match=r"absent"):
        read_idx(tmp_path / "absent", dimensions=1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match=r"fifo.*a regular file"):
        read_idx(tmp_path / "fifo", dimensions=1)

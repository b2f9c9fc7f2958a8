import json
import subprocess
import sys

import numpy as np
import pytest

from jaxloop.errors import InputError
from jaxloop.provenance import sheets, store
from tests.provenance import fake


def test_what_was_written_comes_back(tmp_path):
    image = fake.pictures(7)
    lines = fake.write(tmp_path, 3, 0, image)
    assert store.lines(tmp_path, 3, 0) == lines and [line["index"] for line in lines] == list(
        range(7)
    )
    np.testing.assert_array_equal(store.pictures(tmp_path, 3, 0), image)
    assert [sheets.sha256(x) for x in store.pictures(tmp_path, 3, 0)] == [
        line["sha256"] for line in lines
    ]


def test_pairs_are_in_the_order_of_numbers_and_of_provenance_files_alone(tmp_path):
    assert store.pairs(tmp_path) == []
    for pair in [(100, 2), (2, 10), (2, 9), (10, 0)]:
        fake.write(tmp_path, *pair, fake.pictures(1))
    for other in ("g1_s0.jsonl", "g02_s0.json", "notes.jsonl", ".g05_s0.jsonl.12.tmp"):
        (tmp_path / "provenance" / other).touch()
    (tmp_path / "images" / "g04_s0.png").touch()
    assert store.pairs(tmp_path) == [(2, 9), (2, 10), (10, 0), (100, 2)]
    assert store.name(2, 9) == "g02_s9" and store.name(100, 2) == "g100_s2"


def test_real_images(tmp_path):
    lines, image = store.real(tmp_path)
    assert lines == [] and image.shape[0] == 0 and image.dtype == np.uint8
    image = fake.pictures(3, seed=1)
    kept = [
        {"index": i, "class": i, "group": 0, "sha256": sheets.sha256(x)}
        for i, x in enumerate(image)
    ]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "real.png").write_bytes(sheets.encode(image))
    with pytest.raises(InputError, match="real.jsonl"):
        store.real(tmp_path)
    store.write_lines(tmp_path / "images" / "real.jsonl", kept)
    found, shown = store.real(tmp_path)
    assert found == kept
    np.testing.assert_array_equal(shown, image)


def test_missing_broken_or_unequal_files_are_named(tmp_path):
    with pytest.raises(InputError, match="g01_s0.jsonl"):
        store.lines(tmp_path, 1, 0)
    lines = fake.write(tmp_path, 1, 0, fake.pictures(4), sheet=False)
    with pytest.raises(InputError, match="g01_s0.png"):
        store.pictures(tmp_path, 1, 0)
    sheet = tmp_path / "images" / "g01_s0.png"
    sheet.write_bytes(sheets.encode(fake.pictures(4))[:-1])
    with pytest.raises(InputError, match="g01_s0.png.*whole"):
        store.pictures(tmp_path, 1, 0)
    sheet.write_bytes(sheets.encode(fake.pictures(5)))
    with pytest.raises(InputError, match="g01_s0.png.*4 pictures.*has 5"):
        store.pictures(tmp_path, 1, 0)
    for line in (
        [],
        {"index": 2},
        lines[3],
        lines[2] | {"class": None},
        lines[2] | {"sha256": None},
        lines[2] | {"reason": "because"},
        {name: x for name, x in lines[2].items() if name != "kept"},
    ):
        store.write_lines(tmp_path / "provenance" / "g01_s0.jsonl", [*lines[:2], line])
        with pytest.raises(InputError, match=r"g01_s0.jsonl:3.*\"index\": 2"):
            store.lines(tmp_path, 1, 0)


def test_lines_are_written_whole_and_as_json_that_everybody_reads(tmp_path):
    path = tmp_path / "lines.jsonl"
    store.write_lines(path, iter([{"score": None}, {"score": 0.1}]))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"score": None},
        {"score": 0.1},
    ]
    with pytest.raises(ValueError):
        store.write_lines(path, [{"score": 1.0}, {"score": float("nan")}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"score": None},
        {"score": 0.1},
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["lines.jsonl"]


def test_the_room_starts_without_jax_or_what_only_parquet_needs():
    script = (
        "import sys, jaxloop.provenance.__main__, jaxloop.provenance.study; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "jaxloop.provenance.image_table" in loaded and not {
        "jax",
        "flax",
        "pyarrow",
        "matplotlib",
    } & set(loaded)

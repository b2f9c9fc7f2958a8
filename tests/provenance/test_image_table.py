import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxloop.errors import InputError
from jaxloop.provenance import __main__, sheets, store
from jaxloop.provenance import image_table as export
from jaxloop.provenance.store import LAYOUT
from jaxloop.provenance.votes import append
from tests.provenance import fake


@pytest.fixture
def workdir(tmp_path):
    """Two generations of the main arm, the second without pictures or scores; one of a control arm;
    votes.
    """
    path = tmp_path / "run"
    image = fake.pictures(6)
    lines = fake.write(path, 1, 0, image)
    fake.write(path, 2, 0, fake.pictures(4, seed=2), sheet=False, kept=None, score=None, scores={})
    # The control arm's first pictures are the main arm's: the filters come after them.
    fake.write(path / "arms/random", 1, 0, image[:4], scores={"random": 0.5})
    fake.config(path)
    for verdict, rater, of in (
        ("keep", "ada", 2),
        ("drop", "bob", 2),
        ("drop", "cyd", 2),
        ("drop", "ada", 3),
    ):
        line = lines[of]
        append(
            path,
            fake.vote(
                line["sha256"], verdict, rater, line["class"], index=of, blind=rater != "cyd"
            ),
        )
    append(path, fake.vote(lines[3]["sha256"], "undo", "ada", 1, index=3))
    append(
        path, fake.vote(lines[4]["sha256"], "keep", "ada", 1, index=4)
    )  # as a picture of another class
    return path


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_row_for_each_generated_image(workdir, tmp_path):
    table = rows(export.write(workdir, tmp_path / "out"))
    assert [(row["arm"], row["born"], row["index"]) for row in table] == [
        *[("main", 1, i) for i in range(6)],
        *[("main", 2, i) for i in range(4)],
        *[("random", 1, i) for i in range(4)],
    ]
    line = store.lines(workdir, 1, 0)[2]
    assert table[2] == {
        "arm": "main", **{name: line[name] for name in line if name != "scores"},
        "class_name": "zero", "group_name": "green", "score_clip": 2 / 3, "score_random": None,
        "votes_keep": 1, "votes_drop": 2, "raters": 3, "blind_keep": 1, "blind_drop": 1,
        "picture": "pictures/main/g01_s0/00002.png",
    }  # fmt: skip
    assert all(list(row) == list(table[0]) for row in table)
    assert [row["group_name"] for row in table[:4]] == [None, "red", "green", "blue"]
    assert [(row["raters"], row["votes_drop"]) for row in table[:6]] == [
        (0, 0),
        (0, 0),
        (3, 2),
        (0, 0),
        (0, 0),
        (0, 0),
    ]
    assert table[6]["kept"] is None and table[6]["score"] is None and table[6]["score_clip"] is None
    assert table[12]["raters"] == 3  # one picture, in two arms
    assert (table[12]["score_random"], table[12]["score_clip"]) == (0.5, None)


def test_pictures_are_those_of_the_rows(workdir, tmp_path):
    out = tmp_path / "out"
    table = rows(export.write(workdir, out))
    shown = [row for row in table if row["picture"]]
    assert len(shown) == 10 and all(row["picture"] is None for row in table if row["born"] == 2)
    for row in shown:
        assert sheets.sha256(np.array(Image.open(out / row["picture"]))) == row["sha256"]
    assert {str(path.relative_to(out)) for path in out.rglob("*.png")} == {
        row["picture"] for row in shown
    }


def test_parquet_says_what_json_lines_say(workdir, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = rows(export.write(workdir, tmp_path / "out"))
    path = export.write(workdir, tmp_path / "out", "parquet")
    assert path.name == "images.parquet"
    found = parquet.read_table(path)
    assert found.to_pylist() == table  # doubles are bit for bit
    assert found.column_names == list(table[0])
    kinds = {
        name: str(kind) for name, kind in zip(found.column_names, found.schema.types, strict=True)
    }
    assert (
        kinds["score_random"] == "double" and kinds["kept"] == "bool" and kinds["index"] == "int64"
    )


def test_a_table_has_the_same_columns_and_types_whatever_is_in_it(tmp_path):
    """A run that waits for people has no score; the type of its column is still a number's."""
    parquet = pytest.importorskip("pyarrow.parquet")
    fake.write(
        tmp_path / "run",
        1,
        0,
        fake.pictures(2),
        sheet=False,
        score=None,
        scores={},
        kept=None,
        group=-1,
    )
    fake.config(tmp_path / "run", class_names=[])
    table = parquet.read_table(export.write(tmp_path / "run", tmp_path / "out", "parquet"))
    kinds = {"double": "score", "bool": "kept", "string": "picture"}
    assert {str(table.schema.field(name).type): name for name in kinds.values()} == kinds
    assert table.column_names == list(export.KINDS)
    assert table["class_name"].to_pylist() == [None, None]


def test_groups_of_each_class_have_its_own_names(tmp_path):
    fake.write(tmp_path / "run", 1, 0, fake.pictures(4))
    fake.config(tmp_path / "run", subgroup_names=[["a", "b", "c"], ["d", "e", "f"]])
    table = rows(export.write(tmp_path / "run", tmp_path / "out"))
    assert [row["group_name"] for row in table] == [None, "d", "b", "f"]


def test_a_sheet_of_other_pictures_is_refused(workdir, tmp_path):
    other = fake.pictures(6)
    other[4, 0, 0, 0] ^= 1
    (workdir / "images" / "g01_s0.png").write_bytes(sheets.encode(other))
    with pytest.raises(InputError, match=r"g01_s0.png.*picture 4"):
        export.write(workdir, tmp_path / "out")
    assert not (tmp_path / "out" / "images.jsonl").exists()


def test_a_second_export_writes_the_same(workdir, tmp_path):
    once = export.write(workdir, tmp_path / "out").read_bytes()
    assert export.write(workdir, tmp_path / "out").read_bytes() == once


def test_as_a_process(workdir, tmp_path):
    command = [
        sys.executable,
        "-m",
        "jaxloop.provenance",
        str(workdir),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(tmp_path / "out" / "images.jsonl")


def test_as_a_process_whose_output_nobody_can_read_or_reads(workdir, tmp_path):
    """A name that latin-1 lacks, `~`, and a reader that has left."""
    reader, writer = os.pipe()
    os.close(reader)
    env = os.environ | {"PYTHONIOENCODING": "latin-1", "HOME": str(tmp_path), "PYTHONPATH": "."}
    for out in (subprocess.PIPE, writer):
        command = [sys.executable, "-m", "jaxloop.provenance", "~/run", "--out", "~/Š"]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout in (None, f"{tmp_path}/?/images.jsonl\n")
        (tmp_path / "Š" / "images.jsonl").unlink()
    os.close(writer)


def refused(capsys, *arguments):
    code = __main__.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert code == 2 and said.out == "" and said.err.count("\n") == 1
    return said.err


def test_bad_input_is_one_line_and_exit_code_2(workdir, tmp_path, capsys):
    out = tmp_path / "out"
    assert "WORKDIR" in refused(capsys, tmp_path / "nothing", "--out", out)
    assert "WORKDIR" in refused(capsys, tmp_path, "--out", out)
    assert "--format" in refused(capsys, workdir, "--out", out, "--format", "csv")
    (tmp_path / "link").symlink_to(workdir / "images")
    inside = (
        workdir / "images",
        workdir / "arms/random" / "images",
        workdir / "new" / "folder",
        tmp_path / "link",
    )
    for own in (workdir, workdir / "arms/random", *inside, workdir / ".." / workdir.name / "new"):
        assert "run's own" in refused(capsys, workdir, "--out", own)
    assert "run's own" in refused(capsys, os.path.relpath(workdir), "--out", workdir / "images")
    assert not (workdir / "new").exists()
    assert "--out" in refused(capsys, workdir, "--out", "")
    file = tmp_path / "file"
    file.touch()
    assert "--out" in refused(capsys, workdir, "--out", file)
    assert "--out" in refused(capsys, workdir, "--out", file / "below")
    (workdir / "votes.jsonl").write_text("{}\n")
    assert "votes.jsonl:1" in refused(capsys, workdir, "--out", out)
    (workdir / "votes.jsonl").unlink()
    (workdir / "config.json").write_text(
        (workdir / "config.json").read_text().replace(f'"layout": {LAYOUT}', '"layout": 1')
    )
    assert f'"layout": {LAYOUT} in its config.json' in refused(capsys, workdir, "--out", out)
    (workdir / "config.json").write_text("{}")
    assert "config.json" in refused(capsys, workdir, "--out", out)
    assert not out.exists()

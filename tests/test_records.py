import json
import math
import os

import numpy as np
import pytest

from jaxloop import records
from jaxloop.errors import InputError

ACCURACY = {"seed": 0, "generation": 1, "subject": "lenet", "metric": "accuracy", "value": 0.97}
GROUP = ACCURACY | {"metric": "group_accuracy", "class": 3, "group": 1}
NOTE = ACCURACY | {"metric": "di_note", "value": "no rate"}


def test_key_tells_class_and_group_apart():
    assert records.key(ACCURACY) == (0, 1, "lenet", "accuracy", None, None)
    assert records.key(GROUP) == (0, 1, "lenet", "group_accuracy", 3, 1)


def test_round_trip(tmp_path):
    path = tmp_path / "records.jsonl"
    log = [ACCURACY, GROUP, NOTE, ACCURACY | {"seed": 1, "value": None}]
    records.write(path, log)
    assert records.read(path) == log


def test_an_interval_and_what_the_features_are_come_back(tmp_path):
    path = tmp_path / "records.jsonl"
    carried = {
        "interval": (np.float32(0.5), 1),
        "features": {"n": np.int64(3), "d": 84, "resize": "tf", "sha256": None},
    }
    records.write(path, [ACCURACY | carried])
    (record,) = records.read(path)
    assert record == ACCURACY | {
        "interval": [0.5, 1],
        "features": {"n": 3, "d": 84, "resize": "tf", "sha256": None},
    }


def test_non_finite_values_become_null_and_numpy_scalars_numbers(tmp_path):
    path = tmp_path / "records.jsonl"
    values = [
        math.nan,
        math.inf,
        -math.inf,
        np.float32(np.nan),
        np.float32(0.5),
        np.int64(3),
        np.array(0.25),
    ]
    records.write(
        path, [ACCURACY | {"seed": np.int32(i), "value": value} for i, value in enumerate(values)]
    )
    assert [record["value"] for record in records.read(path)] == [
        None,
        None,
        None,
        None,
        0.5,
        3,
        0.25,
    ]


def test_later_line_wins_in_the_place_of_the_first(tmp_path):
    path = tmp_path / "records.jsonl"
    lines = [ACCURACY, GROUP, ACCURACY | {"value": 0.5}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert records.read(path) == [ACCURACY | {"value": 0.5}, GROUP]


@pytest.mark.parametrize("cut", range(1, len(json.dumps(GROUP).encode())))
def test_torn_last_line_is_left_out_wherever_it_tears(tmp_path, cut):
    path = tmp_path / "records.jsonl"
    path.write_bytes(json.dumps(ACCURACY).encode() + b"\n" + json.dumps(GROUP).encode()[:cut])
    assert records.read(path) == [ACCURACY]


def test_last_line_that_only_lacks_its_newline_is_read(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(ACCURACY) + "\n" + json.dumps(GROUP))
    assert records.read(path) == [ACCURACY, GROUP]


@pytest.mark.parametrize(
    "broken",
    ['{"seed": 0, "gen', "[1, 2]", "3", '{"seed": 0}', '{"seed": NaN}',
     json.dumps(ACCURACY | {"seed": "0"}), json.dumps(ACCURACY | {"value": [1]}), json.dumps(ACCURACY | {"group": 0.5}),
     json.dumps(ACCURACY | {"interval": [0.5]}), json.dumps(ACCURACY | {"interval": ["a", "b"]}),
     json.dumps(ACCURACY | {"features": 84})],
)  # fmt: skip
def test_any_other_broken_line_is_refused_by_file_and_line(tmp_path, broken):
    path = tmp_path / "records.jsonl"
    # Broken, but ended by a newline: no kill did that, wherever in the file it stands.
    for lines in ([ACCURACY, broken, GROUP], [ACCURACY, broken]):
        path.write_text(
            "".join((line if line is broken else json.dumps(line)) + "\n" for line in lines)
        )
        with pytest.raises(InputError) as refusal:
            records.read(path)
        assert f"{path}:2" in str(refusal.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"records\.jsonl"):
        records.read(tmp_path / "records.jsonl")


def test_merge_overwrites_in_place_and_appends_in_order():
    newer, later = GROUP | {"value": 0.1}, ACCURACY | {"generation": 2}
    old = [ACCURACY, GROUP, NOTE]
    assert records.merge(old, [later, newer]) == [ACCURACY, newer, NOTE, later]
    assert old == [ACCURACY, GROUP, NOTE]
    assert records.merge([], [ACCURACY, ACCURACY]) == [ACCURACY]


def test_a_write_that_fails_leaves_the_old_log_and_no_other_file(tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    records.write(path, [ACCURACY])

    def fail(*_):
        raise OSError("disk full")

    for broken in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="disk full"):
                records.write(path, [GROUP])
        assert records.read(path) == [ACCURACY]
        assert [p.name for p in tmp_path.iterdir()] == ["records.jsonl"]


def test_the_log_is_synced_before_it_takes_the_old_one_s_place(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (calls.append(("replace", a.parent, b)), replace(a, b))
    )
    records.write(tmp_path / "records.jsonl", [ACCURACY])
    assert calls == ["fsync", ("replace", tmp_path, tmp_path / "records.jsonl")]

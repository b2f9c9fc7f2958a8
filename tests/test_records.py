import json
import math
import os

import numpy as np
import pandas as pd
import pytest

from jaxloop import records
from jaxloop.errors import InputError

ACCURACY = {"seed": 0, "generation": 1, "subject": "lenet", "metric": "accuracy", "value": 0.97}
GROUP = ACCURACY | {"metric": "group_accuracy", "class": 3, "group": 1}
MISSING = ACCURACY | {"metric": "di", "value": None, "reason": "zero_accuracy"}
MEAN = ACCURACY | {"metric": "meo_per_class", "caveat": "classes_left_out"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.jsonl"


def test_key_tells_every_parameter_apart():
    assert records.key(ACCURACY) == (0, 1, "lenet", "accuracy", *[None] * len(records.PARAMETERS))
    assert records.key(GROUP)[:6] == (0, 1, "lenet", "group_accuracy", 3, 1)
    parameters = [ACCURACY | {name: kind(1)} for name, kind in records.PARAMETERS.items()]
    assert len({records.key(record) for record in [ACCURACY, *parameters]}) == 1 + len(parameters)
    assert records.key(MISSING) == records.key(MISSING | {"value": 0.5, "reason": None})


def test_round_trip(path):
    every = {name: kind(1) for name, kind in records.PARAMETERS.items()}
    carried = {"interval": [0.5, 1], "features": {"n": 3, "d": 84, "resize": "tf", "sha256": None}}
    log = [ACCURACY, GROUP, MISSING, MEAN, ACCURACY | {"seed": 1} | every | carried]
    records.write(path, log)
    assert records.read(path) == log


def test_numpy_scalars_become_numbers_and_non_finite_values_null(path):
    values = [math.nan, math.inf, -math.inf, np.float32(np.nan)]
    values += [np.float32(0.5), np.int64(3), np.array(0.25)]
    log = [ACCURACY | {"seed": np.int32(i), "value": value} for i, value in enumerate(values)]
    log[4] |= {"interval": (np.float32(0.5), 1), "rank": np.int64(2), "features": {"n": np.int8(3)}}
    records.write(path, log)
    read = records.read(path)
    assert [record["value"] for record in read] == [None] * 4 + [0.5, 3, 0.25]
    assert read[4] == ACCURACY | {
        "seed": 4, "value": 0.5, "interval": [0.5, 1], "rank": 2, "features": {"n": 3}
    }  # fmt: skip


def test_write_refuses_a_record_that_lacks_a_field(path):
    with pytest.raises(KeyError):
        records.write(path, [{"seed": 0, "generation": 1, "metric": "accuracy", "value": 1}])
    assert not path.exists()


def test_log_keeps_the_reason_of_what_is_missing_and_the_caveat_of_what_is_not():
    log = records.Log(2, 5)
    log.add("lenet", "di", np.nan, "zero_accuracy", caveat="classes_left_out", interval=(0, 1))
    log.add("lenet", "di", np.float32(0.5), "zero_accuracy", caveat="classes_left_out")
    log.add("lenet", "accuracy", True, interval=np.array([0.25, 0.75]), rank=1, group=None)
    log.add("lenet", "accuracy", 0.5, interval=(0.1, np.nan), **{"class": 3}, features={"n": 1})
    start = {"seed": 2, "generation": 5, "subject": "lenet"}
    assert log.records == [
        start | {"metric": "di", "value": None, "reason": "zero_accuracy"},
        start | {"metric": "di", "value": 0.5, "caveat": "classes_left_out"},
        start | {"metric": "accuracy", "value": 1.0, "interval": (0.25, 0.75), "rank": 1},
        start | {"metric": "accuracy", "value": 0.5, "class": 3, "features": {"n": 1}},
    ]


def test_what_a_log_gathers_can_be_read(path):
    log = records.Log(0, 1)
    log.add("lenet", "loss", 0.5, epoch=1, split="training")
    log.add("lenet", "accuracy", np.nan, "classifier_diverged", rank=1)
    records.write(path, log.records)
    assert records.read(path) == log.records


def test_later_line_wins_in_the_place_of_the_first(path):
    lines = [ACCURACY, GROUP, ACCURACY | {"value": 0.5}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert records.read(path) == [ACCURACY | {"value": 0.5}, GROUP]


def test_torn_last_line_is_left_out_wherever_it_tears(path):
    whole = json.dumps(GROUP).encode()
    for cut in range(1, len(whole)):
        path.write_bytes(json.dumps(ACCURACY).encode() + b"\n" + whole[:cut])
        assert records.read(path) == [ACCURACY], cut
    path.write_bytes(json.dumps(ACCURACY).encode() + b"\n" + whole)  # lacks its newline alone
    assert records.read(path) == [ACCURACY, GROUP]


@pytest.mark.parametrize(
    "broken",
    ['{"seed": 0, "gen', "[1, 2]", "3", '{"seed": 0}', '{"seed": NaN}', {"seed": "0"},
     {"seed": True}, {"value": [1]}, {"value": "no rate"}, {"value": True}, {"group": 0.5},
     {"network": 1}, {"rank": "1"}, {"epoch": None}, {"reason": "because"},
     {"caveat": "empty_cell"}, {"interval": [0.5]}, {"interval": ["a", "b"]}, {"features": 84}],
)  # fmt: skip
def test_any_other_broken_line_is_refused_by_file_and_line(path, broken):
    line = broken if isinstance(broken, str) else json.dumps(ACCURACY | broken)
    # Broken, but ended by a newline: no kill did that, wherever in the file it is.
    for lines in ([json.dumps(ACCURACY), line, json.dumps(GROUP)], [json.dumps(ACCURACY), line]):
        path.write_text("".join(f"{text}\n" for text in lines))
        with pytest.raises(InputError) as refusal:
            records.read(path)
        assert f"{path}:2" in str(refusal.value)


def test_missing_file_is_refused(path):
    with pytest.raises(InputError, match=r"records\.jsonl"):
        records.read(path)


def test_merge_overwrites_in_place_and_appends_in_order():
    newer, later = GROUP | {"value": 0.1}, ACCURACY | {"generation": 2}
    old = [ACCURACY, GROUP, MISSING]
    assert records.merge(old, [later, newer]) == [ACCURACY, newer, MISSING, later]
    assert old == [ACCURACY, GROUP, MISSING]
    assert records.merge([], [ACCURACY, ACCURACY]) == [ACCURACY]
    assert len(records.merge([ACCURACY], [ACCURACY | {"rank": 1}, ACCURACY | {"rank": 2}])) == 3


def test_frame_has_a_row_a_record_and_says_what_is_absent():
    features = {"n": 3}
    log = [ACCURACY | {"interval": [0.9, 1], "features": features}, GROUP, MISSING, MEAN]
    table = records.frame(log)
    assert list(table.columns) == [
        *records.KEY, "value", "low", "high", "reason", "caveat", "features"
    ]  # fmt: skip
    np.testing.assert_array_equal(table.value, [0.97, 0.97, np.nan, 0.97])
    np.testing.assert_array_equal(table.low, [0.9, np.nan, np.nan, np.nan])
    assert table["class"].tolist() == [pd.NA, 3, pd.NA, pd.NA] and table.group[1] == 1
    assert table.reason.tolist() == [None, None, "zero_accuracy", None]
    assert table.caveat[3] == "classes_left_out" and table.network.isna().all()
    assert table.features[0] == features and table.metric[1] == "group_accuracy"
    assert len(table[table["class"].eq(3).fillna(False)]) == 1


def test_frame_has_the_same_types_whatever_is_in_it(path):
    types = records.frame([]).dtypes
    for log in ([MISSING], [GROUP, ACCURACY], [ACCURACY | {"value": 1, "network": "lenet"}]):
        records.write(path, log)
        pd.testing.assert_series_equal(records.frame(records.read(path)).dtypes, types)
    assert str(types["rank"]) == "Int64" and str(types["value"]) == "float64"


def test_a_write_that_fails_leaves_the_old_log_and_no_other_file(path, monkeypatch):
    records.write(path, [ACCURACY])

    def fail(*_):
        raise OSError("disk full")

    for broken in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="disk full"):
                records.write(path, [GROUP])
        assert records.read(path) == [ACCURACY]
        assert [p.name for p in path.parent.iterdir()] == ["records.jsonl"]


def test_the_log_is_synced_before_it_takes_the_old_one_s_place(path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        os, "replace", lambda a, b: (calls.append(("replace", a.parent, b)), replace(a, b))
    )
    records.write(path, [ACCURACY])
    assert calls == ["fsync", ("replace", path.parent, path)]

import json

import pytest

from jaxloop import config, devices
from jaxloop.errors import InputError
from jaxloop.loop.state import Cursor
from jaxloop.run import progress, workdir

SPEC = config.resolve({})
CHANGED = {"classifiers": ("lenet",)}
DESCRIPTION = {"data": {"crc32": "1234", "num_train": 3}}


def claimed(path):
    workdir.claim(path).close()
    return path


def test_a_second_process_is_refused_while_the_first_runs(tmp_path):
    lock = workdir.claim(tmp_path / "w")
    with pytest.raises(InputError, match="no other run is going on"):
        workdir.claim(tmp_path / "w")
    lock.close()
    claimed(tmp_path / "w")


def test_a_refused_second_process_leaves_the_first_ones_half_written_files(tmp_path):
    lock = workdir.claim(tmp_path / "w")
    half = tmp_path / "w" / "samples" / ".g01_s0.png.1.tmp"
    half.write_text("half")
    with pytest.raises(InputError):
        workdir.claim(tmp_path / "w")
    assert half.exists()
    lock.close()


def test_the_first_start_stays_what_it_was(tmp_path, monkeypatch):
    path = claimed(tmp_path / "w")
    workdir.describe(path, SPEC, DESCRIPTION)
    first = json.loads((path / "config.json").read_text())
    workdir.describe(path, SPEC, DESCRIPTION)
    assert json.loads((path / "config.json").read_text()) == first
    monkeypatch.setattr(workdir, "_git_commit", lambda: "another")
    for _ in range(2):
        workdir.describe(path, SPEC, DESCRIPTION)
    now = json.loads((path / "config.json").read_text())
    assert [start["git_commit"] for start in now.pop("resumed")] == ["another"] and now == first
    assert config.resolve(now["config"]) == SPEC


def test_another_machine_is_said(tmp_path, monkeypatch, capsys):
    path = claimed(tmp_path / "w")
    workdir.describe(path, SPEC, DESCRIPTION)
    monkeypatch.setattr(workdir, "_git_commit", lambda: "another")
    workdir.describe(path, SPEC, DESCRIPTION)
    assert not capsys.readouterr().err
    monkeypatch.setattr(devices, "cores", lambda: 1234)
    for _ in range(2):
        workdir.describe(path, SPEC, DESCRIPTION)
    err = capsys.readouterr().err
    assert err.count("this run began with device cpu") == 1 and "1234 cores: rounding" in err


def test_images_may_move_but_not_those_that_measures_compare_with(tmp_path):
    path = claimed(tmp_path / "w")
    data = {**DESCRIPTION["data"], "num_compared": 3}
    workdir.describe(path, SPEC, {"data": data})
    moved = config.resolve({"data": {"memory": "host"}})
    with pytest.raises(InputError, match="compare with 3 real images, not 2: data.memory"):
        workdir.describe(path, moved, {"data": {**data, "num_compared": 2}})
    workdir.describe(path, moved, {"data": data})


def test_other_configuration_other_data_and_lost_configuration_are_refused(tmp_path):
    path = claimed(tmp_path / "w")
    workdir.describe(path, SPEC, DESCRIPTION)
    other = config.resolve(
        {"seeds": (5,), "filter": {"drop": 0.5}, "checkpoint": {"every_seconds": 1}}
    )
    with pytest.raises(InputError) as error:
        workdir.describe(path, other, DESCRIPTION)
    assert "differ: filter.drop (0.1 there, 0.5 now)" in str(error.value)
    assert "every_seconds" not in str(error.value)
    with pytest.raises(InputError, match="data set has changed"):
        workdir.describe(path, SPEC, {**DESCRIPTION, "data": {"crc32": "9"}})
    with pytest.raises(InputError, match="those of networks have changed"):
        workdir.describe(path, SPEC, {**DESCRIPTION, "networks": {"inception": {"sha256": "9"}}})
    (path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        workdir.describe(path, SPEC, DESCRIPTION)
    (path / "config.json").unlink()
    (path / "checkpoints" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"checkpoints and no config\.json"):
        workdir.describe(path, SPEC, DESCRIPTION)


def test_seeds_are_added_and_none_is_lost(tmp_path):
    path = claimed(tmp_path / "w")

    def describe(**changes):
        cohorts = workdir.describe(path, config.resolve({**CHANGED, **changes}), DESCRIPTION)
        content = json.loads((path / "config.json").read_text())
        assert content["config"]["seeds"] == list(sum(cohorts, ()))
        assert content["cohorts"] == [list(seeds) for seeds in cohorts]
        return cohorts, content["config"]["answer"]

    assert describe(seeds=(1, 0))[0] == [(1, 0)]
    assert describe(seeds=(0, 4, 1))[0] == [(1, 0), (4,)]
    with pytest.raises(InputError, match=r"config.seeds=\(0, 1\) .* include 4, which .*/w has"):
        describe(seeds=(0, 1))
    # Seeds that answer.width added are not on the command line of the next start.
    cohorts, answer = describe(seeds=(0, 1), answer={"width": 0.04, "max_seeds": 9})
    assert cohorts == [(1, 0), (4,)] and (answer["width"], answer["max_seeds"]) == (0.04, 9)
    assert describe(seeds=(2,), answer={"width": 0.04})[0] == [(1, 0), (4,), (2,)]


def test_leftovers_of_a_cut_write_are_swept(tmp_path):
    path = claimed(tmp_path / "w")
    (path / "samples" / ".g01_s0.png.1.tmp").write_text("half")
    claimed(path)
    assert not list((path / "samples").iterdir())


def test_timing_survives_a_torn_line(tmp_path):
    file = tmp_path / "timing.jsonl"
    progress.Timing(file).add(0, "measure", 2.0)
    file.write_text(file.read_text() + '{"generation": 1, "st')
    timing = progress.Timing(file)
    assert timing.last == {"measure": 2.0}
    timing.add(1, "generator", 3.0)
    assert [json.loads(line)["stage"] for line in file.read_text().splitlines()] == [
        "measure",
        "generator",
    ]


def test_time_left(monkeypatch):
    stages, now = ("generator", "measure"), [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = progress.Progress(stages, 3, Cursor(1, 0, 0), last={})
    assert "known after generation 1" in bar._left(Cursor(1, 0, 0))
    now[0] = 10.0
    assert bar.stage_done(Cursor(1, 0, 0)) == ("generator", 10.0)
    now[0] = 12.0
    bar.stage_done(Cursor(1, 1, 0))
    assert bar._left(Cursor(2, 0, 0)) == ", about 00:24 left"
    now[0] = 15.0
    assert bar._left(Cursor(2, 0, 4)) == ", about 00:21 left"
    assert (
        progress.Progress(stages, 3, Cursor(2, 1, 0), last=bar.last)._left(Cursor(2, 1, 0))
        == ", about 00:14 left"
    )
    bar.close()


def test_equal_files_in_another_place_go_on(tmp_path):
    path = claimed(tmp_path / "w")
    workdir.describe(path, SPEC, DESCRIPTION)
    moved = config.resolve({"measure": {"clip": "elsewhere"}})
    workdir.describe(path, moved, DESCRIPTION)
    described = json.loads((path / "config.json").read_text())
    assert [start["measure.clip"] for start in described["resumed"]] == ["elsewhere"]


def test_a_workdir_of_another_layout_is_refused(tmp_path):
    path = claimed(tmp_path / "w")
    workdir.describe(path, SPEC, DESCRIPTION)
    described = json.loads((path / "config.json").read_text())
    del described["layout"]
    (path / "config.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="layout of another version"):
        workdir.describe(path, SPEC, DESCRIPTION)

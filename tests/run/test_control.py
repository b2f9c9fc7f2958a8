"""Both arms in one workdir: the control arm is the run with the random filter, bit for bit, from
generation 0 on."""

import dataclasses
import json

import numpy as np
import pytest

from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.provenance import store
from jaxloop.run import driver
from jaxloop.spec import Filter
from tests.conftest import tiny

SMALL = {
    "loop.generations": 1,
    "classifiers": ("lenet",),
    "generator.epochs": 1,
    "measure.bootstrap": 0,
}


LEFT = {"provenance": ".jsonl", "images": ".png", "samples": ".png"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_control_equals_a_run_of_its_own(tmp_path, one_device):
    spec = tiny(**SMALL, **{"filter.control": True})
    driver.run(spec, tmp_path / "both")
    chance = Filter(name="random", drop=spec.filter.drop)
    driver.run(dataclasses.replace(spec, filter=chance), tmp_path / "random")
    control = tmp_path / "both" / "control"
    for file in ("records.jsonl", *(f"{folder}/g01_s1{end}" for folder, end in LEFT.items())):
        assert (control / file).read_bytes() == (tmp_path / "random" / file).read_bytes(), file
    ours, theirs = lines(tmp_path / "both" / "records.jsonl"), lines(control / "records.jsonl")
    first = [[r for r in log if r["generation"] == 0] for log in (ours, theirs)]
    assert first[0] == first[1] and ours != theirs
    described = json.loads((control / "config.json").read_text())
    assert described["config"]["filter"]["name"] == "random" and described["arm"] == "control"
    kept = [
        [line["kept"] for line in store.lines(path, 1, 0)] for path in (control, tmp_path / "both")
    ]
    assert sum(kept[0]) == sum(kept[1]) and kept[0] != kept[1]
    np.testing.assert_array_equal(
        store.pictures(control, 1, 0), store.pictures(tmp_path / "both", 1, 0)
    )
    real, pictures = store.real(tmp_path / "both")
    assert len(real) == len(pictures) == 1000 and {line["class"] for line in real} == set(range(10))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "random"}, "config.filter.control=True .* filter.name is random"),
        ({"name": "none"}, "config.filter.control=True .* filter.name is not none"),
        ({"drop": 0.0}, "config.filter.drop=0.0 .* filter.control is True"),
    ],
)
def test_arms_that_cannot_differ_are_refused(changes, says):
    with pytest.raises(InputError, match=says):
        config.resolve({"filter": {"control": True, **changes}})


def test_a_deleted_class_is_warned_of(capsys):
    record = {"seed": 3, "generation": 2, "subject": "filter", "metric": "deleted_classes"}
    driver._warn_of_deleted([{**record, "value": 0.0}, {**record, "value": None}], "runs/w")
    assert capsys.readouterr().err == ""
    driver._warn_of_deleted([{**record, "value": 4.0}], "runs/w")
    assert (
        "runs/w: generation 2, seed 3: the filter kept no image of 4 classes"
        in capsys.readouterr().err
    )

"""Records of classifiers can be made again from predictions/ alone."""

import json

import numpy as np
import pytest

from jaxloop import records
from jaxloop.evaluators import classification
from jaxloop.run import driver
from tests.conftest import tiny
from tests.run.test_arms import SMALL


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_a_run_leaves_predictions_from_which_its_records_come_again(tmp_path, one_device, capsys):
    driver.run(tiny(**SMALL | {"measure.bootstrap": 200}), tmp_path)
    with np.load(tmp_path / "predictions" / "g01.npz") as file:
        arrays = dict(file)
    assert arrays["lenet"].shape == (2, 360) and arrays["label"].shape == (360,)
    log = records.read(tmp_path / "records.jsonl")
    capsys.readouterr()
    assert classification.main([str(tmp_path)]) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = {records.key(r) for r in again}
    assert again == [r for r in log if records.key(r) in keys] and len(again) > 150
    metrics = {r["metric"] for r in log if r["subject"] == "lenet"}
    rest = {"epochs_trained", "validation_loss", "loss", "gradient_norm"}
    assert metrics - {r["metric"] for r in again} == rest

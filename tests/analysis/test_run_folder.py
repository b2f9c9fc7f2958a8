import json

import numpy as np
import pytest

from jaxloop.analysis import run_folder
from jaxloop.analysis.run_folder import Name, load
from jaxloop.errors import InputError
from jaxloop.provenance.store import LAYOUT


def test_predictions_are_read_by_generation(make_workdir, make_arms, full_log):
    folder = make_workdir()
    predictions = load(folder).predictions
    assert list(predictions) == [0, 1, 2, 3, 4]
    assert predictions[3].keys() == {"label", "group", "lenet", "alexnet"}
    assert predictions[3]["lenet"].shape == (3, 12) and predictions[3]["group"].shape == (12,)
    (folder / "predictions/g02.npz").unlink()
    assert list(load(folder).predictions) == [0, 1, 3, 4]
    assert list(load(make_arms(full_log)).arms["random"].predictions) == [0, 1, 2, 3, 4]
    (folder / "predictions/g03.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="g03.npz"):
        _ = load(folder).predictions


@pytest.mark.parametrize("layout", [None, LAYOUT - 1, LAYOUT + 1])
def test_another_layout_is_refused_in_one_line(make_workdir, layout):
    folder = make_workdir()
    config = json.loads((folder / "config.json").read_text()) | {"layout": layout}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="layout") as error:
        run_folder.load(folder)
    assert len(str(error.value).splitlines()) == 1


def test_tables_hold_the_values_of_the_log(make_workdir, full_log):
    log = [r for r in full_log if (r["seed"], r["generation"], r["metric"]) != (1, 2, "md")]
    run = run_folder.load(make_workdir(log))
    name = Name("lenet", "md")
    table = run.table(name)
    assert (list(table.index), list(table.columns)) == ([0, 1, 2], [0, 1, 2, 3, 4])
    assert np.isnan(table[2][1]) and table.isna().sum().sum() == 1
    for r in log:
        if (r["subject"], r["metric"]) == name[:2]:
            assert table[r["generation"]][r["seed"]] == r["value"]
    assert run.table(name, complement=True).equals(1 - table)
    assert len(run.rows(name)) == 14 and run.has(name) and not run.has(Name("lenet", "nothing"))
    assert run.table(Name("lenet", "nothing")).shape == (3, 0)


def test_names_are_unique_and_without_training_signals(make_workdir, full_log):
    run = run_folder.load(make_workdir())
    assert len(run.names) == len(set(run.names))
    assert Name("lenet", "accuracy", rank=1) in run.names and run.names[0][:2] == (
        "lenet",
        "accuracy",
    )
    assert all(type(part) in (str, int, type(None)) for name in run.names for part in name)
    assert not {name.metric for name in run.names} & {"loss", "gradient_norm"}
    signals = [r for r in full_log if "epoch" in r]
    assert run.training.value.tolist() == [r["value"] for r in signals]
    assert sum(len(run.rows(name)) for name in run.names) + len(signals) == len(full_log)

"""Controls whose answer is known, from the configs, in small: what is said of bias and accuracy.

In full: docs/experiments.md, "Controls".
"""

import json
import runpy
from pathlib import Path

import pytest

from jaxloop import config
from jaxloop.analysis import answers, shares
from jaxloop.analysis.run_folder import load
from jaxloop.run import driver

CONFIG = Path(__file__).parents[1] / "configs" / "digits.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Sharding info not provided"),
    pytest.mark.usefixtures("one_device"),
]


def played(path, variant: str, **changes):
    """Return (the run of a control with three seeds, its answers in report.json, its words)."""
    c = runpy.run_path(str(CONFIG))["get_config"](variant)
    c.seeds, c.measure.bootstrap, c.data.image_size = (0, 1, 2), 0, 12
    c.classifier.epochs = 20
    c.update_from_flattened_dict(changes)
    driver.run(config.resolve(c), path)
    told = json.loads((path / "report.json").read_text())
    (effect,) = [a for a in told["answers"] if a["primary"] and a["question"] == "effect"]
    assert effect["measure"] == answers.ALIGNMENT and effect["num_seeds"] == 3
    return load(path), effect, told


def test_a_planted_bias_grew_and_its_shares_are_recovered(tmp_path):
    run, effect, _ = played(tmp_path, "planted", **{"generator.minority": 0.3})
    assert effect["verdict"] == "grew" and effect["interval"][0] > 0
    # 0.79 of the set-aside images of a class have its commonest colour; others times 0.3 each time.
    for generation in (1, 2, 3):
        minority = 0.21 * 0.3**generation
        planted = 1 - minority / (minority + 0.79)
        # The standard error of a share of 3 x 1,550 images is below 0.005.
        assert shares.by_rarity(run, generation)[1] == pytest.approx(planted, abs=0.02)


def test_real_images_in_place_of_generated_ones_change_nothing(tmp_path):
    run, effect, told = played(tmp_path, "ideal")
    assert effect["verdict"] in ("no_change", "cannot_tell")
    low, high = effect["interval"]
    assert low < 0 < high
    gate = {check["metric"]: check["passed"] for check in told["gate"]}
    assert gate["imbalance"] and gate["recall"] and gate["coverage"], gate
    assert shares.excess(run) < 0.02


def test_a_collapse_of_accuracy_is_said(tmp_path):
    changes = {"generator.max_steps": 60, "loop.generations": 2}
    run, _, told = played(tmp_path, "collapse", **changes)
    (lost,) = told["accuracy"]
    assert lost["first"] - lost["last"] > 0.1
    text = (tmp_path / "report.html").read_text()
    assert f"fell from {lost['first']:.3f} to {lost['last']:.3f}" in text
    assert run.reached == 2

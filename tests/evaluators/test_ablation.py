"""Accuracy under ablations: through the loop, against classifiers asked by hand."""

import io
import json
from pathlib import Path

import jax
import numpy as np
import photographs
import pytest
from PIL import Image

from jaxloop import config, records
from jaxloop.analysis import run_folder
from jaxloop.classifiers import training
from jaxloop.data import hard_imagenet
from jaxloop.errors import InputError
from jaxloop.evaluators import ablation, classification
from jaxloop.loop.measuring import ABLATIONS
from jaxloop.metrics.ablations import gray_box, gray_object, tile_box
from jaxloop.predictions import DIVERGED, ablated
from jaxloop.records import Log
from jaxloop.report import figures, page
from jaxloop.run import build, driver
from tests.conftest import tiny
from tests.playing import play


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    root = tmp_path_factory.mktemp("hard_imagenet")
    images, masks = photographs.hard_imagenet_tree(root, num=4)
    hard_imagenet.prepare(images, masks, root / "index.json")
    return root / "index.json"


def spec_of(index: Path, **changes):
    fields = {"data.name": "hard_imagenet", "data.path": str(index), "data.image_size": 16}
    fields |= {"data.memory": "disk", "loop.generations": 1, "seeds": (0, 1)}
    fields |= {"classifiers": ("lenet",), "generator.batch_size": 16, "classifier.batch_size": 16}
    fields |= {"measure.evaluators": ("classification", "ablation")}
    return tiny(**fields | changes)


def test_accuracy_is_that_on_ablated_images(index):
    spec = spec_of(index, **{"loop.generations": 0})
    experiment = build.build(spec, devices=jax.devices()[:1])[0]
    state, log = play(experiment)
    test, trainer = experiment.constants.test, experiment.trainers["lenet"]
    image, mask = np.asarray(test.image) / np.float32(255), np.asarray(test.annotations["masks"])
    rows = [r for r in log if "ablation" in r]
    assert len(rows) == 2 * 3  # seeds, ablations
    by_hand = {"object": gray_object, "box": gray_box, "tile": tile_box}
    for seed in (0, 1):
        best = state.classifiers["lenet"][seed].best
        for name, function in by_hand.items():
            x = 255 * function(image, mask)
            classes = np.asarray(training.logits(trainer, best, x)).argmax(axis=1)
            (row,) = [
                r for r in rows if (r["seed"], r["generation"], r["ablation"]) == (seed, 0, name)
            ]
            assert row["value"] == (classes == np.asarray(test.label)).mean()
            kept = np.asarray(state.predictions[ablated("lenet", name)][seed])
            np.testing.assert_array_equal(kept, classes)
    assert len({r["value"] for r in rows}) > 1


def test_a_data_set_without_masks_is_refused():
    spec = tiny(**{"measure.evaluators": ("classification", "ablation")})
    with pytest.raises(InputError, match="ablation needs masks, which this data set lacks"):
        build.build(spec, devices=jax.devices()[:1])


def test_a_classifier_that_diverged_has_no_value():
    log, gone = Log(0, 1), np.full(4, DIVERGED)
    predicted = {"lenet": gone, **{ablated("lenet", name): gone for name in ABLATIONS}}
    ablation.add(log, ("lenet",), predicted, np.zeros(4, int))
    assert [(r["value"], r["reason"]) for r in log.records] == [(None, "classifier_diverged")] * 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_a_run_leaves_predictions_a_picture_and_a_figure(index, tmp_path, one_device):
    spec = spec_of(index, arms=("no_loop",))
    driver.run(spec, tmp_path)
    for folder in (tmp_path, tmp_path / "arms" / "no_loop"):
        written = records.read(folder / "records.jsonl")
        again = [json.loads(json.dumps(record)) for record in classification.again(folder)]
        assert len([r for r in again if "ablation" in r]) == 2 * 2 * 3
        assert all(record in written for record in again)
    picture = Image.open(io.BytesIO((tmp_path / "samples" / "ablated.png").read_bytes()))
    assert picture.size == (4 * 32, 15 * 32)  # whole and three ablations; 16 pixels, twice
    run = run_folder.load(tmp_path)
    panels = figures.ablations(run)
    assert [panel.scale for panel in panels] == ["object", "box", "tile"]
    assert all(len(line.points) == 2 for panel in panels for line in panel.lines)
    html = page.build(tmp_path)
    assert 'id="ablations"' in html and "Ablated test images" in html
    assert "each class is a group" in html


def test_configs_of_photographs_resolve(tmp_path):
    for name, variants in (
        ("hard_imagenet", ("finetuned", "head", "scratch")),
        ("breeds", ("living17", "entity13_scratch", "nonliving26_finetuned", "scratch")),
        ("tiny_breeds", ("",)),
    ):
        source: dict = {}
        path = Path(__file__).parents[2] / "configs" / f"{name}.py"
        exec(compile(path.read_text(), str(path), "exec"), source)
        for variant in variants:
            spec = config.resolve(source["get_config"](variant))
            assert spec.data.name in ("hard_imagenet", "living17", "entity13", "nonliving26")
        with pytest.raises(InputError, match="the variant after"):
            source["get_config"]("wrong")

"""All seven networks through the whole loop, on real pictures in folders."""

import tarfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import classifiers, config
from jaxloop.classifiers import pretrained
from jaxloop.devices import to_host
from jaxloop.loop import advance, stages
from jaxloop.run import build
from jaxloop.spec import Spec
from tests.playing import play

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10_folders.tar"
TRAIN, TEST = 14, 6  # pictures of each subgroup


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A part of the real set: 5 classes of 2 subgroups, a few pictures of each."""
    if not REAL.exists():
        pytest.skip(f"{REAL.name} is not here")
    root = tmp_path_factory.mktemp("pictures")
    with tarfile.open(REAL) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        taken: dict[str, int] = {}
        for member in members:
            folder = str(Path(member.name).parent)
            taken[folder] = taken.get(folder, 0) + 1
            if taken[folder] <= (TRAIN if "/train/" in folder else TEST):
                archive.extract(member, root, filter="data")
    return root / "cifar10_folders"


def spec_of(pictures: Path, **changes) -> Spec:
    c = config.default()
    c.seeds = (0,)
    c.data.name, c.data.path, c.data.image_size = "folder", str(pictures), 32
    c.loop.generations = 1
    c.generator.epochs, c.generator.width, c.generator.batch_size = 1, 4, 32
    c.classifier.epochs, c.classifier.width, c.classifier.batch_size = 1, 0.1, 32
    c.classifier.augment = "crop_flip"
    c.update_from_flattened_dict(changes)
    return config.resolve(c)


def records_of(spec: Spec) -> list[dict]:
    return play(build.build(spec, devices=jax.devices()[:1])[0])[1]


@pytest.mark.slow
@pytest.mark.usefixtures("shallow")
def test_every_network_is_trained_and_measured(pictures):
    changes = {"classifiers": classifiers.NAMES}
    changes |= {"measure.evaluators": ("classification", "training")}
    records = records_of(spec_of(pictures, **changes))
    for name in classifiers.NAMES:
        for generation in (0, 1):
            mine = [r for r in records if (r["subject"], r["generation"]) == (name, generation)]
            values = {
                r["metric"]: r["value"]
                for r in mine
                if not {"group", "class", "rank", "epoch"} & r.keys()
            }
            assert values["diverged"] == 0 and values["epochs_trained"] == 1
            assert 0 <= values["accuracy"] <= 1 and 0 <= values["md"] <= 1
            groups = [r for r in mine if r["metric"] == "group_accuracy" and "class" in r]
            assert len(groups) == 10 and all(
                r["value"] * TEST == pytest.approx(round(r["value"] * TEST)) for r in groups
            )


@pytest.mark.slow
def test_mc_dropout_filters_by_a_classifier_that_has_dropout(pictures):
    changes = {
        "filter.name": "mc_dropout",
        "filter.drop": 0.3,
        "filter.passes": 4,
        "filter.classifier": "alexnet",
    }
    records = records_of(spec_of(pictures, classifiers=("lenet", "alexnet"), **changes))
    (rate,) = [
        r["value"]
        for r in records
        if r["metric"] == "drop_rate" and not {"class", "group", "rarity"} & r.keys()
    ]
    assert 0.3 <= rate < 0.5
    assert np.isfinite([r["value"] for r in records if r["metric"] == "label_agreement"]).all()


@pytest.mark.slow
def test_a_run_starts_from_pretrained_weights(pictures, tmp_path):
    module = classifiers.create("mobilenet_v3_small", 1000)
    variables = jax.jit(
        lambda: module.init(jax.random.key(9), jnp.zeros((1, 224, 224, 3)), train=False)
    )()
    path = tmp_path / "weights.safetensors"
    variables = jax.tree.map(np.asarray, variables)
    pretrained.write(
        path, pretrained.Weights("", "mobilenet_v3_small", 1000, "made here", "0" * 64, variables)
    )
    changes = {
        "classifier.pretrained": (str(path),),
        "classifier.stem": "imagenet",
        "classifier.width": 1.0,
    }
    spec = spec_of(pictures, seeds=(0, 1), classifiers=("mobilenet_v3_small",), **changes)
    experiment, description = build.build(spec, devices=jax.devices()[:1])
    assert description["pretrained"]["mobilenet_v3_small"]["sha256"] == "0" * 64
    assert description["pretrained"]["mobilenet_v3_small"]["source"] == "made here"
    stage = stages.classifier_stage(experiment, "mobilenet_v3_small")
    seeds = advance.seeds_on_devices(experiment)
    nothing = [() for _ in seeds]
    states = stage.functions["start"](nothing, seeds, experiment.constants, np.int32(0))
    heads = []
    for state in to_host(states):
        params = dict(state.variables["params"])
        heads.append(params.pop("head")["kernel"])
        wanted = {name: x for name, x in variables["params"].items() if name != "head"}
        jax.tree.map(np.testing.assert_array_equal, params, wanted)
        statistics = state.variables["batch_stats"]
        jax.tree.map(np.testing.assert_array_equal, statistics, variables["batch_stats"])
        assert heads[-1].shape == (1024, 5)
    assert not np.array_equal(*heads)

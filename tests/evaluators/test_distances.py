"""Distances in the features of networks, through the loop: what is recorded, and what the records say of themselves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import records
from jaxloop.evaluators import distances, measure
from jaxloop.features import inception
from jaxloop.features.network import Network
from jaxloop.records import Log
from jaxloop.run import build as setup
from tests.conftest import tiny
from tests.loop.playing import play

D = 500  # more features than images are kept


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Records of generations 0 and 1 with a network (random projections of pixels) beside the reference."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    spec = tiny(**{"loop.generations": 1, "measure.bootstrap": 200, "classifiers": ("lenet",)})
    parts = setup.build(spec, devices=jax.devices()[:1])[0]
    weight = np.random.default_rng(0).normal(size=(12 * 12 * 3, D)).astype(np.float32) / 255
    apply = lambda w, image: image.reshape(image.shape[0], -1).astype(jnp.float32) @ w  # noqa: E731
    network = Network("inception", D, "tf", inception.SHA256, weight, apply)
    parts = distances.embed_real(parts._replace(networks={"inception": network}))
    patch.undo()
    return parts, measure.of_data(parts) + play(parts)[1]


def of(log, metric, **where):
    return [
        r
        for r in log
        if r["metric"] == metric and all(r.get(name) == value for name, value in where.items())
    ]


def test_every_distance_is_recorded_for_every_network_seed_and_class(log):
    parts, log = log
    for name, network in (("fd_lenet", "lenet"), ("fid", "inception")):
        whole = [r for r in of(log, name) if "class" not in r]
        assert [(r["seed"], r["generation"]) for r in whole] == [(0, 1), (1, 1)]
        assert all(r["value"] > 0 for r in whole)
        assert len(of(log, name)) == 2 * (1 + parts.num_classes)
        for measure_ in ("kid", "kid_std", "precision", "recall", "density", "coverage"):
            found = of(log, f"{measure_}_{network}")
            assert len(found) == 2 and all(np.isfinite(r["value"]) for r in found)
        variance = of(log, f"feature_variance_{network}", subject="real", generation=0)
        assert len(variance) == 2 and all(r["value"] > 0 for r in variance)


def test_a_distance_says_what_it_was_measured_on(log):
    parts, log = log
    (first, *_) = of(log, "fid", seed=0)
    assert first["features"] == {
        "n": parts.kept, "n_real": len(parts.train.label), "d": D, "resize": "tf", "sha256": inception.SHA256
    }  # fmt: skip
    (reference, *_) = of(log, "fd_lenet", seed=0)
    assert reference["features"] == first["features"] | {"d": 84, "resize": "none", "sha256": None}
    by_class = of(log, "fid", seed=0)[1:]
    assert sum(r["features"]["n"] for r in by_class) == parts.kept
    assert [r["class"] for r in by_class] == list(range(parts.num_classes))


def test_fewer_images_than_features_is_warned_of(log):
    parts, log = log
    notes = of(log, "fid_note")
    assert len(notes) == 2 * (1 + parts.num_classes) and all(
        "500 features" in r["value"] for r in notes
    )
    assert not [r for r in of(log, "fd_lenet_note") if "class" not in r]  # 84 features


def test_only_the_published_weights_give_the_fid(log):
    parts, _ = log
    network = dataclasses.replace(parts.networks["inception"], sha256="ab" * 32)
    other = Log(0, 1)
    distances.add(
        other,
        parts._replace(networks={"inception": network}),
        "inception",
        None,
        None,
        "nothing was made",
    )
    names = {r["metric"] for r in other.records}
    assert "fd_inception" in names and "fid" not in names
    assert len(of(other.records, "fd_inception", value=None)) == 1 + parts.num_classes
    assert (
        len(of(other.records, "fd_inception_note", value="nothing was made"))
        == 1 + parts.num_classes
    )


def test_classifiers_measures_carry_their_interval(log):
    _, log = log
    for metric in ("accuracy", "meo", "md", "acc_rank_1"):
        found = of(log, metric, subject="lenet")
        assert len(found) == 4
        for r in found:
            low, high = r["interval"]
            assert low <= r["value"] + 0.1 and r["value"] - 0.1 <= high and low <= high


def test_the_log_comes_back_from_disk_as_it_was(log, tmp_path):
    _, log = log
    records.write(tmp_path / "records.jsonl", log)
    again = records.read(tmp_path / "records.jsonl")
    assert [r.get("features") for r in again] == [r.get("features") for r in log]
    assert [r.get("interval") for r in again] == [
        r.get("interval") and list(r["interval"]) for r in log
    ]

"""Distances in the features of networks, through the loop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop import records
from jaxloop.evaluators import distances
from jaxloop.features import inception
from jaxloop.features.network import Network
from jaxloop.records import Log
from jaxloop.run import build
from tests.conftest import tiny
from tests.playing import play

D = 500  # more features than images are kept
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Records of generations 0 and 1 with a network (random projections) beside the reference."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    spec = tiny(**{"loop.generations": 1, "measure.bootstrap": 200, "classifiers": ("lenet",)})
    experiment = build.build(spec, devices=jax.devices()[:1])[0]
    weight = np.random.default_rng(0).normal(size=(12 * 12 * 3, D)).astype(np.float32) / 255
    apply = lambda w, image: image.reshape(image.shape[0], -1).astype(jnp.float32) @ w  # noqa: E731
    network = Network("inception", D, "tf", inception.SHA256, weight, apply)
    experiment = experiment._replace(networks={"inception": network})
    log = play(experiment)[1]
    patch.undo()
    return experiment, log


def rows(log, metric, **where):
    return [
        r for r in log if r["metric"] == metric and all(r.get(k) == v for k, v in where.items())
    ]


def test_every_distance_is_recorded_for_every_network_seed_and_class(run):
    experiment, log = run
    for metric, network in (("frechet_distance", "lenet"), ("fid", "inception")):
        whole = [r for r in rows(log, metric, network=network) if "class" not in r]
        assert [(r["seed"], r["generation"]) for r in whole] == [(0, 1), (1, 1)]
        assert all(r["value"] > 0 for r in whole)
        assert len(rows(log, metric, network=network)) == 2 * (1 + experiment.num_classes)
        for paired in distances.PAIRED:
            values = [r["value"] for r in rows(log, paired, network=network)]
            assert len(values) == 2 and np.isfinite(values).all()
        variance = rows(log, "feature_variance", network=network, subject="real", generation=0)
        assert len(variance) == 2 and all(r["value"] > 0 for r in variance)


def test_a_distance_says_what_it_was_measured_on(run):
    experiment, log = run
    kept = experiment.num_kept
    whole, *by_class = rows(log, "fid", seed=0)
    facts = {"d": D, "resize": "tf", "sha256": inception.SHA256}
    assert whole["features"] == {"n": kept, "n_real": experiment.num_real, **facts}
    (reference, *_) = rows(log, "frechet_distance", seed=0)
    facts = {"d": 84, "resize": "none", "sha256": None}
    assert reference["features"] == whole["features"] | facts
    assert sum(r["features"]["n"] for r in by_class) == kept
    assert [r["class"] for r in by_class] == list(range(experiment.num_classes))


def test_fewer_images_than_features_is_a_caveat(run):
    _, log = run
    assert {r["caveat"] for r in rows(log, "fid")} == {"rank_deficient"}
    whole = [r for r in rows(log, "frechet_distance") if "class" not in r]
    assert not any("caveat" in r for r in whole)  # 84 features


def test_only_the_published_weights_give_the_fid(run):
    experiment, _ = run
    network = dataclasses.replace(experiment.networks["inception"], sha256="ab" * 32)
    log = Log(0, 1)
    distances._add(log, "inception", network, None, None, experiment, "generator_diverged")
    assert not rows(log.records, "fid")
    empty = rows(log.records, "frechet_distance", value=None, reason="generator_diverged")
    assert len(empty) == 1 + experiment.num_classes


def test_a_resumed_run_measures_against_the_same_real_features(run):
    """They are not saved: a new process makes them again from the reference."""
    experiment, log = run
    built = None
    state, first = play(experiment, built, calls=2, count=10**6)
    _, second = play(experiment, built, state)
    assert first + second == log


def test_classifiers_measures_carry_their_interval(run):
    _, log = run
    for metric in ("accuracy", "meo", "md"):
        for r in rows(log, metric, subject="lenet", rank=None):
            low, high = r["interval"]
            assert low <= r["value"] + 0.1 and r["value"] - 0.1 <= high and low <= high


def test_the_log_comes_back_from_disk_as_it_was(run, tmp_path):
    _, log = run
    records.write(tmp_path / "records.jsonl", log)
    again = records.read(tmp_path / "records.jsonl")
    assert [records.key(r) for r in again] == [records.key(r) for r in log]
    assert [r.get("features") for r in again] == [r.get("features") for r in log]
    pairs = [r.get("interval") and list(r["interval"]) for r in log]
    assert [r.get("interval") for r in again] == pairs

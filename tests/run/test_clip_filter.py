"""The paper's second strategy through the loop: a tiny CLIP of random weights, and the
uncertainty."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.stats import rankdata

from jaxloop.devices import to_host
from jaxloop.run import build
from tests.conftest import tiny
from tests.features.test_clip_score import folder  # noqa: F401
from tests.playing import play
from tests.run.test_arms import SMALL

WEIGHTED = {
    "filter.name": "clip_uncertainty",
    "filter.template": "a photo of a {}",
    "filter.weights": (2.0, 1.0),
    "filter.drop": 0.9,
    "filter.ranking": "all",
    "loop.mix": 0.02,
}


@pytest.fixture(scope="module")
def built(folder):  # noqa: F811
    spec = tiny(**SMALL, **WEIGHTED, **{"filter.clip": str(folder)})
    return build.build(spec, devices=jax.devices()[:1])


@pytest.mark.slow
def test_the_best_by_the_weighted_mean_of_ranks_are_kept(built):
    experiment, description = built
    assert len(description["networks"]["filter"]["sha256"]) == 64
    assert description["filter"]["experts"] == {"clip": 2, "uncertainty": 1}
    state, log = play(experiment)
    deleted = []
    for samples, selection in zip(to_host(state.samples), to_host(state.selection), strict=True):
        similarity = experiment.clip(experiment.constants.clip, samples.image, samples.label)
        # tens of thousands of products in float32, in batches of another size
        np.testing.assert_allclose(selection.by_expert["clip"], similarity, atol=1e-5)
        assert np.std(selection.by_expert["clip"]) > 1e-3
        assert np.std(selection.by_expert["uncertainty"]) > 1e-6
        ranks = [rankdata(selection.by_expert[name]) - 1 for name in ("clip", "uncertainty")]
        wanted = (2 * ranks[0] + ranks[1]) / 3 / (len(samples.label) - 1)
        np.testing.assert_allclose(selection.score, wanted, atol=1e-6)
        kept = selection.kept
        assert kept.sum() == experiment.num_kept == 30
        assert selection.score[kept].min() >= selection.score[~kept].max()
        deleted.append(10 - len(np.unique(samples.label[kept])))
    # thirty of three hundred are kept, whatever their class
    assert [r["value"] for r in log if r["metric"] == "deleted_classes"] == deleted
    assert min(deleted) > 0
    empty = [r for r in log if r["metric"] == "subgroup_share" and r.get("reason") == "no_images"]
    assert len(empty) == 3 * sum(deleted)
    rates = [r for r in log if r["metric"] == "drop_rate" and "class" in r and "group" not in r]
    assert len(rates) == 10 * len(deleted) and all("interval" in r for r in rates)


def test_other_weights_are_another_run(built):
    experiment, description = built
    spec = experiment.spec
    spec = dataclasses.replace(spec, filter=dataclasses.replace(spec.filter, template="{}"))
    other = build.build(spec, devices=jax.devices()[:1])[1]["networks"]["filter"]
    assert other["settings"] != description["networks"]["filter"]["settings"]

"""The paper's second strategy through the loop, with a tiny CLIP of random weights: CLIP's score and the uncertainty, by rank."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.stats import rankdata
from tests.loop.test_control import SMALL

from jaxloop.run import build as setup
from tests.conftest import tiny
from tests.features.test_clip_score import folder  # noqa: F401
from tests.loop.playing import play


@pytest.fixture(scope="module")
def parts(folder):  # noqa: F811
    filter_ = {
        "filter.name": "clip_uncertainty",
        "filter.clip": str(folder),
        "filter.template": "a photo of a {}",
    }
    spec = tiny(
        **SMALL,
        **filter_,
        **{
            "filter.weights": (2.0, 1.0),
            "filter.drop": 0.9,
            "filter.ranking": "all",
            "loop.mix": 0.02,
        },
    )
    return setup.build(spec, devices=jax.devices()[:1])


@pytest.mark.slow
def test_the_best_by_the_weighted_mean_of_ranks_are_kept(parts):
    parts, told = parts
    assert told["networks"]["filter"]["sha256"] == parts.clip.sha256
    assert any("clip 2, uncertainty 1" in note for note in told["notes"])
    state, records = play(parts)
    for i in range(len(parts.spec.seeds)):
        pending = jax.tree.map(lambda x: np.asarray(x[i]), state.pending)  # noqa: B023
        image, label, _ = pending.samples
        # tens of thousands of products in float32, in batches of another size
        np.testing.assert_allclose(
            pending.scores["clip"], parts.clip.apply(parts.clip.variables, image, label), atol=1e-5
        )
        assert (
            np.std(pending.scores["clip"]) > 1e-3 and np.std(pending.scores["uncertainty"]) > 1e-6
        )
        ranks = [rankdata(pending.scores[name]) - 1 for name in ("clip", "uncertainty")]
        wanted = (2 * ranks[0] + ranks[1]) / 3 / (len(label) - 1)
        np.testing.assert_allclose(pending.score, wanted, atol=1e-6)
        assert pending.kept.sum() == parts.kept == 30
        assert pending.score[pending.kept].min() >= pending.score[~pending.kept].max()
    deleted = [r["value"] for r in records if r["metric"] == "deleted_classes"]
    kept = np.asarray(state.pending.kept)
    gone = [
        10 - len(np.unique(np.asarray(state.pending.samples.label[i])[kept[i]]))
        for i in range(len(kept))
    ]
    assert (
        deleted == gone and min(gone) > 0
    )  # thirty of three hundred are kept, whatever their class
    notes = [r for r in records if r["metric"] == "subgroup_share_note" and r["generation"] == 1]
    assert len(notes) == 3 * sum(gone) and {r["value"] for r in notes} == {
        "no image of the class was kept"
    }
    by_class = [
        r for r in records if r["metric"] == "drop_rate" and "class" in r and "group" not in r
    ]
    assert len(by_class) == 10 * len(kept) and all("interval" in r for r in by_class)


def test_other_weights_are_another_run(parts, folder):  # noqa: F811
    first = parts[1]["networks"]["filter"]
    other = dataclasses.replace(parts[0].spec.filter, template="{}")
    spec = dataclasses.replace(parts[0].spec, filter=other)
    assert (
        setup.build(spec, devices=jax.devices()[:1])[1]["networks"]["filter"]["settings"]
        != first["settings"]
    )

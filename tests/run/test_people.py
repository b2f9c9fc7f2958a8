"""The filter that asks people: the run stops after sampling, and goes on with their votes."""

import numpy as np
import pytest

from jaxloop import filters
from jaxloop.errors import InputError, Waiting
from jaxloop.loop import advance, stages
from jaxloop.provenance import sheets, store, votes
from jaxloop.run import driver, people
from tests.conftest import tiny
from tests.run.test_arms import SMALL, lines

SPEC = {**SMALL, "seeds": (0,), "filter.name": "human", "filter.drop": 0.25}


def vote(path, line, verdict, rater="ada"):
    given = votes.Vote(
        "2026-01-01T00:00:00+00:00",
        rater,
        line["sha256"],
        line["class"],
        verdict,
        False,
        1,
        0,
        line["index"],
    )
    votes.append(path, given)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_a_run_waits_for_votes_and_goes_on_with_them(tmp_path, one_device):
    spec = tiny(**SPEC)
    with pytest.raises(
        Waiting, match=r"generation 1 .* 0 of 520 images have a vote, 520 must(.|\n)*jaxloop.review"
    ):
        driver.run(spec, tmp_path)
    waiting = store.lines(tmp_path, 1, 0)
    assert len(store.pictures(tmp_path, 1, 0)) == len(waiting) == 520
    assert {line["kept"] for line in waiting} == {None} and (tmp_path / "report.html").exists()
    before = (tmp_path / "records.jsonl").read_bytes()

    # A class of which every image is voted out, one of which a few are, and one about which two
    # people do not agree.
    verdicts = {line["index"]: "keep" for line in waiting}
    by_class = [[line["index"] for line in waiting if line["class"] == c] for c in range(10)]
    verdicts |= dict.fromkeys(by_class[0], "drop") | dict.fromkeys(by_class[1][-5:], "drop")
    for line in waiting[:-1]:
        vote(tmp_path, line, verdicts[line["index"]])
    with pytest.raises(Waiting, match="519 of 520"):
        driver.run(spec, tmp_path)
    assert (tmp_path / "records.jsonl").read_bytes() == before
    vote(tmp_path, waiting[-1], "drop")
    vote(tmp_path, waiting[-1], "undo")
    with pytest.raises(Waiting, match="519 of 520"):
        driver.run(spec, tmp_path)
    vote(tmp_path, waiting[-1], "keep")
    for index in by_class[2][:4]:
        vote(tmp_path, waiting[index], "drop", rater="eve")
    driver.run(spec, tmp_path)

    done = store.lines(tmp_path, 1, 0)
    kept = np.array([line["kept"] for line in done])
    assert kept.sum() == 390 and all(kept[index].sum() == 39 for index in by_class)
    assert not kept[by_class[1][-5:]].any() and not kept[by_class[2][:4]].any()
    assert {done[index]["score"] for index in by_class[2][:4]} == {0.0}
    of_filter = [
        r
        for r in lines(tmp_path / "records.jsonl")
        if r["subject"] == "filter" and "group" not in r
    ]
    value = {(r["metric"], r.get("class")): r["value"] for r in of_filter}
    assert value["voted_out_kept", None] == 39  # exactly S are kept, whatever was dropped
    assert value["drop_rate", 0] == 0.25 and value["deleted_classes", None] == 0


def test_people_must_see_the_images():
    with pytest.raises(InputError, match=r"config.loop.images=False .* filter.name is human"):
        tiny(**{"filter.name": "human", "loop.images": False})


@pytest.fixture
def waiting(tiny_experiment):
    """A filter that asks people for two images in five; seed 0 has black images, seed 1 white
    ones."""
    spec = tiny(**{"filter.name": "human", "filter.reviewed": 0.4})
    experiment = tiny_experiment._replace(spec=spec, filter=filters.create(spec.filter))
    state = advance.initial(experiment, stages.build(experiment))
    state.samples.image[1] = 255
    return experiment, state


def image(state, seed) -> dict:
    return {"sha256": sheets.sha256(state.samples.image[seed, 0]), "class": 0, "index": 0}


def test_every_seed_must_be_voted_on(waiting, tmp_path):
    experiment, state = waiting
    vote(tmp_path, image(state, 0), "drop")
    with pytest.raises(Waiting, match=r"440 of 880 images have a vote, 352 must, 176 of each seed"):
        people.votes_of(experiment, state, tmp_path)
    vote(tmp_path, image(state, 1), "keep")
    scores = people.votes_of(experiment, state, tmp_path)
    assert (scores[0] == -1).all() and (scores[1] == 1).all()


def test_nobody_is_asked_about_a_generator_that_diverged(waiting, tmp_path):
    experiment, state = waiting
    with pytest.raises(Waiting, match=r"0 of 440 images have a vote, 176 must\. "):
        one = state._replace(generator_diverged=np.array([True, False]))
        people.votes_of(experiment, one, tmp_path)
    both = state._replace(generator_diverged=np.array([True, True]))
    people.votes_of(experiment, both, tmp_path)

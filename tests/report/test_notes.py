"""The notes say how a run leaves the paper: each sentence where it holds, and only there."""

import re
from types import SimpleNamespace

import pytest

from jaxloop import config, filters
from jaxloop.report import rendering
from jaxloop.run import description


def notes(described=None, **changes) -> str:
    """Return the text of the notes of the default run with some fields changed."""
    c = config.default()
    c.update_from_flattened_dict(changes)
    spec = config.resolve(c)
    chosen = filters.create(spec.filter)
    experiment = SimpleNamespace(spec=spec, filter=chosen, filter_classifier="lenet")
    whole = {
        "data": {"num_train": 1000},
        "generation": {"generated": 340, "kept": 300, "capacity": 900, "fresh": 200},
        "filter": description.of_filter(experiment),
        **(described or {}),
    }
    run = SimpleNamespace(spec=config.to_dict(spec), config=whole)
    html = rendering.render("notes.html", run=run)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_seeds_that_came_later_are_named():
    text = notes({"cohorts": [[0, 1, 2], [4], [3]]}, **{"answer.width": 0.04})
    assert "interval of the effect is at most 0.04 wide for every classifier, up to 30" in text
    assert "they came in this order: 0, 1, 2; 4; 3." in text
    assert "came in this order" not in notes({"cohorts": [[0, 1, 2]]})


def test_class_shares_are_named_where_classes_are_unequal():
    def shares(cells, classes="even"):
        described = {"data": {"num_train": 1000, "train_cells": cells}}
        return notes(described, **{"loop.classes": classes})

    unequal = "a class has 40 to 90 real training images"
    assert f"evens out an unequal real set (loop.classes = even): {unequal}" in shares(
        [[50, 40], [40, 0]]
    )
    assert f"have the class shares of the real ones: {unequal}" in shares([[90], [40]], "as_real")
    assert "loop.classes" not in shares([[50], [45]])


def test_every_run_says_how_much_it_generates():
    assert "340 images are generated and 300 kept (mixing ratio 0.3 of 1000 real" in notes()
    assert "control arm" not in notes()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loop.policy": "replace"}, "Only the youngest generation's"),
        ({"loop.policy": "accumulate"}, "All generated images stay"),
        ({"loop.policy": "accumulate_subsample"}, "trains on 1000 images at most"),
        ({"loop.real": "none"}, "Real images are trained on in generation 0 and by the first"),
        ({"loop.real": "fresh"}, "is given 200 of the 1000 real training images, in turns"),
        ({"loop.real": "fresh"}, "From generation 5 on they come again."),
        ({"generator.truncation": 0.5}, "the latent vector is truncated at 0.5"),
        (
            {"generator.name": "resample", "generator.minority": 0.6, "data.held_out": 0.5},
            "the shares of minorities multiplied by 0.6 once more",
        ),
        ({"classifier.width": 0.25}, "alexnet: channels scaled by classifier.width = 0.25"),
        ({"classifier.image_size": 32}, "resized to 32x32"),
        ({"classifier.augment": "crop"}, "are shifted at random."),
        ({"classifier.augment": "crop_flip"}, "are shifted at random and mirrored."),
        ({"filter.name": "none"}, "Nothing is filtered."),
        ({"filter.ranking": "all"}, "may keep nothing of a class"),
        ({"filter.name": "mc_dropout"}, "last generation's lenet, over 20 passes"),
        ({"filter.name": "clip"}, "with the text “{}”"),
        (
            {"filter.name": "clip_uncertainty", "filter.weights": (2.0, 1.0)},
            "clip 2, uncertainty 1",
        ),
        ({"filter.name": "human"}, "the mean of people's votes"),
    ],
)
def test_a_sentence_stands_where_it_holds(changes, sentence):
    assert sentence not in notes()
    assert sentence in notes(**changes)


def test_original_networks_carry_no_note():
    changes = {"classifiers": ("lenet",), "classifier.width": 0.5}
    assert "classifier.width" not in notes(**changes)
    assert "classifier.stem" in notes() and "stem" not in notes(**{"classifier.stem": "imagenet"})


def test_weights_and_arms_are_named():
    weights = {"source": "<made> here", "sha256": "0" * 64, "num_classes": 3}
    text = notes({"pretrained": {"alexnet": weights}, "arm": "random"})
    assert "alexnet starts from &lt;made&gt; here (sha256 000000000000...)" in text
    assert "control arm" in text
    alone = notes({"arm": "no_loop"})
    assert "trained anew on the 1000 real training images alone" in alone
    assert "This is the arm other." in notes({"arm": "other"})

"""The experts that score generated images, and the filters that are made of them. A new expert is a line in `EXPERTS`.

An expert is `score(key, seen) -> float32 [n]`, higher = keep. A filter asks one expert, several, whose ranks it averages, or
none, and then drops nothing.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.filters import scores, select
from jaxloop.types import Array


class Seen(NamedTuple):
    """What experts look at. What no expert of the filter asks for is None.

    label: int32 [n], the classes that the images were asked to show, in turns (`select.labels`).
    logits: [n L], what last generation's classifier says of them; the log of its mean prediction where dropout was on.
    similarity: float32 [n] in [-1, 1], CLIP's, of an image and the text of its class.
    votes: float32 [n] in [-1, 1], the mean over people of 1 for keep and -1 for drop; NaN where nobody voted.
    """

    label: Array
    logits: Array | None
    similarity: Array | None
    votes: Array | None


CLASSIFIER, DROPOUT, CLIP, PEOPLE = "classifier", "classifier with dropout on", "clip", "people"


class Expert(NamedTuple):
    """score: see above; NaN where there is none. asks: whom (one of the words above), which is what must be there; None: nobody.
    missing: what an image without a score is ranked by."""

    score: Callable[[Array, Seen], Array]
    asks: str | None = None
    missing: float = -math.inf


EXPERTS: dict[str, Expert] = {
    "uncertainty": Expert(lambda key, seen: scores.negative_entropy(seen.logits), CLASSIFIER),
    "mc_dropout": Expert(lambda key, seen: scores.negative_entropy(seen.logits), DROPOUT),
    "clip": Expert(lambda key, seen: seen.similarity, CLIP),
    "human": Expert(lambda key, seen: seen.votes, PEOPLE, missing=0.0),  # between kept and dropped
    "random": Expert(lambda key, seen: scores.at_random(key, len(seen.label))),
}
FILTERS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in EXPERTS},
    "clip_uncertainty": ("clip", "uncertainty"),  # the paper's second strategy
    "none": (),
}
NAMES = tuple(FILTERS)


class Filter(NamedTuple):
    """experts: those that it asks, by name. weights: of their ranks, where it asks more than one. ranking: "class" or "all"."""

    experts: dict[str, Expert]
    weights: tuple[float, ...]
    ranking: str

    @property
    def drops(self) -> bool:
        """Whether it drops anything at all."""
        return bool(self.experts)

    def asks(self, *whom: str) -> bool:
        """Whether an expert of it asks any of these."""
        return any(expert.asks in whom for expert in self.experts.values())


def create(spec: config.Filter) -> Filter:
    """The filter that `spec` names. Raises InputError where there is none."""
    if spec.name not in FILTERS:
        raise InputError("config.filter.name", spec.name, NAMES)
    names = FILTERS[spec.name]
    weights = spec.weights if len(names) > 1 else (1.0,) * len(names)
    return Filter({name: EXPERTS[name] for name in names}, weights, spec.ranking)


class Scores(NamedTuple):
    """What a filter thinks of n images.

    score: float32 [n], higher = keep; never NaN.
    own: each expert's own, float32 [n], NaN where it has none.
    lost: bool [], nobody whose word counts could be asked; then `score` says nothing.
    """

    score: Array
    own: dict[str, Array]
    lost: Array


def score(chosen: Filter, key: Array, seen: Seen, num_classes: int, diverged: Array) -> Scores:
    """Asks the experts of a filter.

    Of one expert the score is that expert's; of several the weighted mean of their ranks, in [0, 1]: scores of different experts
    have no common unit, ranks have. Ranks are taken where the filter ranks: within a class, or over all.

    Args:
      diverged: bool [], of the classifier: its experts have no scores then, and are ranked without.
    """
    own, filled, weights = {}, [], []
    for (name, expert), weight in zip(chosen.experts.items(), chosen.weights, strict=True):
        gone = diverged & (expert.asks in (CLASSIFIER, DROPOUT))
        own[name] = jnp.where(gone, jnp.nan, expert.score(key, seen))
        filled.append(jnp.where(jnp.isnan(own[name]), expert.missing, own[name]))
        weights.append(jnp.where(gone, 0.0, weight))
    if not own:
        return Scores(scores.indifferent(len(seen.label)), own, jnp.bool_(False))
    total = sum(weights)
    if len(own) == 1:
        return Scores(filled[0], own, total == 0)
    groups = num_classes if chosen.ranking == "class" else 1
    # Places are halves of whole numbers: their sum is exact, and equal sums are equal on every backend.
    places = sum(
        weight * select.place(one, groups) for weight, one in zip(weights, filled, strict=True)
    )
    last = max(1, len(seen.label) // groups - 1)
    return Scores(places / (jnp.where(total > 0, total, 1.0) * last), own, total == 0)

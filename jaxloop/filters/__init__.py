"""The experts that score generated images, and the filters made of them.

A new expert is a line in `EXPERTS`; a filter of one expert has its name. An expert is
`score(key, evidence) -> float32 [n]`, higher = keep. A filter asks one expert, several, whose ranks
it averages, or none, and then drops nothing.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxloop import spec
from jaxloop.errors import InputError
from jaxloop.filters import select
from jaxloop.types import AnyArray, Array

IMAGES, CLASSIFIER, DROPOUT = "images", "classifier", "classifier with dropout on"
CLIP, PEOPLE = "clip", "people"


class Evidence(NamedTuple):
    """What experts are given. What no expert of the filter needs is None, but for the images.

    image: uint8 [n h w c].
    label: int32 [n], the classes that the images were asked to show.
    logits: [n L], of last generation's classifier; with dropout on, the log of its mean prediction.
    similarity: float32 [n] in [-1, 1], CLIP's, of an image and the text of its class.
    votes: float32 [n] in [-1, 1], the mean over people of 1 for keep and -1 for drop; NaN: no vote.
    """

    image: Array
    label: Array
    logits: Any = None
    similarity: Any = None
    votes: Any = None


def negative_entropy(logits: Array) -> Array:
    """Return minus the entropy of the predictive distribution, [n L] -> [n] in [-log L, 0], nats.

    The uncertainty of the paper's second strategy, from one forward pass. Where `logits` is the log
    of a mean over passes with dropout on, it is the predictive entropy of Gal & Ghahramani (2016).
    """
    log_probability = jax.nn.log_softmax(logits)
    return (jnp.exp(log_probability) * log_probability).sum(axis=-1)


class Expert(NamedTuple):
    """score: see above; NaN where there is none.  needs: which of the words above must be there.

    missing: what an image without a score is ranked by.
    """

    score: Callable[[Array, Evidence], Any]
    needs: str = IMAGES
    missing: float = -math.inf


EXPERTS: dict[str, Expert] = {
    "uncertainty": Expert(lambda key, given: negative_entropy(given.logits), CLASSIFIER),
    "mc_dropout": Expert(lambda key, given: negative_entropy(given.logits), DROPOUT),
    "clip": Expert(lambda key, given: given.similarity, CLIP),
    # missing: between kept and dropped
    "human": Expert(lambda key, given: given.votes, PEOPLE, missing=0.0),
    # uniform in [0, 1): the control of every filter
    "random": Expert(lambda key, given: jax.random.uniform(key, (len(given.label),))),
}
FILTERS: dict[str, tuple[str, ...]] = {
    "clip_uncertainty": ("clip", "uncertainty"),  # the paper's second strategy
    "none": (),
}


class Filter(NamedTuple):
    """experts: by name.  weights: of their ranks, if several.  ranking: "class" or "all"."""

    experts: dict[str, Expert]
    weights: tuple[float, ...]
    ranking: str

    @property
    def drops(self) -> bool:
        """Whether it drops anything at all."""
        return bool(self.experts)

    def needs(self, *evidence: str) -> bool:
        """Return whether an expert of it needs any of these."""
        return any(expert.needs in evidence for expert in self.experts.values())


def create(config: spec.Filter) -> Filter:
    """Return the filter that `config` names. Raises InputError where there is none."""
    names = FILTERS.get(config.name, (config.name,))
    if not set(names) <= EXPERTS.keys():
        raise InputError("config.filter.name", config.name, (*EXPERTS, *FILTERS))
    weights = config.weights if len(names) > 1 else (1.0,) * len(names)
    return Filter({name: EXPERTS[name] for name in names}, weights, config.ranking)


class Scores(NamedTuple):
    """What a filter thinks of n images.

    score: float32 [n], higher = keep; never NaN.
    by_expert: each expert's, float32 [n], NaN where it has none.
    unscored: bool [], no expert had a score; then `score` says nothing.
    """

    score: Array
    by_expert: dict[str, Array]
    unscored: Array


def ranked_together(chosen: Filter, label: AnyArray, num_classes: int) -> tuple[Any, int]:
    """Return which images a filter ranks together, int [n], and the number of such groups."""
    return (label, num_classes) if chosen.ranking == "class" else (jnp.zeros_like(label), 1)


def score(
    chosen: Filter, key: Array, evidence: Evidence, num_classes: int, diverged: Array
) -> Scores:
    """Score images by the experts of a filter.

    Of one expert the score is that expert's; of several the weighted mean of their ranks, in [0,
    1]: scores of different experts have no common unit, ranks have. Ranks are taken where the
    filter ranks: within a class, or over all.

    Args:
      diverged: bool [], of the classifier: its experts have no scores then, and do not count.
    """
    by_expert, filled, weights = {}, [], []
    for (name, expert), weight in zip(chosen.experts.items(), chosen.weights, strict=True):
        absent = diverged & (expert.needs in (CLASSIFIER, DROPOUT))
        by_expert[name] = jnp.where(absent, jnp.nan, expert.score(key, evidence))
        filled.append(jnp.where(jnp.isnan(by_expert[name]), expert.missing, by_expert[name]))
        weights.append(jnp.where(absent, 0.0, weight))
    if not by_expert:
        return Scores(jnp.zeros(len(evidence.label)), by_expert, jnp.bool_(False))
    total = sum(weights[1:], weights[0])
    if len(by_expert) == 1:
        return Scores(filled[0], by_expert, total == 0)
    group, num = ranked_together(chosen, evidence.label, num_classes)
    # Ranks are halves of whole numbers: their sum is exact, and equal sums are equal everywhere.
    ranks = [w * select.rank(one, group, num) for w, one in zip(weights, filled, strict=True)]
    last = jnp.maximum(1, jnp.bincount(group, length=num) - 1)[group].astype(jnp.float32)
    mean = sum(ranks[1:], ranks[0]) / (jnp.where(total > 0, total, 1.0) * last)
    return Scores(mean, by_expert, total == 0)

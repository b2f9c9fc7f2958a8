"""The experts that score generated images, and the filters that are made of them. A new expert is a line in `EXPERTS`.

An expert is `score(key, seen) -> float32 [n]`, higher = keep. A filter asks one expert, several, whose ranks it averages, or
none, and then drops nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.filters import scores, select
from jaxloop.types import Array


class Seen(NamedTuple):
    """What experts look at. What no expert of the filter asks for is None.

    label: int32 [n], the classes that the images were asked to show, in turns (`select.labels`).
    logits: [n L], what last generation's classifier says of them; the log of its mean prediction where dropout was on.
    similarity: float32 [n] in [-1, 1], CLIP's, of an image and the text of its class.
    votes: float32 [n] in [-1, 1], the mean over people of 1 for keep and -1 for drop; 0 where nobody voted.
    """

    label: Array
    logits: Array | None
    similarity: Array | None
    votes: Array | None


CLASSIFIER, DROPOUT, CLIP, PEOPLE = "classifier", "classifier with dropout on", "clip", "people"


class Expert(NamedTuple):
    """score: see above. asks: whom (one of the words above), which is what must be there; None: nobody."""

    score: Callable[[Array, Seen], Array]
    asks: str | None = None


EXPERTS: dict[str, Expert] = {
    "uncertainty": Expert(lambda key, seen: scores.negative_entropy(seen.logits), CLASSIFIER),
    "mc_dropout": Expert(lambda key, seen: scores.negative_entropy(seen.logits), DROPOUT),
    "clip": Expert(lambda key, seen: seen.similarity, CLIP),
    "human": Expert(lambda key, seen: seen.votes, PEOPLE),
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


def score(chosen: Filter, key: Array, seen: Seen, num_classes: int) -> tuple[Array, dict[str, Array]]:
    """What a filter thinks of n images, higher = keep -> (float32 [n], each expert's own score float32 [n]).

    Of one expert it is that expert's score; of several the weighted mean of their ranks, in [0, 1]: scores of different experts
    have no common unit, ranks have. Ranks are taken where the filter ranks: within a class, or over all.
    """
    own = {name: expert.score(key, seen) for name, expert in chosen.experts.items()}
    if not own:
        return scores.indifferent(len(seen.label)), own
    if len(own) == 1:
        return next(iter(own.values())), own
    groups = num_classes if chosen.ranking == "class" else 1
    ranks = [select.rank(one, groups) for one in own.values()]
    weighted = sum(weight * rank for weight, rank in zip(chosen.weights, ranks, strict=True))
    return weighted / sum(chosen.weights), own

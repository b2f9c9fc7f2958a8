"""The experts that score generated images. A new one is a function and one line in `FILTERS`.

A filter is `scores(key, image, label, logits) -> float [n]`, higher = keep: uint8 images [n h w c], the labels int32 [n] that
they were asked to show, and `logits` [n L], what last generation's classifier says of them (zeros for a filter that does
not read it; the log of its mean prediction for one that asks it with dropout on).
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxloop.errors import InputError
from jaxloop.filters import scores
from jaxloop.types import Array


class Filter(NamedTuple):
    """scores: see above. drops: whether it drops anything at all. reads_classifier: whether it uses the logits.
    with_dropout: whether the classifier is asked several times, with dropout on."""

    scores: Callable[[Array, Array, Array, Array], Array]
    drops: bool
    reads_classifier: bool
    with_dropout: bool = False


FILTERS: dict[str, Filter] = {
    "uncertainty": Filter(lambda key, image, label, logits: scores.negative_entropy(logits), True, True),
    "mc_dropout": Filter(lambda key, image, label, logits: scores.negative_entropy(logits), True, True, True),
    "random": Filter(lambda key, image, label, logits: scores.at_random(key, len(label)), True, False),
    "none": Filter(lambda key, image, label, logits: scores.indifferent(len(label)), False, False),
}
NAMES = tuple(FILTERS)


def create(name: str) -> Filter:
    """The filter called `name`. Raises InputError where there is none."""
    if name not in FILTERS:
        raise InputError("config.filter.name", name, NAMES)
    return FILTERS[name]

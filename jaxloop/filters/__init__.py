"""The experts that score generated images. A new one is a function and one line in `FILTERS`.

A filter is `scores(key, logits) -> float [n]`, higher = keep, where `logits` [n L] are what last generation's classifier
says of the images.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxloop.errors import InputError
from jaxloop.filters import scores
from jaxloop.types import Array


class Filter(NamedTuple):
    """scores: see above. drops: whether it drops anything at all. reads_classifier: whether it uses the logits."""

    scores: Callable[[Array, Array], Array]
    drops: bool
    reads_classifier: bool


FILTERS: dict[str, Filter] = {
    "uncertainty": Filter(lambda key, logits: scores.negative_entropy(logits), drops=True, reads_classifier=True),
    "random": Filter(lambda key, logits: scores.at_random(key, logits.shape[0]), drops=True, reads_classifier=False),
    "none": Filter(lambda key, logits: scores.indifferent(logits.shape[0]), drops=False, reads_classifier=False),
}
NAMES = tuple(FILTERS)


def create(name: str) -> Filter:
    """The filter called `name`. Raises InputError where there is none."""
    if name not in FILTERS:
        raise InputError("config.filter.name", name, NAMES)
    return FILTERS[name]

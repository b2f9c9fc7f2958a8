"""The audit of the paper's appendix C: a generation in ten bins by score."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxloop.provenance import study
from jaxloop.review import deck
from jaxloop.review.deck import Picture

NUM_BINS, SHOWN = 10, 10
# What people read of the codes of the provenance lines.
REASONS = {
    "waiting": "waiting for the filter",
    "best": "kept, among the best by the filter’s score",
    "best_tie": "kept, the first of several with one score",
    "worst": "dropped, among the worst by the filter’s score",
    "worst_tie": "dropped, the last of several with one score",
    "random_choice": "kept or dropped by chance, as no expert had a score",
    "generator_diverged": "dropped, as the generator diverged",
}


class Bin(NamedTuple):
    """One bin of a score."""

    number: int  # from 1, the lowest scores
    low: float  # range of its scores
    high: float
    size: int
    drop: float  # share of the scored images that leaves with this bin and all below it
    pictures: list[Picture]  # a random choice, at most SHOWN
    parted: bool  # whether no image above has, in its group, the score of one that leaves


def outcomes(lines: Sequence[Mapping]) -> list[tuple[str, int]]:
    """Return (words, number of images) of each reason that occurs."""
    count = Counter(line["reason"] for line in lines)
    return [(words, count[code]) for code, words in REASONS.items() if code in count]


def scores(lines: Sequence[Mapping], filter_name: str) -> dict[str, np.ndarray]:
    """Return {name: float [n], NaN where absent}: the filter's score, then each expert's."""
    experts = sorted({name for line in lines for name in line["scores"]} - {filter_name})
    values = {filter_name: [line["score"] for line in lines]}
    values |= {name: [line["scores"].get(name) for line in lines] for name in experts}
    arrays = {name: np.array(column, float) for name, column in values.items()}  # None: NaN
    return {name: score for name, score in arrays.items() if not np.isnan(score).all()}


def bins(lines: Sequence[Mapping], score: np.ndarray, by_class: bool) -> list[Bin]:
    """Return the bins of a score, lowest first, without empty ones.

    The k-th bin holds the k-th tenth of each group that the filter ranks: of every seed or, if it
    ranks `by_class`, of every class of every seed. Of equal scores the earlier are lower.
    """
    places = [(line["seed"], line["class"] if by_class else 0) for line in lines]
    group = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
    number = study.bins(score, group, NUM_BINS)
    tied = _tied(score, group, number)
    content = []
    for k in np.unique(number[number >= 0]).tolist():
        inside = np.flatnonzero(number == k)
        pictures = deck.generated(lines[int(i)] for i in inside)
        pictures = deck.shuffled(pictures, "audit")[:SHOWN]
        low, high = float(score[inside].min()), float(score[inside].max())
        drop = round((k + 1) / NUM_BINS, 6)
        content.append(Bin(k + 1, low, high, len(inside), drop, pictures, k not in tied))
    return content


def _tied(score: np.ndarray, group: np.ndarray, number: np.ndarray) -> set[int]:
    """Return the bins after which a group goes on with the score that it has up to there."""
    order = np.lexsort((score, group))
    one, after = order[:-1], order[1:]
    equal = (group[one] == group[after]) & (score[one] == score[after])  # no NaN equals another
    pairs = zip(number[one[equal]].tolist(), number[after[equal]].tolist(), strict=True)
    return {k for low, high in pairs for k in range(low, high)}

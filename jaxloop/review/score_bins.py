"""The audit of the paper's appendix C: a generation in ten bins by score."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.review import deck
from jaxloop.review.deck import Picture

NUM_BINS, SHOWN = 10, 10


class Bin(NamedTuple):
    """One bin of a score."""

    number: int  # from 1, the lowest scores
    low: float  # range of its scores
    high: float
    size: int
    drop: float  # share of the scored images that leaves with this bin and all below it
    pictures: list[Picture]  # a random choice, at most SHOWN
    parted: bool  # whether no image above has, in its group, the score of one that leaves


def scores(lines: Sequence[Mapping], filter_name: str) -> pd.DataFrame:
    """Return a column for each score that exists: the filter's, then each expert's by name."""
    experts = pd.DataFrame([line["scores"] for line in lines]).sort_index(axis=1)
    own = pd.DataFrame({filter_name: [line["score"] for line in lines]})
    own = own.join(experts.drop(columns=filter_name, errors="ignore"))
    return own.astype(float).dropna(axis=1, how="all")


def bins(lines: Sequence[Mapping], score: np.ndarray, by_class: bool) -> list[Bin]:
    """Return the bins of a score, lowest first, without empty ones.

    The k-th bin holds the k-th tenth of each group that the filter ranks: of every seed or, if it
    ranks `by_class`, of every class of every seed. Of equal scores the earlier are lower.
    """
    group = ["seed", "class"] if by_class else ["seed"]
    frame = pd.DataFrame(lines, columns=["seed", "class"]).assign(score=score)
    scores = frame.groupby(group)["score"]
    rank, num = scores.rank(method="first"), scores.transform("count")
    frame["bin"] = 1 + (rank - 1) * NUM_BINS // num  # NaN where the score is
    # The bins after which a group goes on with the score that it has up to there.
    spans = frame.groupby([*group, "score"])["bin"].agg(["min", "max"]).astype(int)
    tied = {k for low, high in spans.to_numpy().tolist() for k in range(low, high)}
    content = []
    for number in range(1, NUM_BINS + 1):
        inside = frame.query("bin == @number")
        if len(inside):
            pictures = deck.generated(lines[i] for i in inside.index)
            pictures = deck.shuffled(pictures, "audit")[:SHOWN]
            low, high = inside["score"].agg(["min", "max"]).tolist()
            share, parted = number / NUM_BINS, number not in tied
            content.append(Bin(number, low, high, len(inside), share, pictures, parted))
    return content

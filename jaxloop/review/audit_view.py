"""The audit of the paper's appendix C: a generation in ten bins by score, a few pictures of each, and the rate to drop.

choices.jsonl holds a line a choice, appended and never rewritten; and a line when a rater first sees the audit, or the
summary of all votes, which is where the rater's blind votes end:

    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "generation": 1, "score": "uncertainty", "drop": 0.3}
    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "generation": 1, "opened": "audit" or "summary"}
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop import files
from jaxloop.provenance import study
from jaxloop.review import deck
from jaxloop.review.deck import Picture

FILE = "choices.jsonl"
NUM_BINS, SHOWN = 10, 10


class Bin(NamedTuple):
    """number: from 1, the lowest scores.  low, high: its range of scores.  size: its images.  drop: the share r of the
    generation's scored images that leaves with this bin and all below it.  pictures: a random choice, at most SHOWN.
    parted: whether no image above the bin has the same score, in its group, as one that leaves."""

    number: int
    low: float
    high: float
    size: int
    drop: float
    pictures: list[Picture]
    parted: bool


def scores(lines: Sequence[Mapping], filter_name: str) -> dict[str, np.ndarray]:
    """{name: float [n], NaN where an image has none}: the filter's own score, then each expert's; only what exists."""
    experts = sorted({name for line in lines for name in line.get("scores", {})} - {filter_name})
    found = {filter_name: [line["score"] for line in lines]}
    found |= {name: [line.get("scores", {}).get(name) for line in lines] for name in experts}
    arrays = {name: np.array(values, float) for name, values in found.items()}  # None becomes NaN
    return {name: score for name, score in arrays.items() if not np.isnan(score).all()}


def bins(lines: Sequence[Mapping], score: np.ndarray, by_class: bool) -> list[Bin]:
    """The bins of a score, lowest first, without those that few images leave empty.

    The k-th bin holds the k-th tenth of each group that the filter ranks: of every seed or, if it ranks `by_class`, of
    every class of every seed. Of equal scores the earlier are in the lower bin, which says nothing of the images.
    """
    places = [(line["seed"], line["class"] if by_class else 0) for line in lines]
    group = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
    number = study.bins(score, group, NUM_BINS)
    tied = _tied(score, group, number)
    found = []
    for k in np.unique(number[number >= 0]).tolist():
        inside = np.flatnonzero(number == k)
        pictures = deck.shuffled(deck.generated(lines[i] for i in inside), "audit")[:SHOWN]
        low, high = float(score[inside].min()), float(score[inside].max())
        drop = round((k + 1) / NUM_BINS, 6)
        found.append(Bin(k + 1, low, high, len(inside), drop, pictures, k not in tied))
    return found


def _tied(score: np.ndarray, group: np.ndarray, number: np.ndarray) -> set[int]:
    """Numbers of bins after which a group goes on with the score that it has up to there."""
    order = np.lexsort((score, group))
    one, after = order[:-1], order[1:]
    equal = (group[one] == group[after]) & (score[one] == score[after])  # no NaN equals another
    pairs = zip(number[one[equal]].tolist(), number[after[equal]].tolist(), strict=True)
    return {k for low, high in pairs for k in range(low, high)}


def choose(workdir: str | os.PathLike, choice: Mapping) -> None:
    """Adds a line at the end of the file; when this returns it is on the disk. Raises OSError if it cannot be."""
    files.append_line(Path(workdir, FILE), choice)


def opened(workdir: str | os.PathLike, rater: str, generation: int) -> bool:
    """Whether a rater has seen the audit or the summary of a generation."""
    return any("opened" in line for line in _lines(workdir, rater, generation))


def chosen(workdir: str | os.PathLike, rater: str, generation: int, score: str) -> float | None:
    """The rate that a rater chose last for a generation by a score; None if none."""
    own = [
        line["drop"]
        for line in _lines(workdir, rater, generation)
        if "drop" in line and line["score"] == score
    ]
    return own[-1] if own else None


def _lines(workdir: str | os.PathLike, rater: str, generation: int) -> list[Mapping]:
    """A rater's, of a generation."""
    lines, _ = files.appended(Path(workdir, FILE))
    return [line for _, line in lines if (line["rater"], line["generation"]) == (rater, generation)]

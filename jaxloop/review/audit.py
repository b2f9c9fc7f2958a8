"""The audit of the paper's appendix C: a generation in ten bins by score, a few pictures of each, and the rate to drop.

choices.jsonl holds a line a choice, appended and never rewritten:

    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "generation": 1, "score": "uncertainty", "drop": 0.3}
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
    generation's scored images that leaves with this bin and all below it.  pictures: a random choice, at most SHOWN."""

    number: int
    low: float
    high: float
    size: int
    drop: float
    pictures: list[Picture]


def scores(lines: Sequence[Mapping], filter_name: str) -> dict[str, np.ndarray]:
    """{name: float [n], NaN where an image has none}: the filter's own score, then each expert's; only what exists."""
    experts = sorted({name for line in lines for name in line.get("scores", {})} - {filter_name})
    found = {filter_name: [line["score"] for line in lines]}
    found |= {name: [line.get("scores", {}).get(name) for line in lines] for name in experts}
    arrays = {name: np.array(values, float) for name, values in found.items()}  # None becomes NaN
    return {name: score for name, score in arrays.items() if not np.isnan(score).all()}


def bins(lines: Sequence[Mapping], score: np.ndarray, by_class: bool) -> list[Bin]:
    """The bins of a score, lowest first, without those that few images leave empty.

    by_class: whether the filter ranks within each class: then the k-th bin holds the k-th tenth of every class.
    """
    number = study.bins(score, np.array([line["class"] for line in lines]) if by_class else None, NUM_BINS)
    found = []
    for k in np.unique(number[number >= 0]).tolist():
        inside = np.flatnonzero(number == k)
        pictures = deck.shuffled(deck.generated(lines[i] for i in inside), "audit")[:SHOWN]
        low, high = float(score[inside].min()), float(score[inside].max())
        found.append(Bin(k + 1, low, high, len(inside), round((k + 1) / NUM_BINS, 6), pictures))
    return found


def choose(workdir: str | os.PathLike, choice: Mapping) -> None:
    """Adds a choice at the end of the file; when this returns it is on the disk. Raises OSError if it cannot be written."""
    files.append_line(Path(workdir, FILE), choice)


def chosen(workdir: str | os.PathLike, rater: str, generation: int, score: str) -> float | None:
    """The rate that a rater chose last for a generation by a score; None if none."""
    choices, _ = files.appended(Path(workdir, FILE))
    own = [c["drop"] for _, c in choices if (c["rater"], c["generation"], c["score"]) == (rater, generation, score)]
    return own[-1] if own else None

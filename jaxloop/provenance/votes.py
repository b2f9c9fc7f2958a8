"""votes.jsonl: what people voted, one line a vote, appended and never rewritten.

    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "sha256": "...", "class": 3,
     "verdict": "keep" | "drop" | "undo", "real": false, "generation": 1 or null, "seed": 0 or null, "index": 17}

A vote is on a picture (by its hash) as a picture of a class. generation and seed are null for a real image.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxloop import files
from jaxloop.errors import InputError

FILE = "votes.jsonl"
VERDICTS = ("keep", "drop", "undo")
SHAPE = (
    'a JSON object {"time": str, "rater": str, "sha256": str, "class": int, "verdict": "keep", "drop" or "undo", '
    '"real": bool, "generation": int, "seed": int, "index": int}, generation and seed null if real'
)


class Vote(NamedTuple):
    """time: ISO 8601, UTC.  generation, seed: None if `real`.  index: among the images of that generation and seed, or
    among the real ones."""

    time: str
    rater: str
    sha256: str
    class_: int
    verdict: str
    real: bool
    generation: int | None
    seed: int | None
    index: int


class Progress(NamedTuple):
    """voted: images of a generation that have a standing vote of anybody.  of: all its images.  needed: so many must have one
    before a run that waits for people goes on."""

    voted: int
    of: int
    needed: int

    @property
    def enough(self) -> bool:
        return self.voted >= self.needed


Key = tuple[str, str, int]  # rater, sha256, class


def append(workdir: str | os.PathLike, vote: Vote) -> None:
    """Adds a vote at the end of the file; when this returns it is on the disk. Several processes may do so at once.

    Raises InputError on what would not be a vote, OSError if it cannot be written whole.
    """
    fields = {name.rstrip("_"): value for name, value in vote._asdict().items()}
    if not _is_vote(fields):
        raise InputError("vote", fields, SHAPE)
    files.append_line(Path(workdir, FILE), fields)


def read(workdir: str | os.PathLike) -> list[Vote]:
    """All whole votes in the order in which they came; lines that a kill cut short are left out. No file: [].

    Raises InputError on a line that is JSON and no vote, by file and line number.
    """
    path, found = Path(workdir, FILE), []
    for number, fields in files.appended(path)[0]:
        if not _is_vote(fields):
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(fields)), SHAPE)
        found.append(Vote(**{"class_" if name == "class" else name: x for name, x in fields.items()}))
    return found


def standing(votes: Iterable[Vote]) -> dict[Key, Vote]:
    """{(rater, sha256, class): the last vote}. An undo takes the vote away: it does not bring back the one before."""
    last = {(vote.rater, vote.sha256, vote.class_): vote for vote in votes}
    return {key: vote for key, vote in last.items() if vote.verdict != "undo"}


def score(votes: Iterable[Vote], sha256: Sequence[str], class_: Sequence[int]) -> np.ndarray:
    """What people think of n pictures, each as a picture of its class: float32 [n] in [-1, 1], NaN where nobody voted.

    The mean over raters of their standing votes, keep = +1 and drop = -1. A picture that occurs twice has one hash, and
    so the votes on either count for both.
    """
    signs: dict[tuple[str, int], list[int]] = {}
    for vote in standing(votes).values():
        signs.setdefault((vote.sha256, vote.class_), []).append(1 if vote.verdict == "keep" else -1)
    means = {picture: sum(given) / len(given) for picture, given in signs.items()}
    pictures = zip(sha256, map(int, class_), strict=True)
    return np.array([means.get(picture, np.nan) for picture in pictures], np.float32)


def progress(score: np.ndarray, reviewed: float) -> Progress:
    """How far people are with images of which `score` says what they think.

    Args:
      score: of `score`, any shape.
      reviewed: the share in [0, 1] that must have a vote: config.filter.reviewed.
    """
    return Progress(int(np.isfinite(score).sum()), score.size, math.ceil(reviewed * score.size))


def _is_vote(fields) -> bool:
    if not isinstance(fields, Mapping) or {name.rstrip("_") for name in Vote._fields} != set(fields):
        return False
    whose = int if not fields["real"] else type(None)
    return (
        all(type(fields[name]) is str for name in ("time", "rater", "sha256"))
        and all(type(fields[name]) is int for name in ("class", "index"))
        and all(type(fields[name]) is whose for name in ("generation", "seed"))
        and type(fields["real"]) is bool
        and fields["verdict"] in VERDICTS
    )

"""votes.jsonl: what people voted, one line a vote, appended and never rewritten.

    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "sha256": "...", "class": 3,
     "verdict": "keep" | "drop" | "undo", "real": false, "generation": 1 or null, "seed": 0 or null, "index": 17,
     "blind": true}

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
    '"real": bool, "generation": int, "seed": int, "index": int, "blind": bool}, generation and seed null if real'
)


class Vote(NamedTuple):
    """time: ISO 8601, UTC.  generation, seed: None if `real`.  index: among the images of that generation and seed, or
    among the real ones.  blind: given among pictures of which nothing told the rater whether they are real."""

    time: str
    rater: str
    sha256: str
    class_: int
    verdict: str
    real: bool
    generation: int | None
    seed: int | None
    index: int
    blind: bool = True


class Progress(NamedTuple):
    """voted: images of a generation that have a standing vote of anybody.  of: all its images.  needed: so many must have one
    before a run that waits for people goes on.  enough: whether they have, of each seed."""

    voted: int
    of: int
    needed: int
    enough: bool


Key = tuple[str, str, int]  # rater, sha256, class


class Given(NamedTuple):
    """All that votes.jsonl holds.

    votes: in the order in which they came.  standing, blind: what the functions of these names make of them.
    cut: lines that a kill cut short, but for the last line, which `open` is about.  end, line: what is read for good,
    in bytes and in lines.
    """

    votes: list[Vote]
    standing: dict[Key, Vote]
    blind: dict[Key, Vote]
    cut: int
    open: bool
    end: int
    line: int

    @property
    def torn(self) -> int:
        """How many lines were cut short, and left out."""
        return self.cut + self.open


NOTHING = Given([], {}, {}, 0, False, 0, 0)


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
    return since(workdir).votes


def torn(workdir: str | os.PathLike) -> int:
    """How many lines of the file were cut short by a kill, and are left out. Raises InputError as `read` does."""
    return since(workdir).torn


def since(workdir: str | os.PathLike, before: Given = NOTHING) -> Given:
    """All that the file holds. `before`: the same of an earlier look; only what was appended after it is parsed.

    Raises InputError as `read` does.
    """
    path = Path(workdir, FILE)
    size = path.stat().st_size if path.exists() else 0
    if size < before.end:
        before = NOTHING  # it is another file
    if size == before.end:
        return before._replace(open=False)
    with open(path, "rb") as file:
        file.seek(before.end)
        content = file.read()
    whole, cut = files.whole_lines(content, before.line + 1)
    found = [_vote(fields, f"{path}:{number}") for number, fields in whole]
    line = before.line + content.count(b"\n")
    is_open = line + 1 in cut  # another process may be about to write the rest of it
    end = before.end + (content.rfind(b"\n") + 1 if is_open else len(content))
    stands, blind_ = (
        _after(before.standing, found),
        _after(before.blind, (vote for vote in found if vote.blind)),
    )
    return Given(
        before.votes + found, stands, blind_, before.cut + len(cut) - is_open, is_open, end, line
    )


def standing(votes: Iterable[Vote]) -> dict[Key, Vote]:
    """{(rater, sha256, class): the last vote}. An undo takes the vote away: it does not bring back the one before."""
    return _after({}, votes)


def blind(votes: Iterable[Vote]) -> dict[Key, Vote]:
    """As `standing`, of the blind votes alone: what a rater said later, knowing more, changes nothing of it."""
    return _after({}, (vote for vote in votes if vote.blind))


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


def progress(scores: Sequence[np.ndarray], reviewed: float) -> Progress:
    """How far people are with the images of a generation.

    Args:
      scores: what `score` says of the images of each seed; NaN where nobody voted.
      reviewed: the share in [0, 1] of each seed's images that must have a vote: config.filter.reviewed.
    """
    voted = [int(np.isfinite(of_seed).sum()) for of_seed in scores]
    needed = [math.ceil(reviewed * len(of_seed)) for of_seed in scores]
    enough = all(have >= must for have, must in zip(voted, needed, strict=True))
    return Progress(sum(voted), sum(map(len, scores)), sum(needed), enough)


def _after(standing: Mapping[Key, Vote], votes: Iterable[Vote]) -> dict[Key, Vote]:
    """What stands after `votes` of what stood before them."""
    found = dict(standing)
    for vote in votes:
        key = (vote.rater, vote.sha256, vote.class_)
        if vote.verdict == "undo":
            found.pop(key, None)
        else:
            found[key] = vote
    return found


def _vote(fields: object, place: str) -> Vote:
    """Raises InputError, naming the place, on what is JSON and no vote."""
    if not _is_vote(fields):
        raise InputError(place, files.shortened(json.dumps(fields)), SHAPE)
    return Vote(**{"class_" if name == "class" else name: x for name, x in fields.items()})


def _is_vote(fields) -> bool:
    if not isinstance(fields, Mapping) or {name.rstrip("_") for name in Vote._fields} != set(
        fields
    ):
        return False
    whose = int if not fields["real"] else type(None)
    return (
        all(type(fields[name]) is str for name in ("time", "rater", "sha256"))
        and all(type(fields[name]) is int for name in ("class", "index"))
        and all(type(fields[name]) is whose for name in ("generation", "seed"))
        and all(type(fields[name]) is bool for name in ("real", "blind"))
        and fields["verdict"] in VERDICTS
    )

"""votes.jsonl: people's votes, one a line, appended and never rewritten.

    {"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "sha256": "...", "class": 3,
     "verdict": "keep" | "drop" | "undo", "real": false, "generation": 1 or null,
     "seed": 0 or null, "index": 17, "blind": true}

A vote is on a picture (by its hash) as a picture of a class. A real one has neither generation nor
seed. A vote is blind while nothing has shown the rater which pictures are real.
"""

import contextlib
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxloop import files
from jaxloop.errors import InputError

FILE = "votes.jsonl"
VERDICTS = ("keep", "drop", "undo")
KINDS = {
    "time": str, "rater": str, "sha256": str, "class": int, "verdict": str, "real": bool,
    "generation": int, "seed": int, "index": int, "blind": bool,
}  # fmt: skip
SHAPE = (
    f"a JSON object {{{', '.join(f'{name}: {kind.__name__}' for name, kind in KINDS.items())}}}, "
    f"the verdict one of {', '.join(VERDICTS)}, generation and seed null if real"
)
Key = tuple[str, str, int]  # rater, sha256, class


class Vote(NamedTuple):
    """One line."""

    time: str  # ISO 8601, UTC
    rater: str
    sha256: str
    class_: int
    verdict: str
    real: bool
    generation: int | None
    seed: int | None
    index: int  # among the images of that generation and seed, or among the real ones
    blind: bool = True

    @property
    def key(self) -> Key:
        return self.rater, self.sha256, self.class_


class Progress(NamedTuple):
    """How far people are with the images of a generation."""

    voted: int  # images with a standing vote of anybody
    total: int
    needed: int  # so many must have one before a run that waits goes on
    enough: bool  # whether they have, of each seed


class Tally(NamedTuple):
    """All that votes.jsonl holds."""

    votes: list[Vote]  # in file order
    standing: dict[Key, Vote]
    blind: dict[Key, Vote]
    torn: int  # lines that a kill or a full disk cut short
    open: bool  # whether the last one is among them: another process may be about to finish it
    end: int  # what need not be read again, in bytes and in lines
    line: int


EMPTY = Tally([], {}, {}, 0, False, 0, 0)


@contextlib.contextmanager
def appending(workdir: str | os.PathLike) -> Iterator[Callable[[Vote], None]]:
    """Lock the file against other writers; yield the function that appends one vote.

    When that function returns the vote is on the disk. It raises InputError on what is no vote, and
    OSError if it cannot be written whole.
    """
    with files.appending(Path(workdir, FILE)) as append_line:
        yield lambda vote: append_line(_fields(vote))


def append(workdir: str | os.PathLike, vote: Vote) -> None:
    """Append one vote, as `appending` does."""
    files.append_line(Path(workdir, FILE), _fields(vote))


def read(workdir: str | os.PathLike) -> list[Vote]:
    """Return all whole votes in file order. Raises InputError as `tally` does."""
    return tally(workdir).votes


def tally(workdir: str | os.PathLike, earlier: Tally = EMPTY) -> Tally:
    """Return all that the file holds; after `earlier`, only what was appended since is parsed.

    Raises InputError naming a line that is no vote.
    """
    path = Path(workdir, FILE)
    content, size = files.tail(path, earlier.end)
    if size < earlier.end:  # another file
        earlier, (content, _) = EMPTY, files.tail(path)
    whole, torn = files.whole_lines(content, earlier.line + 1)
    for number, fields in whole:
        if not _is_vote(fields):
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(fields)), SHAPE)
    new = [Vote(*(fields[name] for name in KINDS)) for _, fields in whole]
    line = earlier.line + content.count(b"\n")
    is_open = line + 1 in torn
    return Tally(
        earlier.votes + new,
        standing(new, earlier.standing),
        blind(new, earlier.blind),
        earlier.torn - earlier.open + len(torn),
        is_open,
        earlier.end + (content.rfind(b"\n") + 1 if is_open else len(content)),
        line,
    )


def standing(votes: Iterable[Vote], before: Mapping | tuple = ()) -> dict[Key, Vote]:
    """Return {key: last vote}, latest last, after `before`. An undo restores no earlier vote."""
    after = dict(before)
    for vote in votes:
        after.pop(vote.key, None)  # so that the latest vote is last
        if vote.verdict != "undo":
            after[vote.key] = vote
    return after


def blind(votes: Iterable[Vote], before: Mapping | tuple = ()) -> dict[Key, Vote]:
    """Return `standing` of the blind votes alone: later ones of who knows more change nothing."""
    return standing((vote for vote in votes if vote.blind), before)


def score(votes: Iterable[Vote], sha256: Sequence[str], class_: Sequence[int]) -> np.ndarray:
    """Return the mean of standing votes, keep = +1 and drop = -1, on n pictures of their classes.

    Equal pictures have one hash: votes on either count for both.

    Returns:
      float32 [n] in [-1, 1], NaN where nobody voted.
    """
    signs = grouped(
        (vote.key[1:], 1 if vote.verdict == "keep" else -1) for vote in standing(votes).values()
    )
    means = {picture: sum(values) / len(values) for picture, values in signs.items()}
    pictures = zip(sha256, map(int, class_), strict=True)
    return np.array([means.get(picture, np.nan) for picture in pictures], np.float32)


def progress(is_voted: Collection[Sequence[bool]], reviewed: float) -> Progress:
    """Return how far people are with the images of a generation.

    Args:
      is_voted: of each seed's images whether anybody's vote on it stands.
      reviewed: share in [0, 1] of each seed's images that must have a vote.
    """
    voted = [int(sum(seed)) for seed in is_voted]
    needed = [math.ceil(reviewed * len(seed)) for seed in is_voted]
    enough = all(have >= must for have, must in zip(voted, needed, strict=True))
    return Progress(sum(voted), sum(map(len, is_voted)), sum(needed), enough)


def grouped(pairs: Iterable[tuple]) -> dict[Any, list]:
    """Return {key: values in order} of (key, value) pairs."""
    groups: dict[Any, list] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _fields(vote: Vote) -> dict:
    fields = dict(zip(KINDS, vote, strict=True))
    if not _is_vote(fields):
        raise InputError("vote", fields, SHAPE)
    return fields


def _is_vote(fields: Any) -> bool:
    if not isinstance(fields, dict) or fields.keys() != KINDS.keys():
        return False
    origin = dict.fromkeys(("generation", "seed"), type(None) if fields["real"] is True else int)
    kinds = {name: type(value) for name, value in fields.items()}
    return fields["verdict"] in VERDICTS and kinds == KINDS | origin

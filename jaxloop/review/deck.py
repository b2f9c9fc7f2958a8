"""Which pictures a rater sees, and in which order. Pure: the same for the same run, rater and generation."""

import hashlib
import hmac
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxloop.provenance import votes
from jaxloop.provenance.votes import Vote

PAGE = 40  # pictures a page


class Picture(NamedTuple):
    """A picture as one of a class, and where it lies: the fields of a vote on it. generation, seed: None if `real`."""

    sha256: str
    class_: int
    real: bool
    generation: int | None
    seed: int | None
    index: int


def generated(lines: Iterable[Mapping]) -> list[Picture]:
    """The pictures of a generation's lines. One that occurs twice in a class is there once: a vote counts for both."""
    first: dict[tuple[str, int], Picture] = {}
    for line in lines:
        key = (line["sha256"], line["class"])
        first.setdefault(key, Picture(*key, False, line["born"], line["seed"], line["index"]))
    return list(first.values())


def real(
    lines: Iterable[Mapping], beside: Sequence[Picture], share: float, generation: int, generations: int
) -> list[Picture]:
    """Real pictures to mix in, the same for every rater: of each class as many as make `share` in [0, 1) of all shown.

    The real pictures are dealt to the generations 1 to `generations` of the run, so that no rater meets one again,
    already voted on, and knows. A generation has no more than its part, which may be less than the share.
    """
    known = {picture[:2] for picture in beside}  # a generated picture may be a copy, to the bit
    stock: dict[int, list[Picture]] = {}
    for line in lines:
        picture = Picture(line["sha256"], line["class"], True, None, None, line["index"])
        if picture[:2] not in known:
            known.add(picture[:2])
            stock.setdefault(picture.class_, []).append(picture)
    chosen = []
    for class_, count in sorted(Counter(picture.class_ for picture in beside).items()):
        part = shuffled(stock.get(class_, []), "real")[generation - 1 :: generations]
        chosen += part[: math.floor(count * share / (1 - share) + 0.5)]
    return chosen


def shuffled(pictures: Iterable[Picture], *of: object) -> list[Picture]:
    """A random order that is a function of the pictures and of `of`: of who looks at what."""

    def place(picture: Picture) -> bytes:
        return hashlib.sha256(repr((*of, picture.class_, picture.sha256)).encode()).digest()

    return sorted(pictures, key=place)


def pages(pictures: Sequence[Picture]) -> list[Sequence[Picture]]:
    return [pictures[start : start + PAGE] for start in range(0, len(pictures), PAGE)]


def identity(secret: bytes, picture: Picture) -> str:
    """What the browser knows a picture by, which tells nothing of it to whoever has not the secret."""
    return hmac.new(secret, f"{picture.class_} {picture.sha256}".encode(), "sha256").hexdigest()[:32]


def latest(given: Sequence[Vote], rater: str, pictures: Iterable[Picture]) -> Picture | None:
    """The picture of the rater's last vote that stands, among `pictures`; None if none stands."""
    own = {(rater, *picture[:2]): picture for picture in pictures}
    standing = votes.standing(given)
    keys = ((vote.rater, vote.sha256, vote.class_) for vote in reversed(given))
    return next((own[key] for key in keys if key in own and key in standing), None)

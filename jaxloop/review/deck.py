"""Which pictures a rater sees, and in which order. Pure: the same for the same run, rater and generation.

First the block, the study proper: real pictures and generated ones in a known share, the same for every rater, so that
raters can be compared on it. Behind it the rest of the generated pictures, on which a run that waits needs votes too.
"""

import hashlib
import hmac
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxloop.provenance.votes import Key, Vote

PAGE = 40  # pictures a page


class Picture(NamedTuple):
    """A picture as one of a class, and where it lies: the fields of a vote on it. generation, seed: None if `real`."""

    sha256: str
    class_: int
    real: bool
    generation: int | None
    seed: int | None
    index: int


class Deck(NamedTuple):
    """What one rater sees, in the rater's order."""

    block: list[Picture]
    rest: list[Picture]

    @property
    def pages(self) -> list[Sequence[Picture]]:
        """Pages of the block, then of the rest: none has pictures of both."""
        return [*pages(self.block), *pages(self.rest)]

    def page(self, picture: Picture) -> int:
        """The number of the page, from 1, that a picture of the deck is on."""
        return next(number for number, page in enumerate(self.pages, start=1) if picture in page)


def generated(lines: Iterable[Mapping]) -> list[Picture]:
    """The pictures of a generation's lines. One that occurs twice in a class is there once: a vote counts for both."""
    first: dict[tuple[str, int], Picture] = {}
    for line in lines:
        key = (line["sha256"], line["class"])
        first.setdefault(key, Picture(*key, False, line["born"], line["seed"], line["index"]))
    return list(first.values())


def real(
    lines: Iterable[Mapping],
    beside: Sequence[Picture],
    share: float,
    generation: int,
    generations: int,
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
        chosen += part[: _wanted(count, share)]
    return chosen


def block(made: Sequence[Picture], real: Sequence[Picture], share: float) -> list[Picture]:
    """The pictures that every rater is to see: all of `real`, and of each class as many of `made` as leave them `share`.

    real: what `real` chose for the same share in [0, 1). Of a class of which it has all that were wanted, all of `made`
    are in the block; and so they are of all classes if there is no real picture at all.
    """
    num_real = Counter(picture.class_ for picture in real)
    of_class: dict[int, list[Picture]] = {}
    for picture in made:
        of_class.setdefault(picture.class_, []).append(picture)
    chosen = list(real)
    for class_, pictures in sorted(of_class.items()):
        full = not real or num_real[class_] == _wanted(len(pictures), share)
        chosen += (
            pictures
            if full
            else _evenly(pictures, math.floor(num_real[class_] * (1 - share) / share + 0.5))
        )
    return chosen


def dealt(block: Iterable[Picture], rest: Iterable[Picture], rater: str, generation: int) -> Deck:
    return Deck(shuffled(block, rater, generation), shuffled(rest, rater, generation))


def _wanted(count: int, share: float) -> int:
    """How many real pictures make `share` beside `count` others."""
    return math.floor(count * share / (1 - share) + 0.5)


def _evenly(pictures: Iterable[Picture], num: int) -> list[Picture]:
    """A random choice of `num`, of each seed as many as of the others, where each has enough."""
    of_seed: Counter[int | None] = Counter()
    ranked = []
    for picture in shuffled(pictures, "block"):
        of_seed[picture.seed] += 1
        ranked.append((of_seed[picture.seed], picture))
    return [picture for _, picture in sorted(ranked, key=lambda pair: pair[0])[:num]]


def shuffled(pictures: Iterable[Picture], *of: object) -> list[Picture]:
    """A random order that is a function of the pictures and of `of`: of who looks at what."""

    def place(picture: Picture) -> bytes:
        return hashlib.sha256(repr((*of, picture.class_, picture.sha256)).encode()).digest()

    return sorted(pictures, key=place)


def pages(pictures: Sequence[Picture]) -> list[Sequence[Picture]]:
    return [pictures[start : start + PAGE] for start in range(0, len(pictures), PAGE)]


def identity(secret: bytes, picture: Picture) -> str:
    """What the browser knows a picture by, which tells nothing of it to whoever has not the secret."""
    return hmac.new(secret, f"{picture.class_} {picture.sha256}".encode(), "sha256").hexdigest()[
        :32
    ]


def latest(
    given: Sequence[Vote], standing: Mapping[Key, Vote], rater: str, pictures: Iterable[Picture]
) -> Picture | None:
    """The picture of the rater's last vote that stands, among `pictures`; None if none stands.

    given: all votes in their order.  standing: what stands of them.
    """
    own = {(rater, *picture[:2]): picture for picture in pictures}
    keys = ((vote.rater, vote.sha256, vote.class_) for vote in reversed(given))
    return next((own[key] for key in keys if key in own and key in standing), None)

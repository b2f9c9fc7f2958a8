"""Which pictures a rater sees, in which order: a pure function of run, generation and rater.

First the block, the study proper: real and generated pictures in a known share, the same for every
rater, so that raters can be compared on it. Behind it the remaining generated pictures, on which a
run that waits needs votes too.
"""

import hashlib
import hmac
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxloop.provenance.votes import Key, Vote, grouped

PAGE = 40  # pictures a page


class Picture(NamedTuple):
    """A picture as one of a class, and its place: the fields of a vote on it."""

    sha256: str
    class_: int
    real: bool
    generation: int | None
    seed: int | None
    index: int


class Deck(NamedTuple):
    """What one rater sees, in the rater's order."""

    block: list[Picture]
    remainder: list[Picture]

    @property
    def pages(self) -> list[Sequence[Picture]]:
        """Return the pages of the block, then of the remainder."""
        return [*pages(self.block), *pages(self.remainder)]

    def page(self, picture: Picture) -> int:
        """Return the number of the page, from 1, that a picture is on."""
        return next(number for number, page in enumerate(self.pages, start=1) if picture in page)


def generated(lines: Iterable[Mapping]) -> list[Picture]:
    """Return the pictures of a generation's lines; one that occurs twice in a class once."""
    first: dict[tuple[str, int], Picture] = {}
    for line in lines:
        key = (line["sha256"], line["class"])
        first.setdefault(key, Picture(*key, False, line["born"], line["seed"], line["index"]))
    return list(first.values())


def real(
    lines: Sequence[Mapping], beside: Sequence[Picture], share: float, generation: int, last: int
) -> list[Picture]:
    """Return real pictures to mix in: of each class as many as make `share` in [0, 1) of all.

    The real pictures are dealt to generations 1 to `last`, so that no rater meets one again.
    A generation has no more than its part, which may be less than the share.
    """
    pictures = {(line["sha256"], line["class"]): line["index"] for line in reversed(lines)}
    for picture in beside:
        pictures.pop(picture[:2], None)  # a generated picture may be a copy, to the bit
    stock = grouped((k[1], Picture(*k, True, None, None, i)) for k, i in pictures.items())
    chosen = []
    for class_, count in sorted(Counter(picture.class_ for picture in beside).items()):
        part = shuffled(stock.get(class_, []), "real")[generation - 1 :: last]
        chosen += part[: _num_real(count, share)]
    return chosen


def block(generated: Sequence[Picture], real: Sequence[Picture], share: float) -> list[Picture]:
    """Return what every rater is to see: `real`, and as many of `generated` as leave it its share.

    All of `generated` are in it where there is no real picture at all, or where a class has enough.

    Args:
      real: as `real` gives them for the same share.
    """
    num_real = Counter(picture.class_ for picture in real)
    chosen = list(real)
    for class_, pictures in sorted(grouped((p.class_, p) for p in generated).items()):
        if real and num_real[class_] < _num_real(len(pictures), share):
            num = math.floor(num_real[class_] * (1 - share) / share + 0.5)
            pictures = _evenly(pictures, num)
        chosen += pictures
    return chosen


def dealt(
    block: Iterable[Picture], remainder: Iterable[Picture], generation: int, rater: str
) -> Deck:
    """Return the deck of a rater."""
    return Deck(shuffled(block, rater, generation), shuffled(remainder, rater, generation))


def _num_real(count: int, share: float) -> int:
    """Return how many real pictures make `share` beside `count` others."""
    return math.floor(count * share / (1 - share) + 0.5)


def _evenly(pictures: Iterable[Picture], num: int) -> list[Picture]:
    """Return a random choice of `num`, of every seed as many where each has enough."""
    by_seed = grouped((picture.seed, picture) for picture in shuffled(pictures, "block"))
    rounds = itertools.zip_longest(*by_seed.values())
    return [picture for picture in itertools.chain(*rounds) if picture][:num]


def shuffled(pictures: Iterable[Picture], *salt: object) -> list[Picture]:
    """Return a random order, a function of the pictures and of `salt`."""

    def place(picture: Picture) -> bytes:
        return hashlib.sha256(repr((*salt, picture.class_, picture.sha256)).encode()).digest()

    return sorted(pictures, key=place)


def pages(pictures: Sequence[Picture]) -> list[Sequence[Picture]]:
    """Return consecutive pages of pictures."""
    return [pictures[start : start + PAGE] for start in range(0, len(pictures), PAGE)]


def identity(secret: bytes, picture: Picture) -> str:
    """Return a picture's name for the browser, which tells nothing without the secret."""
    text = f"{picture.class_} {picture.sha256}".encode()
    return hmac.new(secret, text, "sha256").hexdigest()[:32]


def latest(standing: dict[Key, Vote], rater: str, pictures: Iterable[Picture]) -> Picture | None:
    """Return the picture of the rater's latest standing vote among `pictures`, if any."""
    by_key = {(rater, *picture[:2]): picture for picture in pictures}
    return next((by_key[key] for key in reversed(standing) if key in by_key), None)

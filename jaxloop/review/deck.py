"""Which pictures a rater sees, in which order: a pure function of run, generation and rater.

First the block, the study proper: real and generated pictures in a known share, the same for every
rater, so that raters can be compared on it. Behind it the remaining generated pictures, on which a
run that waits needs votes too.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxloop.provenance.votes import grouped

PAGE = 40  # pictures a page


class Picture(NamedTuple):
    """A picture as one of a class, and its place: the fields of a vote on it."""

    sha256: str
    class_: int
    real: bool
    generation: int | None
    seed: int | None
    index: int


class Page(NamedTuple):
    """One page of what a rater sees."""

    number: int  # from 1, through both parts
    is_rest: bool  # whether it is of the remainder, and not of the block
    pictures: list[Picture]


def generated(lines: Iterable[Mapping]) -> list[Picture]:
    """Return the pictures of a generation's lines; one that occurs twice in a class once."""
    first: dict[tuple[str, int], Picture] = {}
    for line in lines:
        key = (line["sha256"], line["class"])
        first.setdefault(key, Picture(*key, False, line["born"], line["seed"], line["index"]))
    return list(first.values())


def block(
    generated: Iterable[Picture], real: Sequence[Mapping], share: float, generation: int, last: int
) -> list[Picture]:
    """Return what every rater is to see: of each class a `share` in [0, 1) of real pictures.

    The real pictures are dealt to generations 1 to `last`, so that no rater meets one again. Where
    a generation's part of a class is too small for all of `generated`, fewer of these are chosen.

    Args:
      real: lines of real pictures.
    """
    by_class = grouped((picture.class_, picture) for picture in generated)
    pictures = {(line["sha256"], line["class"]): line["index"] for line in reversed(real)}
    for picture in itertools.chain(*by_class.values()):
        pictures.pop(picture[:2], None)  # a generated picture may be a copy, to the bit
    stock = grouped((k[1], Picture(*k, True, None, None, i)) for k, i in pictures.items())
    chosen = []
    for class_, beside in sorted(by_class.items()):
        num = math.floor(len(beside) * share / (1 - share) + 0.5)
        part = shuffled(stock.get(class_, []), "real")[generation - 1 :: last][:num]
        if len(part) < num:
            beside = _evenly(beside, math.floor(len(part) * (1 - share) / share + 0.5))
        chosen += part + beside
    return chosen


def dealt(
    block: Sequence[Picture], remainder: Sequence[Picture], generation: int, rater: str
) -> list[Page]:
    """Return the pages of a rater, in the rater's order: those of the block, then the others."""
    pages = []
    for part, is_rest in ((block, False), (remainder, True)):
        order = shuffled(part, rater, generation)
        for start in range(0, len(order), PAGE):
            pages.append(Page(len(pages) + 1, is_rest, order[start : start + PAGE]))
    return pages


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

"""What every route answers from: what is served, who asks, what was voted, and the frame of a page."""

import datetime
import functools
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

import flask

from jaxloop.provenance import votes
from jaxloop.provenance.votes import Given, Progress
from jaxloop.review import audit_view as audit
from jaxloop.review import deck, material
from jaxloop.review.audit_view import Bin
from jaxloop.review.deck import Deck, Picture
from jaxloop.review.material import Material

RATERS = 64  # whose decks are kept; another's is shuffled anew


class Ballots:
    """votes.jsonl, for many threads: read once, and then what was appended since."""

    def __init__(self, workdir: str | os.PathLike):
        self._workdir, self._lock = workdir, threading.Lock()
        self._given = votes.since(workdir)

    def look(self) -> Given:
        """All that the file holds now. Raises InputError on a line that is no vote."""
        with self._lock:
            self._given = votes.since(self._workdir, self._given)
            return self._given


class Served(NamedTuple):
    """What an application answers from.

    rater: the only one, if given.  token: what a page must send with a vote.  secret: of the ids of pictures.
    picture: by the id that the browser knows it by.  block: of the material.  lock: one undo at a time, from reading
    what stands to writing.  deck: of a rater.  bins: of a score, one of `scores`, by name.
    """

    material: Material
    port: int
    rater: str | None
    token: str
    secret: bytes
    picture: dict[str, Picture]
    block: frozenset[Picture]
    ballots: Ballots
    lock: threading.Lock
    deck: Callable[[str], Deck]
    scores: list[str]
    bins: Callable[[str], list[Bin]]


def prepared(of: Material, port: int, rater: str | None) -> Served:
    """Raises InputError on a broken votes.jsonl."""
    secret = secrets.token_bytes(32)
    picture = {deck.identity(secret, picture): picture for picture in of.pictures}
    scores = audit.scores(of.lines, of.filter["name"])

    @functools.lru_cache(RATERS)
    def dealt(rater: str) -> Deck:
        return deck.dealt(of.block, of.rest, rater, of.generation)

    @functools.cache
    def bins(score: str) -> list[Bin]:
        return audit.bins(of.lines, scores[score], of.by_class)

    return Served(
        of, port, rater, secrets.token_urlsafe(32), secret, picture, frozenset(of.block), Ballots(of.workdir),
        threading.Lock(), dealt, list(scores), bins,
    )  # fmt: skip


def served() -> Served:
    return flask.current_app.extensions["review"]


def sent(field: str):
    """What a page sent by that name, if anything."""
    body = flask.request.get_json()
    return body.get(field) if isinstance(body, dict) else None


def time() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def own_deck() -> Deck:
    return served().deck(flask.g.rater)


def given() -> Given:
    """All votes, of all raters, as they are when this request first asks."""
    if "given" not in flask.g:
        flask.g.given = served().ballots.look()
    return flask.g.given


def own_verdicts() -> dict[tuple[str, int], str]:
    """{(sha256, class): the rater's standing verdict}."""
    if "own" not in flask.g:
        rater = flask.g.rater
        flask.g.own = {
            key[1:]: vote.verdict for key, vote in given().standing.items() if key[0] == rater
        }
    return flask.g.own


def num_voted(pictures: Iterable[Picture]) -> int:
    """On how many of the pictures the rater has voted."""
    own = own_verdicts()
    return sum(picture[:2] in own for picture in pictures)


def done() -> bool:
    """Whether the rater has voted on all of the block, which is the study proper."""
    block = served().material.block
    return num_voted(block) == len(block)


def knows() -> bool:
    """Whether the rater has seen what tells of this generation, so that no vote is blind any more."""
    of = served().material
    return audit.opened(of.workdir, flask.g.rater, of.generation)


def remember(what: str) -> None:
    """Writes down, before it is shown, that the rater sees what tells: "audit" or "summary". The first time only."""
    of = served().material
    if not knows():
        line = {"time": time(), "rater": flask.g.rater, "generation": of.generation, "opened": what}
        audit.choose(of.workdir, line)


def tiles(pictures: Iterable[Picture]) -> list[dict]:
    """What a page shows of pictures, which is the same of generated ones and others."""
    names, secret, own = served().material.class_names, served().secret, own_verdicts()
    return [
        {
            "id": deck.identity(secret, picture),
            "name": names[picture.class_],
            "verdict": own.get(picture[:2], ""),
        }
        for picture in pictures
    ]


def reviewed() -> Progress:
    """How far people are with the generation."""
    if "reviewed" not in flask.g:
        flask.g.reviewed = material.progress(served().material, given().standing)
    return flask.g.reviewed


def page(template: str, **values) -> str:
    of, rater = served().material, flask.g.rater
    known = {
        "generation": of.generation,
        "token": served().token,
        "rater": rater,
        "fixed": bool(served().rater),
    }
    if rater:
        known |= {"done": done(), "waits": of.waits, "behind": len(of.rest)}
        if of.waits:
            # A count that goes up by one with a vote, or does not, would tell which pictures are generated.
            known["reviewed"] = reviewed() if done() or not of.num_real else None
            known |= {
                "needed": of.filter.get("reviewed", 0),
                "num_seeds": len(of.sheets.keys() - {None}),
            }
    return flask.render_template(template, **known, **values)

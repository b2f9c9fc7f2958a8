"""What every route answers from: what is served, and one request of a rater."""

import datetime
import functools
import secrets
import threading
from collections.abc import Iterable

import flask

from jaxloop.provenance import votes
from jaxloop.provenance.votes import Tally, Vote
from jaxloop.review import choices, deck, material, score_bins
from jaxloop.review.deck import Deck, Picture
from jaxloop.review.material import Material

RATERS = 64  # whose decks are kept; another's is shuffled anew


class Review:
    """What an application answers from. Raises InputError on a broken votes.jsonl.

    picture: by the name that the browser knows it by.  deck: of a rater.  bins: of one of `scores`.
    """

    def __init__(self, run: Material, port: int, rater: str):
        self.material, self.port, self.rater = run, port, rater
        self.token = secrets.token_urlsafe(32)  # what a page must send with a vote
        self.identity = functools.partial(deck.identity, secrets.token_bytes(32))
        self.picture = {self.identity(picture): picture for picture in run.pictures}
        self.block = frozenset(run.block)
        self.scores = score_bins.scores(run.lines, run.filter["name"])
        dealt = functools.partial(deck.dealt, run.block, run.remainder, run.generation)
        self.deck = functools.lru_cache(RATERS)(dealt)
        by_class = run.filter["ranking"] == "class"
        bins = functools.partial(score_bins.bins, run.lines, by_class=by_class)
        self.bins = functools.cache(lambda name: bins(self.scores[name]))
        self._lock, self._tally = threading.Lock(), votes.tally(run.workdir)

    def tally(self) -> Tally:
        """Return all votes as they are now. Raises InputError on a line that is no vote."""
        with self._lock:
            self._tally = votes.tally(self.material.workdir, self._tally)
            return self._tally


class Visit:
    """One request of a rater ("" = nobody yet), with the votes as they are when it first asks."""

    def __init__(self, rater: str):
        self.rater, self.review = rater, flask.current_app.extensions["review"]
        self.material: Material = self.review.material

    @property
    def deck(self) -> Deck:
        return self.review.deck(self.rater)

    @functools.cached_property
    def tally(self) -> Tally:
        return self.review.tally()

    @functools.cached_property
    def verdicts(self) -> dict[tuple[str, int], str]:
        """Return {(sha256, class): the rater's standing verdict}."""
        standing = self.tally.standing.items()
        return {key[1:]: vote.verdict for key, vote in standing if key[0] == self.rater}

    def num_voted(self, pictures: Iterable[Picture]) -> int:
        """Return on how many of the pictures the rater has voted."""
        return sum(picture[:2] in self.verdicts for picture in pictures)

    @property
    def done(self) -> bool:
        """Return whether the rater has voted on all of the block, which is the study proper."""
        return self.num_voted(self.material.block) == len(self.material.block)

    def vote(self, picture: Picture, verdict: str) -> Vote:
        """Return a vote: blind on the block, before the audit or the summary is opened."""
        opened = choices.opened(self.material.workdir, self.rater, self.material.generation)
        blind = picture in self.review.block and not opened
        return Vote(now(), self.rater, *picture[:2], verdict, *picture[2:], blind)

    def choose(self, **fields) -> None:
        """Append a line of the rater to choices.jsonl."""
        known = {"rater": self.rater, "generation": self.material.generation}
        choices.append(self.material.workdir, {"time": now()} | known | fields)

    def tiles(self, pictures: Iterable[Picture]) -> list[tuple[str, str, str]]:
        """Return (id, class name, verdict) of pictures, the same of generated and real ones."""
        names, identity, verdicts = self.material.class_names, self.review.identity, self.verdicts
        return [(identity(p), names[p.class_], verdicts.get(p[:2], "")) for p in pictures]

    def page(self, template: str, **values) -> str:
        """Return a page with what its frame shows."""
        run, reviewed = self.material, None
        # A count that goes up with a vote, or does not, would tell what is generated.
        if self.rater and run.waits and (self.done or not run.num_real):
            reviewed = material.progress(run, self.tally.standing)
        return flask.render_template(template, visit=self, run=run, reviewed=reviewed, **values)


def visit() -> Visit:
    return flask.g.visit


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def sent(field: str):
    """Return what a page sent by that name, if anything."""
    try:
        body = flask.request.get_json()
    except RecursionError:
        flask.abort(400, "what was sent is nested too deeply")
    return body.get(field) if isinstance(body, dict) else None

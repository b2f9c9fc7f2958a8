"""What every route answers from: what is served, and one request of a rater."""

import datetime
import functools
import secrets
from collections.abc import Iterable

import flask

from jaxloop.provenance import votes
from jaxloop.provenance.votes import Tally, Vote
from jaxloop.review import choices, deck, score_bins
from jaxloop.review.deck import Page, Picture
from jaxloop.review.material import Material


class Review:
    """What an application answers from. Raises InputError on a broken votes.jsonl.

    name: of a picture for the browser, by (sha256, class); it tells nothing.  picture: by its name.
    pages: of a rater.  bins: of one of `scores`.  tally: of votes as they were last read.
    """

    def __init__(self, run: Material, port: int, rater: str):
        self.material, self.port, self.rater = run, port, rater
        self.cookie = f"name_{port}"  # cookies do not know ports
        self.token = secrets.token_urlsafe(32)  # what a page must send with a vote
        self.name = {picture[:2]: secrets.token_hex(16) for picture in run.pictures}
        self.picture = {self.name[picture[:2]]: picture for picture in run.pictures}
        self.scores = score_bins.scores(run.lines, run.filter["name"])
        dealt = functools.partial(deck.dealt, run.block, run.remainder, run.generation)
        self.pages = functools.lru_cache(64)(dealt)  # raters; another's pages are shuffled anew
        by_class = run.filter["ranking"] == "class"
        self.bins = functools.cache(
            lambda name: score_bins.bins(run.lines, self.scores[name].to_numpy(), by_class)
        )
        self.tally = votes.tally(run.workdir)


class Visit:
    """One request of a rater ("" = nobody yet), with the votes as they are when it first asks."""

    def __init__(self, rater: str):
        self.rater, self.review = rater, flask.current_app.extensions["review"]
        self.run: Material = self.review.material

    @property
    def pages(self) -> list[Page]:
        return self.review.pages(self.rater)

    @functools.cached_property
    def tally(self) -> Tally:
        # No lock: whichever thread is the last to leave its tally, each has a whole one.
        tally = self.review.tally = votes.tally(self.run.workdir, self.review.tally)
        return tally

    @functools.cached_property
    def verdicts(self) -> dict[tuple[str, int], str]:
        """Return {(sha256, class): the rater's standing verdict}, latest last."""
        standing = self.tally.standing.items()
        return {key[1:]: vote.verdict for key, vote in standing if key[0] == self.rater}

    def num_voted(self, pictures: Iterable[Picture]) -> int:
        """Return on how many of the pictures the rater has voted."""
        return sum(picture[:2] in self.verdicts for picture in pictures)

    @property
    def done(self) -> bool:
        """Return whether the rater has voted on all of the block, which is the study proper."""
        return self.num_voted(self.run.block) == len(self.run.block)

    def vote(self, picture: Picture, verdict: str) -> Vote:
        """Return a vote: blind on the block, before the audit or the summary is opened."""
        opened = choices.opened(self.run.workdir, self.rater, self.run.generation)
        blind = picture in self.run.block and not opened
        return Vote(now(), self.rater, *picture[:2], verdict, *picture[2:], blind)

    def choose(self, **fields) -> None:
        """Append a line of the rater to choices.jsonl."""
        known = {"time": now(), "rater": self.rater, "generation": self.run.generation}
        choices.append(self.run.workdir, known | fields)

    def tiles(self, pictures: Iterable[Picture]) -> list[tuple[str, str, str]]:
        """Return (name, class name, verdict) of pictures, the same of generated and real ones."""
        names, classes, verdicts = self.review.name, self.run.class_names, self.verdicts
        return [(names[p[:2]], classes[p.class_], verdicts.get(p[:2], "")) for p in pictures]

    def page(self, template: str, **values) -> str:
        """Return a page with what its frame shows."""
        run, reviewed = self.run, None
        # A count that goes up with a vote, or does not, would tell what is generated.
        if self.rater and run.waits and (self.done or not run.num_real):
            reviewed = run.progress(self.tally.standing)
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

"""The study: the pages of pictures, the votes on them, and what all of it amounts to."""

from collections import Counter

import flask

from jaxloop.provenance import sheets, study, votes
from jaxloop.review import context, deck
from jaxloop.review.context import served
from jaxloop.review.deck import Picture

routes = flask.Blueprint("study", __name__)


@routes.get("/")
def start():
    """Where the rater goes on with the study: the first page of the block with a picture that has no vote."""
    return _first_open(deck.pages(context.own_deck().block), 1)


@routes.get("/rest")
def rest():
    """The same of the rest, when the block is done."""
    shown = context.own_deck()
    first = len(deck.pages(shown.block)) + 1
    return _first_open(deck.pages(shown.rest), first) if context.done() else flask.redirect("/")


def _first_open(pages: list, first: int):
    """pages: of which the first has the number `first`. The summary if all of them are done."""
    for number, page in enumerate(pages, start=first):
        if context.num_voted(page) < len(page):
            return flask.redirect(f"/page/{number}")
    return flask.redirect("/summary")


@routes.get("/page/<int:number>")
def page(number: int):
    shown = context.own_deck()
    pages, num_block = shown.pages, len(deck.pages(shown.block))
    if not 1 <= number <= len(pages):
        flask.abort(404)
    is_rest = number > num_block
    if is_rest and not context.done():
        return flask.redirect("/")  # whoever sees what is generated, all of it, knows how it looks
    part, first, last = (
        (shown.rest, num_block + 1, len(pages)) if is_rest else (shown.block, 1, num_block)
    )
    after = f"/page/{number + 1}" if number < last else "/rest" if is_rest else "/"
    return context.page(
        "study.html", is_rest=is_rest, number=number - first + 1, num_pages=last - first + 1,
        tiles=context.tiles(pages[number - 1]), num=len(part), voted=context.num_voted(part),
        mixed=served().material.num_real > 0, before=f"/page/{number - 1}" if number > 1 else None, after=after,
    )  # fmt: skip


@routes.get("/pictures/<identity>.png")
def picture(identity: str):
    if identity not in served().picture:
        flask.abort(404)
    image = served().material.image(served().picture[identity])
    # Not packed: real pictures and generated ones pack differently well, and a browser tells how long they are.
    return flask.Response(sheets.png(image, packed=False), mimetype="image/png")


@routes.post("/vote")
def vote():
    """Takes a vote: it is on the disk before the answer."""
    picture, verdict = served().picture.get(str(context.sent("picture"))), context.sent("verdict")
    if picture is None:
        flask.abort(404, "there is no such picture")
    if verdict not in ("keep", "drop"):
        flask.abort(400, "a vote is keep or drop")
    _append(picture, verdict)
    return flask.jsonify(verdict=verdict)


@routes.post("/undo")
def undo():
    """Takes the rater's last standing vote back, and says which page it is on."""
    shown = context.own_deck()
    with served().lock:
        given = context.given()
        picture = deck.latest(given.votes, given.standing, flask.g.rater, shown.block + shown.rest)
        if picture is None:
            flask.abort(409, "there is no vote to take back")
        _append(picture, "undo")
    return flask.jsonify(picture=deck.identity(served().secret, picture), page=shown.page(picture))


def _append(picture: Picture, verdict: str) -> None:
    """A vote is blind on the block, for as long as the rater has seen nothing that tells."""
    blind = picture in served().block and not context.knows()
    vote = votes.Vote(context.time(), flask.g.rater, *picture[:2], verdict, *picture[2:], blind)
    votes.append(served().material.workdir, vote)


@routes.get("/summary")
def summary():
    """What the votes on the block amount to: nothing but the rater's own numbers before the rater is done."""
    of, given = served().material, context.given()
    keys = {picture[:2] for picture in of.block}
    standing, blind = (
        {key: vote for key, vote in stands.items() if key[1:] in keys}
        for stands in (given.standing, given.blind)
    )
    if not context.done():
        own = Counter(vote.verdict for vote in standing.values() if vote.rater == flask.g.rater)
        return context.page("summary_closed.html", own=own, num=len(of.block))
    context.remember("summary")
    counts: dict[str, Counter] = {}
    for vote in standing.values():
        counts.setdefault(vote.rater, Counter())[vote.verdict] += 1
    num_blind = Counter(vote.rater for vote in blind.values())
    return context.page(
        "summary.html", own=counts[flask.g.rater], counts=sorted(counts.items()), num_blind=num_blind,
        num=len(of.block), num_real=of.num_real, progress=context.reviewed(), torn=given.torn,
        detection=study.detection(blind), agreement=study.agreement(blind), own_rest=context.num_voted(of.rest),
    )  # fmt: skip

"""The pages of the study and of the audit, and what they send."""

from collections import Counter

import flask

from jaxloop.provenance import sheets, study, votes
from jaxloop.review import choices, score_bins
from jaxloop.review.context import sent, visit

review = flask.Blueprint("review", __name__)
OPEN = {"review.name", "review.take_name", "static"}  # answered to who has no name yet
NAME = "a name of 1 to 40 letters"


def cleaned(name: object) -> str:
    """Return a rater's name without blanks around it; "" if it is none."""
    stripped = name.strip() if isinstance(name, str) else ""
    return stripped if len(stripped) <= 40 and stripped.isprintable() else ""


@review.get("/name")
def name():
    """Show the form for a name; where the rater is given there is none."""
    return flask.abort(404) if visit().review.rater else visit().page("name.html")


@review.post("/name")
def take_name():
    chosen = cleaned(sent("name"))
    if not chosen:
        flask.abort(400, f"a rater has {NAME}")
    answer, cookie = flask.jsonify(rater=chosen), visit().review.cookie
    answer.set_cookie(cookie, chosen, max_age=31_536_000, httponly=True, samesite="Strict")
    return answer


@review.get("/")
@review.get("/rest")
def resume():
    """Go to the first page of the block, or of the remainder, that is not voted on as a whole."""
    is_rest = flask.request.path == "/rest"
    if is_rest and not visit().done:
        return flask.redirect("/")
    for page in visit().pages:
        if page.is_rest == is_rest and visit().num_voted(page.pictures) < len(page.pictures):
            return flask.redirect(f"/page/{page.number}")
    return flask.redirect("/summary")


@review.get("/page/<int:number>")
def page(number: int):
    """Show a page; of the remainder only to who is done with the block."""
    run, pages = visit().run, visit().pages
    if not 1 <= number <= len(pages):
        flask.abort(404)
    _, is_rest, pictures = pages[number - 1]
    if is_rest and not visit().done:
        return flask.redirect("/")  # who sees that all of it is generated knows how that looks
    part = run.remainder if is_rest else run.block
    numbers = [page.number for page in pages if page.is_rest == is_rest]
    after = f"/page/{number + 1}" if number < numbers[-1] else "/rest" if is_rest else "/"
    return visit().page(
        "study.html", is_rest=is_rest, number=numbers.index(number) + 1, num_pages=len(numbers),
        tiles=visit().tiles(pictures), num=len(part), voted=visit().num_voted(part),
        after=after, before=f"/page/{number - 1}" if number > 1 else None,
    )  # fmt: skip


@review.get("/pictures/<identity>.png")
def picture(identity: str):
    picture = visit().review.picture.get(identity) or flask.abort(404)
    # Not packed: real and generated pictures pack differently well, and a browser sees the length.
    image = visit().run.sheets[picture.seed][picture.index]
    return flask.Response(sheets.png(image, packed=False), mimetype="image/png")


@review.post("/vote")
def vote():
    """Take a vote: it is on the disk before the answer."""
    picture, verdict = visit().review.picture.get(str(sent("picture"))), sent("verdict")
    if picture is None:
        flask.abort(404, "there is no such picture")
    if verdict not in ("keep", "drop"):
        flask.abort(400, "a vote is keep or drop")
    votes.append(visit().run.workdir, visit().vote(picture, verdict))
    return flask.jsonify(verdict=verdict)


@review.post("/undo")
def undo():
    """Take the rater's latest standing vote back, and answer which page it is on."""
    review = visit().review
    # Decided on what is on the disk while nobody else writes, be it by another server: a visit
    # reads the votes when it first asks for them, which is here.
    with votes.appending(visit().run.workdir) as append:
        voted = [key for key in visit().verdicts if key in review.name]
        if not voted:
            flask.abort(409, "there is no vote to take back")
        name = review.name[voted[-1]]
        picture = review.picture[name]
        append(visit().vote(picture, "undo"))
    number = next(page.number for page in visit().pages if picture in page.pictures)
    return flask.jsonify(picture=name, page=number)


@review.get("/summary")
def summary():
    """Show what the votes on the block amount to; before the rater is done, only own numbers."""
    run, tally, rater = visit().run, visit().tally, visit().rater
    keys = {picture[:2] for picture in run.block}
    standing, blind = (
        {key: vote for key, vote in part.items() if key[1:] in keys}
        for part in (tally.standing, tally.blind)
    )
    counts = {rater: Counter()}
    for vote in standing.values():
        counts.setdefault(vote.rater, Counter())[vote.verdict] += 1
    if not visit().done:
        return visit().page("summary_closed.html", rater_count=counts[rater])
    visit().choose(opened="summary")
    return visit().page(
        "summary.html", rater_count=counts[rater], counts=sorted(counts.items()), torn=tally.torn,
        num_blind=Counter(vote.rater for vote in blind.values()),
        progress=run.progress(tally.standing), detection=study.detection(blind),
        agreement=study.agreement(blind), num_rest=visit().num_voted(run.remainder),
    )  # fmt: skip


@review.get("/audit")
def audit():
    """Show the bins of a score; before the rater is done, only after saying what that costs."""
    run, scores = visit().run, visit().review.scores
    score = flask.request.args.get("score", next(iter(scores), None))
    if score is not None and score not in scores:
        flask.abort(404)
    # Another site may lead here, but not say yes for the rater.
    elsewhere = flask.request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none")
    if not visit().done and (elsewhere or flask.request.args.get("open") != "yes"):
        return visit().page("audit_closed.html", score=score)
    bins = visit().review.bins(score) if score else []
    if bins:
        visit().choose(opened="audit")
    return visit().page(
        "audit.html", bins=bins, scores=list(scores), score=score, last=score_bins.NUM_BINS,
        outcomes=Counter(line["reason"] for line in run.lines),
        chosen=choices.chosen(run.workdir, visit().rater, run.generation).get(score or ""),
    )  # fmt: skip


@review.post("/choice")
def choose():
    """Take a drop rate, chosen after a bin: it is on the disk before the answer."""
    review, score, number = visit().review, str(sent("score")), sent("bin")
    bins = review.bins(score) if score in review.scores else []
    rates = {b.number: b.drop for b in bins if b.parted and b.number < score_bins.NUM_BINS}
    if type(number) is not int or number not in rates:
        flask.abort(400, "a choice is of a score of this run, and a bin with a rate on the page")
    visit().choose(score=score, drop=rates[number])
    return flask.jsonify(drop=rates[number])

"""The audit: a generation in bins by a score, and the rate to drop that a person chooses there."""

import flask

from jaxloop.review import audit_view as audit
from jaxloop.review import context
from jaxloop.review.context import served

routes = flask.Blueprint("audit", __name__)


@routes.get("/audit")
def audited():
    """The bins of a score; before the rater is done, only after saying what that costs."""
    of, scores = served().material, served().scores
    score = flask.request.args.get("score", next(iter(scores), None))
    if score is not None and score not in scores:
        flask.abort(404)
    if not context.done() and flask.request.args.get("open") != "yes":
        return context.page("audit_closed.html", score=score)
    found = served().bins(score) if scores else []
    if found:
        context.remember("audit")
    return context.page(
        "audit.html", bins=[(b, context.tiles(b.pictures)) for b in found], scores=scores, score=score,
        by_class=of.by_class, num=len(of.lines), num_scored=sum(b.size for b in found), last=audit.NUM_BINS,
        tied=not all(b.parted for b in found), chosen=audit.chosen(of.workdir, flask.g.rater, of.generation, score),
    )  # fmt: skip


@routes.post("/choice")
def choose():
    """Takes a drop rate, chosen after a bin: it is on the disk before the answer."""
    of, score, number = served().material, str(context.sent("score")), context.sent("bin")
    found = served().bins(score) if score in served().scores else []
    cuts = {b.number: b.drop for b in found if b.parted and b.number < audit.NUM_BINS}
    if type(number) is not int or number not in cuts:
        flask.abort(
            400, "a choice names a score of this run, and a bin after which the page offers one"
        )
    choice = {
        "rater": flask.g.rater,
        "generation": of.generation,
        "score": score,
        "drop": cuts[number],
    }
    audit.choose(of.workdir, {"time": context.time()} | choice)
    return flask.jsonify(drop=cuts[number])

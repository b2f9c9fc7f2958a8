"""The pages and what they send: routes of a Flask application that serves one generation of one run."""

import datetime
import secrets
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import flask
from werkzeug.exceptions import HTTPException

from jaxloop.errors import InputError
from jaxloop.provenance import sheets, study, votes
from jaxloop.review import audit, deck, guard, material
from jaxloop.review.deck import Picture
from jaxloop.review.material import Material

routes = flask.Blueprint("review", __name__)
_OPEN = {"review.name", "review.take_name", "review.static_file"}  # what is answered before a rater has a name
_STATIC = {path.name: path.read_bytes() for path in Path(__file__).with_name("static").iterdir()}
_TYPES = {".css": "text/css", ".js": "text/javascript"}


class Served(NamedTuple):
    """What an application answers from.

    rater: the only one, if given.  token: what a page must send with a vote.  secret: of the ids of pictures.
    picture: by the id that the browser knows it by.  lock: one undo at a time, from reading what stands to writing.
    """

    material: Material
    port: int
    rater: str | None
    token: str
    secret: bytes
    picture: dict[str, Picture]
    lock: threading.Lock


def create(of: Material, port: int, rater: str | None = None) -> flask.Flask:
    """The application, to be served at 127.0.0.1:port. Raises InputError on a `rater` that is no name."""
    secret = secrets.token_bytes(32)
    picture = {deck.identity(secret, picture): picture for picture in of.pictures}
    rater = None if rater is None else checked_name(rater)
    app = flask.Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # what is not served is not there, and not sent elsewhere
    app.config["MAX_CONTENT_LENGTH"] = 10_000
    app.extensions["review"] = Served(of, port, rater, secrets.token_urlsafe(32), secret, picture, threading.Lock())
    app.before_request(_admit)
    app.after_request(_harden)
    app.register_blueprint(routes)
    for error in (HTTPException, InputError, OSError):
        app.register_error_handler(error, _say)
    return app


def checked_name(name: object) -> str:
    """A rater's name without blanks around it. Raises InputError."""
    stripped = name.strip() if isinstance(name, str) else ""
    if not (0 < len(stripped) <= 40 and stripped.isprintable()):
        raise InputError("--rater", name, "a name of 1 to 40 letters")
    return stripped


@routes.get("/")
def start():
    """Where the rater goes on: the first page with a picture that has no vote, or the summary."""
    for number, page in enumerate(deck.pages(_deck()), start=1):
        if not _done(page):
            return flask.redirect(f"/page/{number}")
    return flask.redirect("/summary")


@routes.get("/name")
def name():
    """The form for a name; where the rater is given there is none."""
    return flask.abort(404) if _served().rater else _page("name.html")


@routes.post("/name")
def take_name():
    try:
        chosen = checked_name(_sent("name"))
    except InputError as error:
        flask.abort(400, f"a rater has {error.allowed}")
    answer = flask.jsonify(rater=chosen)
    answer.set_cookie(_cookie(), urllib.parse.quote(chosen), max_age=31_536_000, httponly=True, samesite="Strict")
    return answer


@routes.get("/page/<int:number>")
def page(number: int):
    shown = _deck()
    pages = deck.pages(shown)
    if not 1 <= number <= len(pages):
        flask.abort(404)
    return _page(
        "study.html", number=number, num_pages=len(pages), tiles=_tiles(pages[number - 1]), num=len(shown),
        voted=sum(map(bool, map(_verdict, shown))), mixed=any(picture.real for picture in shown),
        next="/" if number == len(pages) else f"/page/{number + 1}",
    )  # fmt: skip


@routes.get("/pictures/<identity>.png")
def picture(identity: str):
    served = _served()
    if identity not in served.picture:
        flask.abort(404)
    return flask.Response(sheets.png(served.material.image(served.picture[identity])), mimetype="image/png")


@routes.post("/vote")
def vote():
    """Takes a vote: it is on the disk before the answer."""
    picture, verdict = _served().picture.get(str(_sent("picture"))), _sent("verdict")
    if picture is None:
        flask.abort(404, "there is no such picture")
    if verdict not in ("keep", "drop"):
        flask.abort(400, "a vote is keep or drop")
    _append(picture, verdict)
    return flask.jsonify(verdict=verdict)


@routes.post("/undo")
def undo():
    """Takes the rater's last standing vote back, and says which page it is on."""
    served, shown = _served(), _deck()
    with served.lock:
        picture = deck.latest(votes.read(served.material.workdir), flask.g.rater, shown)
        if picture is None:
            flask.abort(409, "there is no vote to take back")
        _append(picture, "undo")
    page = shown.index(picture) // deck.PAGE + 1
    return flask.jsonify(picture=deck.identity(served.secret, picture), page=page)


@routes.get("/summary")
def summary():
    """What the votes amount to: nothing but the rater's own numbers before the rater is done."""
    of = _served().material
    keys = {picture[:2] for picture in of.pictures}
    standing = {key: vote for key, vote in _standing().items() if key[1:] in keys}
    counts = {rater: Counter(v.verdict for v in standing.values() if v.rater == rater) for rater, *_ in standing}
    return _page(
        "summary.html", own=counts.get(flask.g.rater, Counter()), counts=sorted(counts.items()), num=len(of.pictures),
        num_real=sum(picture.real for picture in of.pictures), detection=study.detection(standing),
        agreement=study.agreement(standing),
    )  # fmt: skip


@routes.get("/audit")
def audited():
    """The bins of a score; before the rater is done, only after saying what that costs."""
    of = _served().material
    scores = audit.scores(of.lines, of.filter["name"])
    score = flask.request.args.get("score", next(iter(scores), None))
    if score is not None and score not in scores:
        flask.abort(404)
    if not _done(of.pictures) and flask.request.args.get("open") != "yes":
        return _page("audit_closed.html", score=score)
    by_class = of.filter.get("ranking", "class") == "class"  # runs of versions without the field ranked so
    found = audit.bins(of.lines, scores[score], by_class) if scores else []
    return _page(
        "audit.html", bins=[(b, _tiles(b.pictures)) for b in found], scores=list(scores), score=score,
        by_class=by_class, num=len(of.lines), num_scored=sum(b.size for b in found), last=audit.NUM_BINS,
        chosen=audit.chosen(of.workdir, flask.g.rater, of.generation, score),
    )  # fmt: skip


@routes.post("/choice")
def choose():
    """Takes a drop rate, chosen after a bin: it is on the disk before the answer."""
    of, score, number = _served().material, str(_sent("score")), _sent("bin")
    if score not in audit.scores(of.lines, of.filter["name"]) or number not in range(1, audit.NUM_BINS):
        flask.abort(400, f"a choice names a score of this run and a bin from 1 to {audit.NUM_BINS - 1}")
    drop = number / audit.NUM_BINS
    choice = {"time": _now(), "rater": flask.g.rater, "generation": of.generation, "score": score, "drop": drop}
    audit.choose(of.workdir, choice)
    return flask.jsonify(drop=drop)


@routes.get("/static/<file>")
def static_file(file: str):
    if file not in _STATIC:
        flask.abort(404)
    return flask.Response(_STATIC[file], mimetype=_TYPES[Path(file).suffix])


def _served() -> Served:
    return flask.current_app.extensions["review"]


def _admit():
    """Before every request: is it from here, and from whom?"""
    served, request = _served(), flask.request
    refused = guard.refusal(request.method, request.headers, served.port, served.token)
    if refused:
        flask.abort(*refused)
    flask.g.rater = served.rater or _remembered()
    if not flask.g.rater and request.endpoint and request.endpoint not in _OPEN:
        return flask.redirect("/name") if request.method == "GET" else flask.abort(403, "say your name first")


def _remembered() -> str:
    """The name that the browser was given to keep, or "" if there is none."""
    try:
        return checked_name(urllib.parse.unquote(flask.request.cookies.get(_cookie(), "")))
    except InputError:
        return ""


def _harden(response: flask.Response) -> flask.Response:
    response.headers.update(guard.HEADERS)
    return response


def _say(error: Exception):
    """An error as one sentence: as text to who reads, as JSON to a page that sent something."""
    status, why = (error.code, error.description) if isinstance(error, HTTPException) else (500, str(error))
    if flask.request.method == "POST":
        return flask.jsonify(error=why), status
    return flask.Response(f"{status}: {why}\n", status, mimetype="text/plain")


def _cookie() -> str:
    return f"rater_{_served().port}"  # cookies do not know ports: two servers side by side must not share one


def _sent(field: str):
    body = flask.request.get_json()
    return body.get(field) if isinstance(body, dict) else None


def _deck() -> list[Picture]:
    of = _served().material
    return deck.shuffled(of.pictures, flask.g.rater, of.generation)


def _standing() -> dict[votes.Key, votes.Vote]:
    """What stands at this request, of all raters."""
    if "standing" not in flask.g:
        flask.g.standing = votes.standing(votes.read(_served().material.workdir))
    return flask.g.standing


def _verdict(picture: Picture) -> str:
    """The rater's standing verdict on a picture, or "" if there is none."""
    vote = _standing().get((flask.g.rater, *picture[:2]))
    return vote.verdict if vote else ""


def _done(pictures: Iterable[Picture]) -> bool:
    return all(map(_verdict, pictures))


def _tiles(pictures: Iterable[Picture]) -> list[dict]:
    """What a page shows of pictures, which is the same of generated ones and others."""
    served = _served()
    names = served.material.class_names
    return [{"id": deck.identity(served.secret, p), "name": names[p.class_], "verdict": _verdict(p)} for p in pictures]


def _append(picture: Picture, verdict: str) -> None:
    workdir = _served().material.workdir
    votes.append(workdir, votes.Vote(_now(), flask.g.rater, *picture[:2], verdict, *picture[2:]))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _page(template: str, **values) -> str:
    served, rater = _served(), flask.g.rater
    of = served.material
    known = {"generation": of.generation, "token": served.token, "rater": rater, "fixed": bool(served.rater)}
    if rater:
        known |= {"done": _done(of.pictures), "waits": of.waits}
        known["reviewed"] = material.progress(of, _standing().values())
    return flask.render_template(template, **known, **values)

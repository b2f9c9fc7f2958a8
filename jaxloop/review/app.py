"""The application: what comes before and after every route, and the rater's name."""

import urllib.parse
from pathlib import Path

import flask
from werkzeug.exceptions import HTTPException

from jaxloop.errors import InputError
from jaxloop.review import auditing, context, guard, voting
from jaxloop.review.context import sent, served
from jaxloop.review.material import Material

routes = flask.Blueprint("review", __name__)
_OPEN = {
    "review.name",
    "review.take_name",
    "review.static_file",
}  # what is answered before a rater has a name
_STATIC = {path.name: path.read_bytes() for path in Path(__file__).with_name("static").iterdir()}
_TYPES = {".css": "text/css", ".js": "text/javascript"}


def create(of: Material, port: int, rater: str | None = None) -> flask.Flask:
    """The application, to be served at 127.0.0.1:port.

    Raises InputError on a `rater` that is no name, and on a broken votes.jsonl.
    """
    app = flask.Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # what is not served is not there, and not sent elsewhere
    app.config["MAX_CONTENT_LENGTH"] = 10_000
    app.extensions["review"] = context.prepared(
        of, port, None if rater is None else checked_name(rater)
    )
    app.before_request(_admit)
    app.after_request(_harden)
    for blueprint in (routes, voting.routes, auditing.routes):
        app.register_blueprint(blueprint)
    for error in (HTTPException, InputError, OSError):
        app.register_error_handler(error, _say)
    return app


def checked_name(name: object) -> str:
    """A rater's name without blanks around it. Raises InputError."""
    stripped = name.strip() if isinstance(name, str) else ""
    if not (0 < len(stripped) <= 40 and stripped.isprintable()):
        raise InputError("--rater", name, "a name of 1 to 40 letters")
    return stripped


@routes.get("/name")
def name():
    """The form for a name; where the rater is given there is none."""
    return flask.abort(404) if served().rater else context.page("name.html")


@routes.post("/name")
def take_name():
    try:
        chosen = checked_name(sent("name"))
    except InputError as error:
        flask.abort(400, f"a rater has {error.allowed}")
    answer = flask.jsonify(rater=chosen)
    answer.set_cookie(
        _cookie(), urllib.parse.quote(chosen), max_age=31_536_000, httponly=True, samesite="Strict"
    )
    return answer


@routes.get("/static/<file>")
def static_file(file: str):
    if file not in _STATIC:
        flask.abort(404)
    return flask.Response(_STATIC[file], mimetype=_TYPES[Path(file).suffix])


def _admit():
    """Before every request: is it from here, from whom, and from the page of the one who now votes in this browser?"""
    request = flask.request
    refused = guard.refusal(request.method, request.headers, served().port, served().token)
    if refused:
        flask.abort(*refused)
    flask.g.rater = served().rater or _remembered()
    if not request.endpoint or request.endpoint in _OPEN:
        return None
    if not flask.g.rater:
        return (
            flask.redirect("/name")
            if request.method == "GET"
            else flask.abort(403, "say your name first")
        )
    if request.method == "POST" and sent("rater") != flask.g.rater:
        flask.abort(409, f"you are now {flask.g.rater}; load this page again")
    return None


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
    status, why = (
        (error.code, error.description) if isinstance(error, HTTPException) else (500, str(error))
    )
    if flask.request.method == "POST":
        return flask.jsonify(error=why), status
    return flask.Response(f"{status}: {why}\n", status, mimetype="text/plain")


def _cookie() -> str:
    return f"rater_{served().port}"  # cookies do not know ports: two servers side by side must not share one

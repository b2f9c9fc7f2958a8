"""The application, with what comes before and after every route; and the server around it.

Any page that is open in the same browser can send requests to 127.0.0.1. So a request must name
this server as its host (a foreign name that resolves to 127.0.0.1 does not), and a vote must come
from a page that this very process served. A page of another origin may link here, but load nothing
from here into itself, which would count as seen.

There are no passwords: whoever has an account on this machine can reach the server, and vote under
any name.
"""

import hmac
import socket

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from jaxloop import files
from jaxloop.errors import InputError, refusing
from jaxloop.review import routes
from jaxloop.review.context import Review, Visit, sent
from jaxloop.review.material import Material

ADDRESS = "127.0.0.1"
TOKEN = "X-Review-Token"  # another origin's page cannot send it unless the server agrees
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def serve(material: Material, port: int, rater: str | None) -> None:
    """Serve until an interrupt. port: 0 = any free one. Raises InputError on a bad port or name."""
    with refusing("--port", port, "a free port, or 0 for any", OSError):
        listener = socket.create_server((ADDRESS, port), backlog=128)
    with listener:
        port = listener.getsockname()[1]
        app = create(material, port, rater)
        # By its file descriptor: werkzeug's own bind would end the process where the port is taken.
        quiet = type("Quiet", (WSGIRequestHandler,), {"log_request": lambda *_: None})
        server = make_server(ADDRESS, port, app, True, 1, quiet, fd=listener.fileno())
        torn = app.extensions["review"].tally.torn
        files.say(f"{described(material, torn)} at http://{ADDRESS}:{port}/")
        server.serve_forever()


def described(material: Material, torn: int) -> str:
    """Return what is served; the share of real pictures may be less than was asked for."""
    num, num_real, num_behind = len(material.block), material.num_real, len(material.remainder)
    shown = f"{num - num_real} generated and {num_real} real pictures ({num_real / num:.1%} real)"
    behind = f", and {num_behind} generated ones behind them" if num_behind else ""
    broken = f"; broken lines of votes.jsonl, left out: {torn};" if torn else ""
    return f"generation {material.generation}: {shown}{behind}{broken}"


def create(material: Material, port: int, rater: str | None = None) -> flask.Flask:
    """Return the application, to be served at 127.0.0.1:port.

    Raises InputError on a `rater` that is no name, and on a broken votes.jsonl.
    """
    if rater is not None and not routes.cleaned(rater):
        raise InputError("--rater", rater, routes.NAME)
    app = flask.Flask(__name__)
    app.url_map.merge_slashes = False  # what is not served is not found, and not sent elsewhere
    app.config["MAX_CONTENT_LENGTH"] = 10_000
    app.extensions["review"] = Review(material, port, routes.cleaned(rater))
    app.before_request(_admit)
    app.after_request(_harden)
    app.register_blueprint(routes.review)
    for error in (HTTPException, InputError, OSError):
        app.register_error_handler(error, _say)
    return app


def refusal(method: str, headers, port: int, token: str) -> tuple[int, str] | None:
    """Return (HTTP status, sentence) of a request that is refused; None for one to be answered."""
    host = headers.get("Host", "")
    if host not in (f"{ADDRESS}:{port}", f"localhost:{port}"):
        return 403, f"this server answers as http://{ADDRESS}:{port}/ only"
    if method not in ("GET", "POST"):
        return 405, "only GET and POST are answered"
    is_same_site = headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    if method == "GET" and not is_same_site and headers.get("Sec-Fetch-Dest") != "document":
        return 403, "this is asked for by a page of another site"
    if method == "POST":
        if headers.get("Origin", f"http://{host}") != f"http://{host}":
            return 403, "this comes from a page of another origin"
        if not is_same_site:
            return 403, "this comes from a page of another site"
        if not hmac.compare_digest(headers.get(TOKEN, "").encode(), token.encode()):
            return 403, "this page is of an earlier start of the server; load it again"
    return None


def _admit():
    """Refuse a request from elsewhere, of nobody, or of the page of another rater."""
    request, review = flask.request, flask.current_app.extensions["review"]
    refused = refusal(request.method, request.headers, review.port, review.token)
    if refused:
        flask.abort(*refused)
    rater = review.rater or routes.cleaned(request.cookies.get(review.cookie))
    flask.g.visit = Visit(rater)
    if not request.endpoint or request.endpoint in routes.OPEN:
        return None
    if not rater and request.method == "GET":
        return flask.redirect("/name")
    if not rater:
        flask.abort(403, "say your name first")
    if request.method == "POST" and sent("rater") != rater:
        flask.abort(409, f"you are now {rater}; load this page again")
    return None


def _harden(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    return response


def _say(error: Exception):
    """Answer an error as one sentence: text to a reader, JSON to a page that sent something."""
    status, sentence = 500, str(error)
    if isinstance(error, HTTPException):
        status, sentence = error.code or 500, error.description
    if flask.request.method == "POST":
        return flask.jsonify(error=sentence), status
    return flask.Response(f"{status}: {sentence}\n", status, mimetype="text/plain")

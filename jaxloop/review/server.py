"""The server: one socket on the loopback address, and nothing said but where it listens."""

import os
import socket

from werkzeug.serving import WSGIRequestHandler, make_server

from jaxloop.errors import InputError
from jaxloop.review import app
from jaxloop.review.guard import ADDRESS
from jaxloop.review.material import Material


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_) -> None:
        """The terminal is the person's who runs the study; a line for every picture would bury its address."""


def serve(of: Material, port: int, rater: str | None) -> None:
    """Serves until it is interrupted. port: 0 = any that is free. Raises InputError on a bad port or name."""
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        application = app.create(of, port, rater)
        # By its file descriptor: werkzeug's own bind would end the process where the port is taken.
        server = make_server(
            ADDRESS, port, application, threaded=True, request_handler=_Quiet, fd=listener.fileno()
        )
        torn = application.extensions["review"].ballots.look().torn
        print(f"{_described(of, torn)} at http://{ADDRESS}:{port}/", flush=True)
        server.serve_forever()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((ADDRESS, port), backlog=128)
    except OSError as error:
        raise InputError(
            "--port", port, f"a free port, or 0 for any ({os.strerror(error.errno)})"
        ) from None


def _described(of: Material, torn: int) -> str:
    """Whose share of real pictures is told here, and on the page to who is done: it may not be what was asked for."""
    num, num_real = len(of.block), of.num_real
    shown = f"{num - num_real} generated and {num_real} real pictures ({num_real / num:.1%} real)"
    behind = f", and {len(of.rest)} generated ones behind them" if of.rest else ""
    lost = f"; broken lines of votes.jsonl, left out: {torn};" if torn else ""
    return f"generation {of.generation}: {shown}{behind}{lost}"

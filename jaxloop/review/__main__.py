"""python -m jaxloop.review WORKDIR: a page on which people vote on the images of a run.

Served to this machine alone. Each vote is kept in WORKDIR/votes.jsonl at once; started again,
everybody goes on where they were. A run that waits for people (config.filter.name=human) goes on by
its own command once enough is voted on.
"""

import argparse
import math
import sys

from jaxloop import files
from jaxloop.errors import EXIT_CODE, InputError

PORT, REAL = 8642, 0.2


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 after an interrupt, or 2 after one line on stderr on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.review",
        description=str(__doc__).partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("workdir", metavar="WORKDIR", help="a run, with provenance/ and images/")
    for flag, name, default, text in (
        ("--generation", "N", None, "the generation to show; default: the last"),
        ("--rater", "NAME", None, "who votes; default: the page asks, and several may vote"),
        ("--real", "SHARE", REAL, f"of real images among all; default: {REAL}"),
        ("--port", "P", PORT, f"0: any that is free; default: {PORT}"),
    ):
        parser.add_argument(flag, metavar=name, default=default, help=text)
    try:
        _serve(parser.parse_args(argv))
    except (InputError, OSError) as error:  # OSError: a folder that may not be read
        files.say(f"jaxloop: {error}", sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        pass  # before the server, which takes it for its end
    files.say("jaxloop: the server has ended; the votes are in the workdir", sys.stderr)
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    generation = arguments.generation
    if generation is not None:
        generation = _number("--generation", generation, int, 0, math.inf, "an integer >= 0")
    share = _number("--real", arguments.real, float, 0, 0.9, "a number in [0, 0.9]")
    port = _number("--port", arguments.port, int, 0, 65535, "an integer in [0, 65535]")
    try:
        from jaxloop.review import app, material
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "werkzeug"):
            raise
        install = ".venv/bin/python -m pip install -c constraints.txt -e '.[review]'"
        allowed = f"with Flask installed: {install}"
        raise InputError("python -m jaxloop.review", arguments.workdir, allowed) from None
    workdir = files.expanded(arguments.workdir, "WORKDIR")
    app.serve(material.load(workdir, generation, share), port, arguments.rater)


def _number(flag: str, text: str, kind: type, low: float, high: float, allowed: str):
    try:
        number = kind(text)
        if low <= number <= high:
            return number
    except ValueError:
        pass
    raise InputError(flag, text, allowed)


if __name__ == "__main__":
    sys.exit(main())

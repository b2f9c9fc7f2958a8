"""python -m jaxloop.review WORKDIR: a page on which people vote on the images that a run generated.

Served to this machine alone. Each vote is kept in WORKDIR/votes.jsonl at once; started again, everybody goes on where
they were. A run that waits for people (config.filter.name=human) goes on by its own command once enough is voted on.
"""

import argparse
import sys

from jaxloop.errors import EXIT_CODE, InputError

PORT, REAL = 8642, 0.2


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 when it was interrupted, or 2 after one line on stderr if anything is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.review",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "workdir", metavar="WORKDIR", help="folder of a run, with provenance/ and images/"
    )
    parser.add_argument(
        "--generation", metavar="N", help="the generation to look at; default: the last"
    )
    parser.add_argument(
        "--rater",
        metavar="NAME",
        help="who votes; default: the page asks, and several people may vote",
    )
    parser.add_argument(
        "--real", metavar="SHARE", default=REAL, help=f"of real images among all; default: {REAL}"
    )
    parser.add_argument(
        "--port", metavar="P", default=PORT, help=f"0: any that is free; default: {PORT}"
    )
    try:
        _serve(parser.parse_args(argv))
    except (InputError, OSError) as error:  # OSError: a folder that may not be read
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:
        pass
    print("jaxloop: the server has ended; the votes are in the workdir", file=sys.stderr)
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    generation = arguments.generation and _number(
        "--generation", arguments.generation, int, lambda g: g >= 0, ">= 0"
    )
    share = _number("--real", arguments.real, float, lambda share: 0 <= share <= 0.9, "in [0, 0.9]")
    port = _number("--port", arguments.port, int, lambda port: 0 <= port < 2**16, "in [0, 65535]")
    try:
        from jaxloop.review import material, server
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "werkzeug"):
            raise
        install = "with Flask installed: .venv/bin/python -m pip install -c constraints.txt -e '.[review]'"
        raise InputError("python -m jaxloop.review", arguments.workdir, install) from None
    server.serve(material.load(arguments.workdir, generation, share), port, arguments.rater)


def _number(flag: str, text: str, kind: type, right, allowed: str):
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not right(number):
        raise InputError(flag, text, f"{'an integer' if kind is int else 'a number'} {allowed}")
    return number


if __name__ == "__main__":
    sys.exit(main())

"""python -m jaxloop.report WORKDIR: rebuilds report.html and report.json from what the run left there."""

import argparse
import sys

from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.report import page


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr if the workdir is refused."""
    parser = argparse.ArgumentParser(prog="python -m jaxloop.report", description="Rebuild the report of a run.")
    parser.add_argument("workdir", metavar="WORKDIR", help="folder with the run's config.json and records.jsonl")
    arguments = parser.parse_args(argv)
    try:
        print(page.write(arguments.workdir))
    except InputError as error:
        print(error, file=sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

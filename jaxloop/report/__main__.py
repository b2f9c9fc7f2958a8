"""python -m jaxloop.report RUN [RUN ...] [--out DIR]: the report of what runs left in their folders.

One run alone: rebuilds its report.html and report.json where it lies. With --out, which several runs need: a folder with
their comparison, the paper's table 1 (Markdown, LaTeX, CSV) and its figures 3 to 9 (PNG, SVG), as far as they have values.
"""

import argparse
import sys

from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.report import compare_page, page


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr if anything is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.report",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder with a run's config.json and records.jsonl"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write into; it may exist, and is no run's own"
    )
    arguments = parser.parse_args(argv)
    try:
        print(_written(arguments.runs, arguments.out))
    except (
        InputError,
        OSError,
    ) as error:  # OSError: a disk that is full, a folder that may not be written
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0


def _written(runs: list[str], out: str | None):
    if out is not None:
        return compare_page.write(runs, out)
    if len(runs) > 1:
        raise InputError("--out", "", "a folder for the comparison, which several runs need")
    return page.write(runs[0])


if __name__ == "__main__":
    sys.exit(main())

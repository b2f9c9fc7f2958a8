"""python -m jaxloop.provenance WORKDIR --out DIR: one table of all images that a run generated, and their pictures.

A row an image: where it comes from, what it was to show, what each expert and the people who voted say of it, what
became of it and why. As JSON lines (images.jsonl), or with --format parquet for pandas and the like (images.parquet).
"""

import argparse
import sys

from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.provenance import image_table as export


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr if anything is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.provenance",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("workdir", metavar="WORKDIR", help="folder of a run, with provenance/")
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder to write into, no run's own nor in it; it may exist",
    )
    parser.add_argument(
        "--format", metavar="FORMAT", default="jsonl", help="jsonl (default) or parquet"
    )
    arguments = parser.parse_args(argv)
    try:
        print(export.write(arguments.workdir, arguments.out, arguments.format))
    except (
        InputError,
        OSError,
    ) as error:  # OSError: a disk that is full, a folder that may not be written
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""python -m jaxloop.provenance WORKDIR --out DIR: one table of all images that a run generated.

A row an image: its origin, class and subgroup, the scores of the experts, the votes of people,
whether it was kept, and the reason. Its picture lies beside the table. As JSON lines
(images.jsonl), or with --format parquet for pandas and the like (images.parquet).
"""

import argparse
import sys

from jaxloop import files
from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.provenance import image_table


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0, or 2 after one line on stderr if anything is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.provenance",
        description=str(__doc__).partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("workdir", metavar="WORKDIR", help="folder of a run, with provenance/")
    out = "folder to write into, outside of every run; it may exist"
    parser.add_argument("--out", metavar="DIR", required=True, help=out)
    formats = "jsonl (default) or parquet"
    parser.add_argument("--format", metavar="FORMAT", default="jsonl", help=formats)
    arguments = parser.parse_args(argv)
    try:
        workdir = files.expanded(arguments.workdir, "WORKDIR")
        out = files.expanded(arguments.out, "--out")
        files.say(str(image_table.write(workdir, out, arguments.format)))
    except (InputError, OSError) as error:  # OSError: a full disk, a folder without permission
        files.say(f"jaxloop: {error}", sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

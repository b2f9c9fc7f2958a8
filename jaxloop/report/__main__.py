"""python -m jaxloop.report RUN [RUN ...] [--out DIR]: the report of what runs left behind.

One run alone: rebuilds its report.html and report.json where it lies. With --out, which several
runs need: a folder with their comparison, the paper's table 1 (Markdown, LaTeX, CSV) and its
figures 3 to 9 (PNG, SVG), as far as they have values.
"""

import argparse
import io
import os
import sys

from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.files import expanded
from jaxloop.report import compare_page, page


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0, or 2 after one line on stderr if anything is refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the terminal may not have all letters
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.report",
        description=(__doc__ or "").partition(": ")[2],
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder that a run left behind")
    parser.add_argument("--out", metavar="DIR", help="folder to write into, which is no run's own")
    arguments = parser.parse_args(argv)
    try:
        runs = [expanded(run, "RUN") for run in arguments.runs]
        if len(runs) == 1 and arguments.out is None:
            page.write(*runs)
            print(runs[0] / "report.html", flush=True)
        elif arguments.out:
            print(compare_page.write(runs, expanded(arguments.out, "--out")), flush=True)
        else:
            raise InputError("--out", "", "a folder for the comparison, which several runs need")
    except BrokenPipeError:  # the reader is gone, as after `| head`: what is buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (InputError, OSError) as error:  # OSError: a full disk, a folder that is read-only
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

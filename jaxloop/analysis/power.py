"""How large must the next run be? Plan it from the variances of one that was made.

    python -m jaxloop.analysis.power WORKDIR [--change 0.02]

Prints, for each classifier, the smallest effect of generated data on the primary measure that so
many seeds and test images would tell from 0 in 80 % of runs, and what it takes to tell --change.
"""

import argparse
import sys
from collections.abc import Sequence

import pandas as pd

from jaxloop.analysis import answers, questions
from jaxloop.analysis.answers import Answer
from jaxloop.analysis.crossed import POWER
from jaxloop.analysis.run_folder import load
from jaxloop.errors import EXIT_CODE, InputError

SEEDS, IMAGES = (3, 5, 10, 20, 30), (1, 2, 4, 10)


def plan(answer: Answer, num_tests: int) -> pd.DataFrame:
    """Return the smallest detectable effect by seeds (rows) and multiples of the test images."""
    change = answer.asked.change
    cells = [[change.planned(s, m, num_tests) for m in IMAGES] for s in SEEDS]
    return pd.DataFrame(cells, pd.Index(SEEDS, name="seeds"), [f"x{m} images" for m in IMAGES])


def _takes(answer: Answer, change: float, num_tests: int) -> str:
    """Return how many seeds, or test images, tell a change."""
    seeds, images = questions.needed(answer.asked.change, change, num_tests)
    now, num = answer.asked.change.num_seeds, answer.asked.change.num_images
    enough = [f"{seeds} seeds instead of {now}"] if seeds else []
    if images and images > 1:
        enough += [f"{round(images * num)} test images instead of {num}"]
    return " or ".join(enough) or "more of both seeds and test images"


def report(workdir: str, change: float) -> str:
    """Return the plan of every classifier as text.

    Raises:
      InputError: the folder is no run, or has no effect with an error to plan from.
    """
    found = [a for a in answers.answers(load(workdir)) if a.asked.primary]
    effects = [a for a in found if a.asked.question == questions.EFFECT and a.asked.change.error]
    if not effects:
        words = "a run with the arm no_loop, two seeds or more and a full queue"
        raise InputError("WORKDIR", workdir, words)
    blocks = []
    for a in effects:
        words = _takes(a, change, len(found))
        blocks.append(
            f"{a.asked.classifier}, {a.asked.measure}: smallest change told with power "
            f"{POWER:.0%}\n{plan(a, len(found)).round(3).to_string()}\n"
            f"To tell {change:g}: {words}."
        )
    return "\n\n".join(blocks)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m jaxloop.analysis.power",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workdir", metavar="WORKDIR")
    parser.add_argument("--change", type=float, default=0.02, help="in units of accuracy")
    options = parser.parse_args(argv)
    try:
        if not options.change > 0:
            raise InputError("--change", options.change, "a number > 0")
        print(report(options.workdir, options.change))
    except InputError as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

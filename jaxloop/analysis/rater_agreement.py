"""What people's votes on a run's images amount to: agreement, and generated told from real ones.

Both rest on blind votes alone: who has seen the audit knows more of a picture than its looks.
Raters go by number, in the order of their names: a report is passed on, and their names are nobody
else's business.
"""

from typing import NamedTuple

import pandas as pd

from jaxloop.analysis import frames
from jaxloop.analysis.run_folder import Run
from jaxloop.provenance import study, votes
from jaxloop.provenance.study import Agreement, Detection


class People(NamedTuple):
    """num_generated, num_real: each rater's last blind votes, on such images.

    num_not_blind: standing votes that are not blind.  torn: lines of votes.jsonl that are left out.
    agreement, detections: of the blind votes; the latter one a rater, and last of all together.
    """

    num_generated: int
    num_real: int
    num_not_blind: int
    torn: int
    agreement: Agreement
    detections: list[Detection]

    @property
    def raters(self) -> list[Detection]:
        return self.detections[:-1]

    @property
    def verdicts(self) -> list[str]:
        """How raters who voted on both told them: "better" than chance, "worse", "cannot tell"."""
        return [word for d in self.raters if d.differs is not None and (word := _verdict(d))]


def people(run: Run) -> People | None:
    """Read votes.jsonl in a workdir; None where it holds no vote that counts and no torn line.

    Raises InputError on a line that is no vote.
    """
    given = votes.tally(run.path)
    if not (given.standing or given.blind or given.torn):
        return None
    num_real = sum(vote.real for vote in given.blind.values())
    num_not_blind = sum(not vote.blind for vote in given.standing.values())
    nums = len(given.blind) - num_real, num_real, num_not_blind, given.torn
    return People(*nums, study.agreement(given.blind), study.detection(given.blind))


def _verdict(d: Detection) -> str | None:
    if d.rater is None:
        return None
    if not d.differs or d.accuracy is None:
        return "cannot tell"
    return "better" if d.accuracy > 0.5 else "worse"


def table(voted: People) -> pd.DataFrame | None:
    """Return how raters told generated from real images, and of several how all together did.

    None where nobody voted on both.
    """
    several = len(voted.raters) > 1
    rows = [
        [
            "all together" if d.rater is None else f"rater {number}", _verdict(d), d.accuracy,
            (d.low, d.high), d.hits, d.false_alarms, d.num_generated, d.num_real,
        ]
        for number, d in enumerate(voted.detections if several else voted.raters, start=1)
        if d.accuracy is not None
    ]  # fmt: skip
    caption = (
        "Generated from real images, where a blind “drop” says “looks generated”: balanced "
        "accuracy (chance: 0.5) and its 95% interval, not corrected for the number of raters"
    )
    if several:
        caption += (
            "; that of all together takes votes as independent, which votes on one image are not, "
            "and is too narrow for a verdict. Raters are numbered by name"
        )
    columns = [
        "rater", "than chance", "accuracy", "95% interval",
        "dropped, generated", "dropped, real", "votes, generated", "votes, real",
    ]  # fmt: skip
    return frames.for_people(caption, columns, rows, 2, digits=2) if rows else None

"""What people said of a run's images: how many voted, whether they agree, whether they tell generated from real ones.

Raters go by number, in the order of their names: a report is passed on, and their names are nobody else's business.
"""

from typing import NamedTuple

from jaxloop.provenance import study, votes
from jaxloop.provenance.study import Agreement, Detection
from jaxloop.report.layout import NO_VALUE, Table
from jaxloop.report.workdir import Run


class People(NamedTuple):
    """num_generated, num_real: standing votes on such images.  detections: one a rater, and last of all together."""

    num_generated: int
    num_real: int
    agreement: Agreement
    detections: list[Detection]

    @property
    def raters(self) -> list[Detection]:
        return self.detections[:-1]


def people(run: Run) -> People | None:
    """Of votes.jsonl in a workdir; None where no vote stands. Raises InputError on a line that is no vote."""
    standing = votes.standing(votes.read(run.path))
    if not standing:
        return None
    num_real = sum(vote.real for vote in standing.values())
    return People(len(standing) - num_real, num_real, study.agreement(standing), study.detection(standing))


def sentences(found: People) -> list[str]:
    num, pooled = len(found.raters), found.detections[-1]
    return [
        f"{num} rater{'s' * (num > 1)}, {found.num_generated} votes on generated and {found.num_real} on real images.",
        f"Agreement: {_agreement(found.agreement)}",
        f"Generated from real: {pooled.why or _told(found.raters)}",
    ]


def _agreement(a: Agreement) -> str:
    if a.share is None:
        return a.why
    images = f"{a.num} image{'s' * (a.num > 1)} with votes of two raters or more"
    share = f"{a.share:.0%} of the pairs of votes on one image agree ({images})."
    if a.alpha is None:
        return f"{share} {a.why}"
    return f"Krippendorff's α = {a.alpha:.2f} (1 = always, 0 = as by chance). {share}"


def _told(raters: list[Detection]) -> str:
    tested = [d for d in raters if d.differs is not None]
    if not tested:
        return "no rater voted on both."
    better, worse = (sum(bool(d.differs) and (d.accuracy > 0.5) is side for d in tested) for side in (True, False))
    say = f"{better} of {len(tested)} rater{'s' * (len(tested) > 1)} told them apart better than chance"
    return say + (f", and {worse} worse than chance" if worse else "") + "."


def table(found: People) -> Table | None:
    """How each rater told generated from real images and, of several, all together; None where nobody voted on both."""
    several = len(found.raters) > 1
    rows = [
        [
            "all together" if d.rater is None else f"rater {number}", _verdict(d),
            f"{d.accuracy:.2f}", f"[{d.low:.2f}, {d.high:.2f}]", f"{d.hits:.2f}", f"{d.false_alarms:.2f}",
            str(d.num_generated), str(d.num_real),
        ]
        for number, d in enumerate(found.detections if several else found.raters, start=1)
        if d.accuracy is not None
    ]  # fmt: skip
    caption = (
        "Generated from real images, where “drop” says “looks generated”: balanced accuracy (chance: 0.5) and its 95% "
        "interval, not corrected for the number of raters"
    )
    if several:
        caption += (
            "; that of all together takes votes as independent, which votes on one image are not, and is too narrow for "
            "a verdict. Raters are numbered by name"
        )
    votes_on = ["dropped, generated", "dropped, real", "votes, generated", "votes, real"]
    return Table(caption, ["rater", "than chance", "accuracy", "95% interval", *votes_on], rows, 2) if rows else None


def _verdict(d: Detection) -> str:
    if d.rater is None:
        return NO_VALUE
    if not d.differs:
        return "cannot tell"
    return "better" if d.accuracy > 0.5 else "worse"

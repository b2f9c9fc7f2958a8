"""What people said of a run's images: how many voted, whether they agree, whether they tell generated from real ones.

Agreement and detection rest on blind votes alone: who has seen the audit knows more of a picture than its looks.
Raters go by number, in the order of their names: a report is passed on, and their names are nobody else's business.
"""

from typing import NamedTuple

from jaxloop.analysis.run_folder import Run
from jaxloop.provenance import study, votes
from jaxloop.provenance.study import Agreement, Detection
from jaxloop.report.layout import NO_VALUE, Table


class People(NamedTuple):
    """num_generated, num_real: each rater's last blind votes, on such images.

    num_seen: standing votes that are not blind.  torn: lines of votes.jsonl that were cut short and are left out.
    agreement, detections: of the blind votes; the latter one a rater, and last of all together.
    """

    num_generated: int
    num_real: int
    num_seen: int
    torn: int
    agreement: Agreement
    detections: list[Detection]

    @property
    def raters(self) -> list[Detection]:
        return self.detections[:-1]


def people(run: Run) -> People | None:
    """Of votes.jsonl in a workdir; None where it holds no vote that counts and no torn line.

    Raises InputError on a line that is no vote.
    """
    given = votes.since(run.path)
    if not (given.standing or given.blind or given.torn):
        return None
    num_real = sum(vote.real for vote in given.blind.values())
    num_seen = sum(not vote.blind for vote in given.standing.values())
    nums = len(given.blind) - num_real, num_real, num_seen, given.torn
    return People(*nums, study.agreement(given.blind), study.detection(given.blind))


def sentences(found: People) -> list[str]:
    """On blind votes, then on what is left out of these."""
    num, pooled = len(found.raters), found.detections[-1]
    said = [
        f"{num} rater{'s' * (num != 1)}, {found.num_generated} blind votes on generated and {found.num_real} on real "
        "images.",
        f"Agreement: {_agreement(found.agreement)}",
        f"Generated from real: {pooled.why or _told(found.raters)}",
    ]
    if seen := found.num_seen:
        them = "them" if seen > 1 else "it"
        said.append(
            f"{seen} vote{'s' * (seen > 1)} that stand{'s' * (seen == 1)}, given after a look at the audit or the "
            f"summary, {_were(seen)} not blind: the filter follows {them}, the lines above do not."
        )
    if found.torn:
        said.append(
            f"{found.torn} line{'s' * (found.torn > 1)} of votes.jsonl {_were(found.torn)} not whole and left out."
        )
    return said


def _were(num: int) -> str:
    return "was" if num == 1 else "were"


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
    better, worse = (
        sum(bool(d.differs) and (d.accuracy > 0.5) is side for d in tested)
        for side in (True, False)
    )
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
        "Generated from real images, where a blind “drop” says “looks generated”: balanced accuracy (chance: 0.5) and "
        "its 95% interval, not corrected for the number of raters"
    )
    if several:
        caption += (
            "; that of all together takes votes as independent, which votes on one image are not, and is too narrow for "
            "a verdict. Raters are numbered by name"
        )
    votes_on = ["dropped, generated", "dropped, real", "votes, generated", "votes, real"]
    return (
        Table(caption, ["rater", "than chance", "accuracy", "95% interval", *votes_on], rows, 2)
        if rows
        else None
    )


def _verdict(d: Detection) -> str:
    if d.rater is None:
        return NO_VALUE
    if not d.differs:
        return "cannot tell"
    return "better" if d.accuracy > 0.5 else "worse"

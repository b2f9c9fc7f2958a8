"""What votes amount to: agreement of raters, detection of generated images.

All is computed from standing votes. Take `votes.blind`: who has seen the audit or the summary no
longer judges a picture by its looks, nor apart from others. Intervals are two-sided, of 95 %. A
value that does not exist is None, and `why` says so in a sentence; else it is "".
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxloop.provenance.votes import Key, Vote, grouped
from jaxloop.statistics import newcombe


class Agreement(NamedTuple):
    """Agreement of raters over the images that two or more of them voted on."""

    alpha: float | None  # Krippendorff's, nominal: 1 = always, 0 = as by chance, negative = worse
    share: float | None  # of agreeing pairs of votes on one image, not corrected for chance
    num: int  # such images
    why: str


class Detection(NamedTuple):
    """How well generated images are told from real ones, where "drop" says "looks generated"."""

    rater: str | None  # None: all together
    num_generated: int  # votes on such images
    num_real: int
    hits: float | None  # share of "drop" among votes on generated images
    false_alarms: float | None  # the same on real ones
    accuracy: float | None  # balanced, (hits + 1 - false_alarms) / 2; chance is 1/2
    low: float | None  # its interval
    high: float | None
    differs: bool | None  # whether that leaves out 1/2
    why: str


def agreement(standing: Mapping[Key, Vote]) -> Agreement:
    """Return the agreement of raters on "keep" and "drop" of each picture as one of its class."""
    return alpha(grouped((key[1:], vote.verdict) for key, vote in standing.items()).values())


def alpha(units: Iterable[Sequence[Hashable]]) -> Agreement:
    """Return Krippendorff's alpha of nominal values: one sequence a unit, a value a rater.

    Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011: 1 - observed / expected
    disagreement. A unit of one value is left out.
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    if not counts:
        return Agreement(None, None, 0, "No image has votes of two raters.")
    total = sum(counts, Counter())
    num = total.total()
    observed = sum(_unequal(unit) / (unit.total() - 1) for unit in counts) / num
    expected = _unequal(total) / (num * (num - 1))
    if expected == 0:
        why = "All votes are the same, so that agreement by chance cannot be told apart."
        return Agreement(None, 1.0, len(counts), why)
    return Agreement(1 - observed / expected, 1 - observed, len(counts), "")


def detection(standing: Mapping[Key, Vote]) -> list[Detection]:
    """Return the detection of each rater, by name, and last of all of them together.

    The interval takes votes as independent. Those of one rater are, so far as the images are a
    random choice. Pooled ones are not: the interval is too narrow.
    """
    by_rater = grouped((vote.rater, vote) for vote in standing.values())
    raters = [_detection(rater, votes) for rater, votes in sorted(by_rater.items())]
    return [*raters, _detection(None, list(standing.values()))]


def _unequal(values: Counter) -> int:
    """Return the number of ordered pairs of unequal values."""
    return values.total() ** 2 - sum(count**2 for count in values.values())


def _detection(rater: str | None, votes: Sequence[Vote]) -> Detection:
    generated, real = (
        [vote.verdict == "drop" for vote in votes if vote.real is side] for side in (False, True)
    )
    hits, false_alarms = (sum(side) / len(side) if side else None for side in (generated, real))
    known = (rater, len(generated), len(real), hits, false_alarms)
    if hits is None or false_alarms is None:
        sides = {"generated": generated, "real": real}
        absent = " and no ".join(word for word, drops in sides.items() if not drops)
        return Detection(*known, None, None, None, None, f"No {absent} image has a vote.")
    low, high = newcombe(sum(generated), len(generated), sum(real), len(real))
    accuracy = (1 + hits - false_alarms) / 2
    return Detection(*known, accuracy, (1 + low) / 2, (1 + high) / 2, low > 0 or high < 0, "")

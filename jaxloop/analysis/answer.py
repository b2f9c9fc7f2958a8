"""The verdicts in plain English. It claims no more than they do: an interval that holds 0 is not "no growth"."""

from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import results
from jaxloop.analysis.results import Verdict
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import CANNOT_TELL, GREW, NO_SPREAD, NO_TREND, ONE_SEED, SHRANK

QUESTION = "When each generation of models is trained on data that the last generation made, does bias grow?"

ENOUGH_SEEDS = 10  # fewer are named as a reason why a trend cannot be told


class Answer(NamedTuple):
    """headline: one sentence over all classifiers.  why: what keeps trends from being told, or "".

    sentences: one a classifier.
    """

    headline: str
    why: str
    sentences: list[str]


def answer(run: Run) -> Answer:
    """The answer of a run to QUESTION."""
    found = results.verdicts(run)
    sentences = [_sentence(s, [v for v in found if v.subject == s]) for s in run.classifiers]
    return Answer(_headline(found), _why(found), sentences)


def _headline(found: list[Verdict]) -> str:
    num, grew = len(found), sum(v.decision.word == GREW for v in found)
    shrank = sum(v.decision.word == SHRANK for v in found)
    undecided = num - grew - shrank
    seeds = _few_seeds(found)
    if all(v.decision.word == NO_TREND for v in found):
        return "Cannot tell: no measure of bias has a value in two generations or more."
    if all(v.decision.word == ONE_SEED for v in found):
        return f"Cannot tell: one seed gives slopes ({num} comparisons) but no interval."
    if all(v.decision.word == NO_SPREAD for v in found):
        return f"Cannot tell: in each of {num} comparisons {_SAME}."
    if undecided == num:
        return f"Cannot tell{seeds}: in none of {num} comparisons can the trend be told from no change."
    rest = f"; in {undecided} the trend cannot be told from no change{seeds}" if undecided else ""
    if grew and shrank:
        return f"Mixed: of {num} comparisons, bias grew in {grew} and shrank in {shrank}{rest}."
    if grew:
        return f"{'Yes' if grew == num else 'In part'}: bias grew in {grew} of {num} comparisons{rest}."
    return f"No growth seen: bias shrank in {shrank} of {num} comparisons{rest}."


_SAME = "all seeds gave the same slope, and without spread there is no test"


def _few_seeds(found: list[Verdict]) -> str:
    num = _num_seeds(found)
    return f" with {num} seeds" if 2 <= num < ENOUGH_SEEDS else ""


def _num_seeds(found: list[Verdict]) -> int:
    """The most seeds that any slope is over."""
    return max((v.trend.slope.num for v in found), default=0)


def _why(found: list[Verdict]) -> str:
    return " ".join(filter(None, (_why_few(found), _why_untested(found))))


def _why_untested(found: list[Verdict]) -> str:
    """On slopes that are the same in all seeds, beside others."""
    same = sum(v.decision.word == NO_SPREAD for v in found)
    if same in (0, len(found)):
        return ""
    return f"In {same} of {len(found)} comparisons {_SAME}."


def _why_few(found: list[Verdict]) -> str:
    tested = sum(v.decision.p is not None for v in found)
    undecided = any(v.decision.word == CANNOT_TELL for v in found)
    if not (undecided and _few_seeds(found)):
        return ""
    num = _num_seeds(found)
    now, then = (statistics.errors_needed(n, tested) for n in (num, ENOUGH_SEEDS))
    return (
        f"{num} seeds are few: a slope's interval has {num - 1} degree{'s' * (num > 2)} of freedom, and for a first verdict among "
        f"{tested} a slope must lie {now:.0f} standard errors away from 0 (with {ENOUGH_SEEDS} seeds: {then:.1f})."
    )


def _sentence(subject: str, found: list[Verdict]) -> str:
    by_word: dict[str, list[str]] = {}
    for v in found:
        by_word.setdefault(v.decision.word, []).append(v.bias.title)
    if len(by_word) == 1 and not by_word.keys() & {GREW, SHRANK}:
        return f"{subject}: {next(iter(by_word))}, for any of {len(found)} measures of bias."
    parts = []
    for word, titles in by_word.items():
        listed = listed_words(titles)
        parts.append(f"{listed} {word}" if word in (GREW, SHRANK) else f"{word} for {listed}")
    return f"{subject}: {'; '.join(parts)}."


def listed_words(items: list[str]) -> str:
    """ "a, b and c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]

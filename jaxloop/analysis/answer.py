"""The verdicts in plain English. They claim no more: "cannot tell" is not "no growth"."""

from collections import Counter, defaultdict
from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import results
from jaxloop.analysis.results import Verdict
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import CANNOT_TELL, GREW, NO_SPREAD, NO_TREND, ONE_SEED, SHRANK

QUESTION = (
    "When each generation of models is trained on data that the last generation made, "
    "does bias grow?"
)
ENOUGH_SEEDS = 10  # fewer are named as a reason why a trend cannot be told
_SAME = "all seeds gave the same slope, and without spread there is no test"


class Answer(NamedTuple):
    """headline: one sentence over all classifiers.  why: what keeps trends from being told, or "".

    sentences: one a classifier.
    """

    headline: str
    why: str
    sentences: list[str]


def answer(run: Run) -> Answer:
    """Answer QUESTION for a run."""
    verdicts = results.verdicts(run)
    sentences = [_sentence(s, [v for v in verdicts if v.subject == s]) for s in run.classifiers]
    return Answer(_headline(verdicts), _why(verdicts), sentences)


def _headline(verdicts: list[Verdict]) -> str:
    num, words = len(verdicts), Counter(v.decision.word for v in verdicts)
    grew, shrank = words[GREW], words[SHRANK]
    undecided, seeds = num - grew - shrank, _few_seeds(verdicts)
    if words[NO_TREND] == num:
        return "Cannot tell: no measure of bias has a value in two generations or more."
    if words[ONE_SEED] == num:
        return f"Cannot tell: one seed gives slopes ({num} comparisons) but no interval."
    if words[NO_SPREAD] == num:
        return f"Cannot tell: in each of {num} comparisons {_SAME}."
    unclear = "the trend cannot be told from no change"
    if undecided == num:
        unclear = "can the trend be told from no change"
        return f"Cannot tell{seeds}: in none of {num} comparisons {unclear}."
    others = f"; in {undecided} {unclear}{seeds}" if undecided else ""
    if grew and shrank:
        return f"Mixed: of {num} comparisons, bias grew in {grew} and shrank in {shrank}{others}."
    if shrank:
        return f"No growth seen: bias shrank in {shrank} of {num} comparisons{others}."
    yes = "Yes" if grew == num else "In part"
    return f"{yes}: bias grew in {grew} of {num} comparisons{others}."


def _num_seeds(verdicts: list[Verdict]) -> int:
    """The most seeds that any slope is over."""
    return max((v.trend.slope.num for v in verdicts), default=0)


def _few_seeds(verdicts: list[Verdict]) -> str:
    num = _num_seeds(verdicts)
    return f" with {num} seeds" if 2 <= num < ENOUGH_SEEDS else ""


def _why(verdicts: list[Verdict]) -> str:
    sentences, num, words = [], _num_seeds(verdicts), Counter(v.decision.word for v in verdicts)
    if words[CANNOT_TELL] and _few_seeds(verdicts):
        tested = sum(v.decision.p is not None for v in verdicts)
        now, then = (statistics.errors_needed(n, tested) for n in (num, ENOUGH_SEEDS))
        sentences.append(
            f"{num} seeds are few: a slope's interval has {num - 1} degree{'s' * (num > 2)} of "
            f"freedom, and for a first verdict among {tested} a slope must lie {now:.0f} standard "
            f"errors away from 0 (with {ENOUGH_SEEDS} seeds: {then:.1f})."
        )
    if 0 < words[NO_SPREAD] < len(verdicts):
        sentences.append(f"In {words[NO_SPREAD]} of {len(verdicts)} comparisons {_SAME}.")
    return " ".join(sentences)


def _sentence(subject: str, verdicts: list[Verdict]) -> str:
    titles = defaultdict(list)
    for v in verdicts:
        titles[v.decision.word].append(v.bias.title)
    if len(titles) == 1 and not titles.keys() & {GREW, SHRANK}:
        return f"{subject}: {next(iter(titles))}, for any of {len(verdicts)} measures of bias."
    parts = [
        f"{listed_words(names)} {word}"
        if word in (GREW, SHRANK)
        else f"{word} for {listed_words(names)}"
        for word, names in titles.items()
    ]
    return f"{subject}: {'; '.join(parts)}."


def listed_words(items: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))

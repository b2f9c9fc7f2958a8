"""What a run answers, in sentences; the words are in templates/answer.txt."""

from types import SimpleNamespace

from jaxloop.analysis import adequacy, answers
from jaxloop.analysis.answers import Answer
from jaxloop.analysis.run_folder import Run
from jaxloop.report.rendering import sentences

_TEMPLATE = "answer.txt"


def answer(run: Run) -> SimpleNamespace:
    """Work out the answer of a run once.

    headline: paragraphs on accuracy and generator, the gate where it fails, and bias of each
      classifier, in that order.
    details: on trends.  answers, accuracies, checks, changes: the numbers behind them.
    """
    found, accuracies = answers.answers(run), answers.accuracies(run)
    checks, changes = adequacy.gate(run), adequacy.profile(run)
    smallest = answers.settings(run).smallest

    def said(macro: str, **facts) -> list[str]:
        return sentences(macro, _TEMPLATE, **facts)

    before = said("accuracy", accuracies=accuracies) + said("profile", changes=changes)
    gate = said("gate", checks=checks, factor=adequacy.rarest_factor(run))
    bias = said("effect", answers=found, seeds=len(run.seeds), smallest=smallest)
    return SimpleNamespace(
        headline=[p for p in (" ".join(before), " ".join(gate)) if p]
        + said("unanswered", run=run, answers=found) + bias,
        details=said("trend", answers=found), answers=found, accuracies=accuracies,
        checks=checks, changes=changes, waterfall=adequacy.waterfall(run),
    )  # fmt: skip


def as_numbers(answer: Answer) -> dict:
    """Return one answer as report.json has it.

    p: corrected for the family where primary, else not; p_uncorrected: never.
    """
    asked, change = answer.asked, answer.asked.change
    return {
        "classifier": asked.classifier,
        "question": asked.question,
        "measure": asked.measure,
        "unit": "accuracy" if asked.question == "effect" else "accuracy per generation",
        "generations": list(asked.generations),
        "estimate": change.estimate,
        "interval": list(change.interval()),
        "p": answer.verdict.p,
        "p_uncorrected": change.p(),
        "p_no_change": answer.verdict.p_no_change,
        "verdict": answer.verdict.word,
        "smallest_detectable": answer.smallest_detectable,
        "margin": asked.margin,
        "seeds_needed": answer.seeds_needed,
        "test_images_needed": answer.images_needed and answer.images_needed * change.num_images,
        "num_seeds": change.num_seeds,
        "primary": asked.primary,
    }

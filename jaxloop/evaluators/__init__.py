"""What is measured of a generation, one evaluator a file. A new one is a `create` and one line
here."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop.errors import InputError
from jaxloop.evaluators import classification, distances, filtering, generation, signals
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState

Evaluate = Callable[[LoopState], list[dict]]


class Evaluator(NamedTuple):
    """create: Experiment -> (LoopState -> records of the generation that has just ended, all
    seeds). It works out once what stays the same in a run, the real side of comparisons.
    needs: names in `Experiment.provides` ("image_group", a network, "masks") that must be
      available.
    """

    create: Callable[[Experiment], Evaluate]
    needs: tuple[str, ...] = ()


EVALUATORS: dict[str, Evaluator] = {
    "classification": Evaluator(classification.create),
    "training": Evaluator(signals.create),
    "generation": Evaluator(generation.create),
    "distances": Evaluator(distances.create),
    "filtering": Evaluator(filtering.create),
}
FIELD = "config.measure.evaluators"


def check(names: Sequence[str], provides: frozenset[str]) -> None:
    """Raise InputError where an evaluator does not exist, or needs what the experiment lacks."""
    for name in names:
        if name not in EVALUATORS:
            raise InputError(FIELD, name, EVALUATORS)
        if missing := set(EVALUATORS[name].needs) - provides:
            words = f"others: {name} needs {', '.join(sorted(missing))}, which this data set lacks"
            raise InputError(FIELD, name, words)


def create(experiment: Experiment) -> list[Evaluate]:
    """Return the evaluators that the configuration names, in its order."""
    return [EVALUATORS[name].create(experiment) for name in experiment.spec.measure.evaluators]

"""What is measured of a generation, one evaluator a file. A new one is a `create` and one line
here."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxloop.errors import InputError
from jaxloop.evaluators import ablation, classification, distances, filtering, generation, signals
from jaxloop.loop.experiment import SAMPLES, Experiment
from jaxloop.loop.measuring import ABLATION, MASKS
from jaxloop.loop.state import LoopState

Evaluate = Callable[[LoopState], list[dict]]


class Evaluator(NamedTuple):
    """create: Experiment -> (LoopState -> records of the generation that has just ended, all
    seeds). It works out once what stays the same in a run, the real side of comparisons.
    needs: names in `Experiment.provides` that must be available ("image_group", a network,
      "masks"). Whoever looks at generated images needs "samples": an arm without them does not run
      it.
    """

    create: Callable[[Experiment], Evaluate]
    needs: tuple[str, ...] = ()


EVALUATORS: dict[str, Evaluator] = {
    "classification": Evaluator(classification.create),
    "training": Evaluator(signals.create),
    "generation": Evaluator(generation.create, needs=(SAMPLES,)),
    "distances": Evaluator(distances.create, needs=(SAMPLES,)),
    "filtering": Evaluator(filtering.create, needs=(SAMPLES,)),
    ABLATION: Evaluator(ablation.create, needs=(MASKS,)),
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


def possible(names: Sequence[str], provides: frozenset[str]) -> tuple[str, ...]:
    """Return those whose needs are provided: what an arm runs of the run's evaluators."""
    return tuple(name for name in names if provides.issuperset(EVALUATORS[name].needs))


def create(experiment: Experiment) -> list[Evaluate]:
    """Return the evaluators that the configuration names, in its order."""
    return [EVALUATORS[name].create(experiment) for name in experiment.spec.measure.evaluators]

"""Arms: the same experiment with one part replaced, to be compared with it seed by seed.

An arm starts from the run's own state after generation 0 and has the same random numbers. A new one
is a pure function from the experiment to the experiment with that part replaced, and one line here.
Which stages it plays follows from what it returns (`stages.build`).
"""

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass

from jaxloop import filters
from jaxloop.errors import InputError
from jaxloop.loop.experiment import SAMPLES, Experiment
from jaxloop.spec import Filter, Loop, Spec


def _shares_nothing(spec: Spec) -> Collection[str]:
    return ()


def _admits_all(spec: Spec) -> None:
    pass


@dataclass(frozen=True)
class Arm:
    """What one arm replaces.

    replace: the run's experiment -> the arm's, with the spec that its config.json shall have. It
      keeps seeds and constants. What it takes from `provides` is not made, and evaluators that
      need that are not run.
    shared: the run's spec -> the stages that read nothing of what is replaced, by name up to a
      slash ("classifier"): the run's compiled functions serve for both.
    check: raises InputError where the run's spec makes the arm pointless.
    """

    replace: Callable[[Experiment], Experiment]
    shared: Callable[[Spec], Collection[str]] = _shares_nothing
    check: Callable[[Spec], None] = _admits_all


def check(spec: Spec) -> None:
    """Raise InputError where an arm of the configuration does not exist, or cannot differ."""
    for name in spec.arms:
        if name not in ARMS:
            raise InputError("config.arms", name, ARMS)
        ARMS[name].check(spec)


def create(name: str, experiment: Experiment) -> Experiment:
    """Return the experiment of an arm, which has no arms of its own."""
    changed = ARMS[name].replace(experiment)
    return changed._replace(spec=dataclasses.replace(changed.spec, arms=()))


# random: is it the filter?


def random_choice(experiment: Experiment) -> Experiment:
    """Keep a random choice of as many images."""
    spec = experiment.spec
    chance = Filter(name="random", drop=spec.filter.drop, ranking=spec.filter.ranking)
    spec = dataclasses.replace(spec, filter=chance)
    return experiment._replace(spec=spec, filter=filters.create(chance), clip=None)


def _refuse_same_choice(spec: Spec) -> None:
    name, chosen = spec.filter.name, filters.create(spec.filter)
    if set(chosen.experts) <= {"random"}:
        words = f"others where filter.name is {name}, which is no expert's choice"
        raise InputError("config.arms", "random", words)
    if spec.filter.drop == 0:
        words = "more than 0 where random is one of arms: else both keep everything"
        raise InputError("config.filter.drop", 0.0, words)


# no_loop: is it the loop?


def no_loop(experiment: Experiment) -> Experiment:
    """Generate nothing: classifiers are trained anew on all real images in every generation."""
    spec, nothing = experiment.spec, Filter(name="none")
    spec = dataclasses.replace(
        spec,
        filter=nothing,
        loop=dataclasses.replace(spec.loop, real="fixed", fresh=Loop().fresh),
        measure=dataclasses.replace(spec.measure, judge=""),
    )
    return experiment._replace(
        spec=spec,
        filter=filters.create(nothing),
        clip=None,
        judge=None,
        provides=experiment.provides - {SAMPLES},
    )


def _shared_without_loop(spec: Spec) -> Collection[str]:
    """Over an empty queue, what trains on all real images is the same function."""
    return ("classifier", "measure") if spec.loop.real == "fixed" else ("measure",)


MAKING = "encode", "generator"  # stages before the filter, without sampling
ARMS: dict[str, Arm] = {
    "no_loop": Arm(no_loop, shared=_shared_without_loop),
    "random": Arm(
        random_choice,
        shared=lambda spec: (*MAKING, "classifier", "judge", "label_judge", "measure"),
        check=_refuse_same_choice,
    ),
}

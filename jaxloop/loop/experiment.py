"""An experiment put together, and the stages that it is played in, as values."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from jaxloop import devices, filters, spec
from jaxloop.classifiers import training
from jaxloop.data.source import InMemory, Streamed
from jaxloop.features.network import Network
from jaxloop.generators.base import Generator
from jaxloop.loop import policy
from jaxloop.loop.state import LoopState
from jaxloop.types import Array, PyTree

SAMPLES = "samples"  # in `Experiment.provides`: generated images


class Constants(NamedTuple):
    """What never changes in a run, on the devices. Stages take it as an argument, none closes over
    it.

    train, validation, test: real images; the extras of `test` (masks) are for evaluators.
    weights: pretrained variables of the classifiers that start from them.
    generator: what is frozen of it.  encoded: the images of `train` as its `encode` gives them; ()
      without.
    clip: variables of the model that the filter asks; None without.
    """

    train: InMemory | Streamed
    validation: InMemory
    test: InMemory
    weights: dict[str, PyTree]
    generator: PyTree
    encoded: PyTree
    clip: PyTree


class Host(Protocol):
    """n real training images that the host has, uint8 [n h w c]."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def read(self, rows: Any) -> Any:
        """Return the images of `rows`, int [b]: NumPy uint8 [b h w c]."""
        ...


class Experiment(NamedTuple):
    """Everything but `constants` is static.

    host: the real training images, where they are not on the devices.
    image_group: uint8 [n h w c] -> int32 [n], where pixels tell the subgroup.
    clip: (variables, image, label) -> similarity, where the filter needs it.
    filter_classifier: name of the one whose uncertainty filters.
    reference: name of the one whose generation 0 measures generators.
    recolor: uint8 [n h w c], int32 [n] -> the images in these subgroups, where that can be done.
    judge: of subgroups, where the configuration has one (loop/judging.py).
    networks: that only embed, by name.
    generated_by_class, kept_by_class: images a generation; where the filter ranks over all classes
      only the sum of those kept counts.
    provides: what evaluators may need: "samples", which an arm without a loop lacks; "image_group",
      names of networks and of the test's extras.
    """

    spec: spec.Spec
    seeds: devices.Seeds
    constants: Constants
    host: Host | None
    num_classes: int
    num_groups: int
    image_group: Callable[[Array], Array] | None
    recolor: Callable[[Array, Array], Array] | None
    generator: Generator
    trainers: dict[str, training.Trainer]
    filter: filters.Filter
    clip: Callable | None
    filter_classifier: str
    reference: str
    judge: training.Trainer | None
    networks: dict[str, Network]
    generated_by_class: tuple[int, ...]
    kept_by_class: tuple[int, ...]
    provides: frozenset[str]

    @property
    def generates(self) -> bool:
        """Whether there are generated images; without any, no stage makes or filters them."""
        return SAMPLES in self.provides

    @property
    def num_kept(self) -> int:
        """S: images pushed each generation."""
        return sum(self.kept_by_class)

    @property
    def num_generated(self) -> int:
        """Images sampled each generation."""
        return sum(self.generated_by_class)

    @property
    def capacity(self) -> int:
        """The queue's capacity in images."""
        return self.num_kept * policy.generations_held(self.spec.loop)

    @property
    def num_real(self) -> int:
        """Real training images."""
        return len(self.constants.train.label)


class Stage(NamedTuple):
    """A part of a generation.

    name: in records of time, progress and traces.
    first_generation, last_generation: between which the stage takes place.
    steps: state -> how many steps the stage has; `state.cursor.step` where nothing is left to do.
    run: (state, seeds, first, count, votes) -> state, after these steps.
    functions: the compiled functions, by name.
    longest: steps of a call, at most.
    waited: -> seconds that calls have waited for images so far.
    needs_votes: people must have voted before it can run.
    writers: names in `run/writers.py` of what it leaves behind.
    evaluated: the generation is measured after it.
    """

    name: str
    first_generation: int
    steps: Callable[[LoopState], int]
    run: Callable[..., LoopState]
    functions: dict[str, Callable]
    longest: float = math.inf
    waited: Callable[[], float] = float
    last_generation: float = math.inf
    needs_votes: bool = False
    writers: tuple[str, ...] = ()
    evaluated: bool = False


def over_seeds(experiment: Experiment, function: Callable, *static) -> Callable:
    """Return a one-seed function for all seeds; its first arguments are bound and static."""

    def one_seed(state, inputs, constants, *scalars):
        return function(experiment, *static, state, inputs, constants, *scalars)

    return devices.over_seeds(one_seed, experiment.seeds)


def nothing(seeds: Any) -> Any:
    """Return the state of a function that starts from nothing."""
    return devices.select(seeds, lambda seed: ())

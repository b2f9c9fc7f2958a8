"""An experiment put together: what the stages of a generation close over."""

from collections.abc import Callable
from typing import NamedTuple

from jax.sharding import Mesh

from jaxloop import config, filters
from jaxloop.classifiers import training
from jaxloop.features.clip_score import ClipScore
from jaxloop.features.network import Network
from jaxloop.generators.base import Generator
from jaxloop.loop import policy
from jaxloop.metrics import embedded
from jaxloop.types import PyTree, Samples


class Parts(NamedTuple):
    """`train`, `validation`, `test`, `weights` and the variables of `clip` are on the device."""

    spec: config.Spec
    mesh: Mesh
    train: Samples
    validation: Samples
    test: Samples
    num_classes: int
    num_groups: int
    image_group: Callable | None
    generator: Generator
    trainers: dict[str, training.Trainer]
    weights: dict[str, PyTree]  # pretrained variables, of the classifiers that start from them
    filter: filters.Filter
    clip: ClipScore | None  # where the filter asks it
    judge: str  # the classifier whose uncertainty filters
    reference: str  # the classifier of generation 0 that judges generators
    networks: dict[
        str, Network
    ]  # that only embed: the distance of generated images is measured in their features too
    real: dict[str, embedded.Embedded]  # the real training images in them (loop/distances.py)
    made_per_class: int  # generated a generation
    kept_per_class: int  # pushed a generation, of each class on average

    @property
    def kept(self) -> int:
        """S: images pushed each generation."""
        return self.kept_per_class * self.num_classes

    @property
    def capacity(self) -> int:
        """The queue's capacity in images."""
        return self.kept * policy.generations_held(self.spec.loop)

    def stages(self) -> tuple[str, ...]:
        """The names of a generation's stages, in order. Generation 0 begins with the first classifier."""
        return (
            "generator",
            "sample",
            "filter",
            *(f"classifier/{name}" for name in self.trainers),
            "measure",
        )

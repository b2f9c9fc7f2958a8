"""What a generator is to the loop: three pure functions around a state that only the generator looks into."""

from collections.abc import Callable
from typing import NamedTuple

from jaxloop.types import Array, PyTree, Samples


class Generator(NamedTuple):
    """A class-conditional image generator.

    init: key -> state. A new initialisation, at the start of every generation.
    update: (key, state, batch: Samples) -> (state, scalars). One training step; never looks at `batch.group`.
    sample: (key, state, label int32 [n]) -> uint8 [n h w c]. One picture a label. Every generator has a field of
      config.generator that biases its sampling towards typical images, off by default.
    """

    init: Callable[[Array], PyTree]
    update: Callable[[Array, PyTree, Samples], tuple[PyTree, dict[str, Array]]]
    sample: Callable[[Array, PyTree, Array], Array]

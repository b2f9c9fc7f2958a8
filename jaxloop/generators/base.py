"""What a generator is to the loop: pure functions around a state that only the generator looks
into."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxloop.types import Array, PyTree, Samples


class Generator(NamedTuple):
    """A class-conditional image generator.

    init: (key, generation int32 []) -> state. A new initialisation, at the start of every
      generation.
    update: (key, constants, state, batch: Samples) -> (state, signals). One training step. It never
      looks at `batch.group`. signals: {"generator/loss": float32 [], ...}, keys "subject/metric";
      {} where nothing is learnt.
    sample: (key, constants, state, label int32 [n]) -> uint8 [n h w c], one image a label. Every
      generator has a field that biases its sampling towards typical images, off by default.
    sample_batch: images that are sampled together, and encoded.
    constants: what is frozen (a backbone, held-out images), on the host; the loop passes it on the
      device to `update` and `sample`. Only what is trained is state, and only state is saved.
    encode: (constants, uint8 [n h w c]) -> [n ...], what `update` sees in place of an image; each
      is encoded once. None: `update` sees the images.
    export: state -> a file for other programs, of each generation; None: there is none.
    facts: what config.json says of it beside its Config, e.g. hashes of files.
    """

    init: Callable[[Array, Array], PyTree]
    update: Callable[[Array, PyTree, PyTree, Samples], tuple[PyTree, dict[str, Array]]]
    sample: Callable[[Array, PyTree, PyTree, Array], Array]
    sample_batch: int = 256
    constants: PyTree = ()
    encode: Callable[[PyTree, Array], Array] | None = None
    export: Callable[[PyTree], bytes] | None = None
    facts: Mapping[str, Any] = {}

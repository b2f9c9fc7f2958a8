"""The generators, one file each. A new one is a Config, a `create` and one line here."""

from collections.abc import Callable
from typing import Any

from jaxloop import spec
from jaxloop.generators import dcgan, diffusion, resample
from jaxloop.generators.base import Generator
from jaxloop.types import Samples

# name -> (its Config, which extends spec.Generator; create(config, num_classes, image_size,
# num_steps, dtype) -> Generator; also given held_out where the Config's `reads_held_out` is True)
GENERATORS: dict[str, tuple[type[spec.Generator], Callable[..., Generator]]] = {
    "dcgan": (dcgan.Config, dcgan.create),
    "edm": (diffusion.Config, diffusion.create),
    "flow": (diffusion.Config, diffusion.create),
    "resample": (resample.Config, resample.create),
}


def create(
    config: Any,
    num_classes: int,
    image_size: int,
    num_steps: int,
    dtype,
    held_out: Samples | None = None,
) -> Generator:
    """Return the generator that `config.name` names.

    Args:
      num_steps: that training may take at most.  dtype: of its computations.
      held_out: real images set aside (NumPy), for a generator whose Config reads them.

    Raises:
      InputError: it cannot make images of that size, or of a class.
    """
    more = {"held_out": held_out} if config.reads_held_out else {}
    return GENERATORS[config.name][1](config, num_classes, image_size, num_steps, dtype, **more)

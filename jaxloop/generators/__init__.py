"""The generators, one file each. A new one is a Config, a `create` and one line here."""

from collections.abc import Callable
from typing import Any

from jaxloop import spec
from jaxloop.generators import dcgan, diffusion
from jaxloop.generators.base import Generator

# name -> (its Config, which extends spec.Generator; create(config, num_classes, image_size,
# num_steps, dtype) -> Generator)
GENERATORS: dict[str, tuple[type[spec.Generator], Callable[..., Generator]]] = {
    "dcgan": (dcgan.Config, dcgan.create),
    "edm": (diffusion.Config, diffusion.create),
    "flow": (diffusion.Config, diffusion.create),
}


def create(config: Any, num_classes: int, image_size: int, num_steps: int, dtype) -> Generator:
    """Return the generator that `config.name` names.

    Args:
      num_steps: that training may take at most.  dtype: of its computations.

    Raises:
      InputError: it cannot make images of that size.
    """
    return GENERATORS[config.name][1](config, num_classes, image_size, num_steps, dtype)

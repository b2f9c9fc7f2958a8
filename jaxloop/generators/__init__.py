"""The generators, one file each. A new one is a Config, a `create` and one line here."""

from collections.abc import Callable
from typing import Any

from jaxloop import spec
from jaxloop.generators import dcgan, diffusion, resample, stable_diffusion
from jaxloop.generators.base import Generator

# name -> (its Config, which extends spec.Generator; create(config, num_classes, image_size,
# num_steps, dtype) -> Generator; also given by name what the Config `reads`)
GENERATORS: dict[str, tuple[type[spec.Generator], Callable[..., Generator]]] = {
    "dcgan": (dcgan.Config, dcgan.create),
    "edm": (diffusion.Config, diffusion.create),
    "flow": (diffusion.Config, diffusion.create),
    "resample": (resample.Config, resample.create),
    "stable_diffusion": (stable_diffusion.Config, stable_diffusion.create),
}


def create(
    config: Any, num_classes: int, image_size: int, num_steps: int, dtype, **given: Any
) -> Generator:
    """Return the generator that `config.name` names.

    Args:
      num_steps: that training may take at most.  dtype: of its computations.
      given: what a Config may read, by name. held_out: real images set aside, Samples in NumPy;
        class_names.

    Raises:
      InputError: it cannot make images of that size, or of a class.
    """
    more = {name: given[name] for name in config.reads}
    return GENERATORS[config.name][1](config, num_classes, image_size, num_steps, dtype, **more)

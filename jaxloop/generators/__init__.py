"""The generators, one file each. A new one is a function (spec, num_classes, image_size) -> Generator and one line here."""

from collections.abc import Callable

from jaxloop import config
from jaxloop.errors import InputError
from jaxloop.generators import dcgan
from jaxloop.generators.base import Generator

GENERATORS: dict[str, Callable[[config.Generator, int, int], Generator]] = {"dcgan": dcgan.create}
NAMES = tuple(GENERATORS)


def create(spec: config.Generator, num_classes: int, image_size: int) -> Generator:
    """The generator that `spec.name` names. Raises InputError where there is none, or where it cannot make that size."""
    if spec.name not in GENERATORS:
        raise InputError("config.generator.name", spec.name, NAMES)
    return GENERATORS[spec.name](spec, num_classes, image_size)

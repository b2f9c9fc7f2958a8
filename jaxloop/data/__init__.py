"""Data sources: a name -> real images with classes and subgroups. A new one is one file and one line here."""

from collections.abc import Callable

from jaxloop import config
from jaxloop.data import cifar, digits, folder, mnist
from jaxloop.errors import InputError
from jaxloop.types import Dataset

SOURCES: dict[str, Callable[[config.Data], Dataset]] = {
    "digits": digits.load,
    "mnist": mnist.load,
    "cifar": cifar.load,
    "folder": folder.load,
}
NAMES = tuple(SOURCES)


def load(data: config.Data) -> Dataset:
    """The data set that `data.name` names, on the host: a function of `data`, and of the files it names, alone.

    Raises:
      InputError: an unknown name, a file that is missing or broken, a setting that does not fit the source.
    """
    if data.name not in SOURCES:
        raise InputError("config.data.name", data.name, NAMES)
    return SOURCES[data.name](data)

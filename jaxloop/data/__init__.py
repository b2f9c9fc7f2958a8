"""Data sets by name. A new one is one file and one line here, or `data.SOURCES["mine"] = load`."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from jaxloop.data import (
    breeds,
    breeds_table,
    cifar,
    digits,
    folder,
    hard_imagenet_index,
    mnist,
    paths,
)
from jaxloop.errors import InputError
from jaxloop.spec import Data
from jaxloop.types import Dataset

Load = Callable[[Data], Dataset]

# Those that read `data.color` and `data.test_color`.
COLORED: dict[str, Load] = {"digits": digits.load, "mnist": mnist.load}
BREEDS: dict[str, Load] = dict.fromkeys(breeds_table.NAMES, breeds.load)
SOURCES: dict[str, Load] = {
    **COLORED,
    "cifar": cifar.load,
    "folder": folder.load,
    "hard_imagenet": hard_imagenet_index.load,
    **BREEDS,
}
NAMES = SOURCES.keys()  # a view: what is registered later is in it


def load(data: Data) -> Dataset:
    """Return the data set that `data.name` names: a function of `data` and its files alone.

    Every class has a training and a test image; InputError where that or a file is not right.
    """
    if data.name not in SOURCES:
        raise InputError("config.data.name", data.name, NAMES)
    path = os.path.expanduser(data.path)
    paths.require(path == paths.escaped(path), path, "a path in UTF-8")
    dataset = SOURCES[data.name](dataclasses.replace(data, path=path))
    for split, samples in (("training", dataset.train), ("test", dataset.test)):
        counts = np.bincount(np.asarray(samples.label), minlength=len(dataset.class_names))
        name = dataset.class_names[int(np.argmin(counts))]
        allowed = f"a {split} image of each class; class {name!r} has none"
        paths.require(bool(counts.all()), path, allowed)
    return dataset

"""Published weights as Linen variables, and networks that start from them.

    python -m jaxloop.classifiers.pretrained convert resnet50 resnet50.pth resnet50.safetensors

A converted file (`jaxloop.weights.files`) holds the variables of the network of imagenet's stem.
"""

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop import classifiers
from jaxloop.classifiers import torch_names
from jaxloop.errors import InputError
from jaxloop.types import Array, PyTree
from jaxloop.weights import files, hub, state_dict

FIELD = hub.FIELD
FORMAT = "jaxloop-classifier/1"
COMMAND = "python -m jaxloop.classifiers.pretrained convert"
CONVERTED = f"a file made by `{COMMAND}`"
SIDE = 224  # pixels, of the images that the weights are for: it sizes DeiT's position embedding
POSITION = "params/position"

# What a converted file says, beside source and sha256 -> whether it is valid.
CHECKS = {
    "architecture": lambda value: value in torch_names.NAMES,
    "num_classes": lambda value: type(value) is int and value > 0,
}


class Weights(NamedTuple):
    """The weights of one network: its Linen variables, NumPy float32.

    path: the file or hub name, as it was given.
    source, sha256: name and hash of the published file that they were converted from.
    """

    path: str
    architecture: str
    num_classes: int
    source: str
    sha256: str
    variables: PyTree


def for_classifiers(
    paths: Sequence[str], names: Sequence[str], stem: str, width: float
) -> dict[str, Weights]:
    """Return the weights that each of the classifiers `names` starts from; {} without paths.

    Args:
      paths: `config.classifier.pretrained`: converted files or hub names, one for each classifier,
        in any order.

    Raises:
      InputError: a stem or width that no weights are published for, a path that cannot be read or
        is of no classifier, a classifier without a path or with two: before anything is fetched.
    """
    if not paths:
        return {}
    use = f"which is what the weights of {FIELD} are for"
    if stem != "imagenet":
        raise InputError("config.classifier.stem", stem, f"imagenet, {use}")
    if width != 1:
        raise InputError("config.classifier.width", width, f"1, {use}")
    if others := [name for name in names if name not in torch_names.NAMES]:
        allowed = f"config.classifiers without {others[0]}, of which no weights are published"
        raise InputError(FIELD, paths, allowed)
    path_by_name: dict[str, str] = {}
    for path in paths:
        name = hub.architecture(path) if hub.is_name(path) else _describe(path)["architecture"]
        hub.require(name in names, path, f"weights of {', '.join(names)}; these are of {name}")
        allowed = f"one file a classifier; {path_by_name.get(name)} is of {name} as well"
        hub.require(name not in path_by_name, path, allowed)
        path_by_name[name] = path
    if missing := [name for name in names if name not in path_by_name]:
        allowed = f"one file for each of config.classifiers; {missing[0]} has none"
        raise InputError(FIELD, paths, allowed)
    readers = {name: fetch if hub.is_name(path_by_name[name]) else read for name in names}
    return {name: readers[name](path_by_name[name]) for name in names}


def start(init: PyTree, weights: Weights) -> PyTree:
    """Return a module's initial variables with all but the head from `weights`; pure.

    The head stays as initialised, whatever the number of classes: the run's classes are not the
    file's. DeiT's position embedding is resized to the run's images.

    Raises InputError: names the first tensor that the two do not have in the same shape.
    """
    initial, given = files.flat(init), files.flat(weights.variables)
    if POSITION in given and POSITION in initial:
        given[POSITION] = _resized(given[POSITION], initial[POSITION].shape[1])
    head = f"params/{torch_names.head(weights.architecture)}/"
    given = {path: jnp.asarray(x) for path, x in given.items() if not path.startswith(head)}
    wanted = {path: x for path, x in initial.items() if not path.startswith(head)}
    origin = f"these are {weights.architecture}'s, of the imagenet stem and width 1"
    files.check_tensors(FIELD, weights.path, f"weights of this network; {origin}", given, wanted)
    return files.nested(initial | given)


def _resized(position: Array, tokens: int) -> Array:
    """Resize a position embedding [1 1+g*g d] to `tokens` = 1 + g'*g' bicubically, as timm does.

    The class token's row stays. All stays where `tokens` is not of that form.
    """
    old, new = math.isqrt(position.shape[1] - 1), math.isqrt(tokens - 1)
    if new == old or 1 + new * new != tokens:
        return position
    grid = position[:, 1:].reshape(1, old, old, -1)
    grid = jax.image.resize(grid, (1, new, new, grid.shape[-1]), "cubic", antialias=True)
    return jnp.concatenate([position[:, :1], grid.reshape(1, new * new, -1)], axis=1)


def read(path: str | os.PathLike) -> Weights:
    """Read a converted file. Raises InputError if it is none, broken, or of other tensors."""
    weights = Weights(str(path), **_describe(path), variables=files.variables(path, FIELD))
    return _checked(FIELD, weights)


def fetch(name: str) -> Weights:
    """Return the weights of a hub name, fetched and converted. Raises InputError."""
    architecture, file = hub.architecture(name), hub.fetch(name, FIELD, CONVERTED) / hub.FILE
    _, state = files.read_safetensors(file, FIELD, name)
    variables = torch_names.convert(architecture, state, FIELD, name, timm=True)
    return _weights(FIELD, name, architecture, variables, name, file)


def convert(name: str, source: Path, target: Path) -> Weights:
    """Convert the published file `source` of the network `name` and write `target`.

    Raises InputError as `state_dict.read`, `torch_names.convert` and `write` do.
    """
    variables = torch_names.convert(name, state_dict.read(source), "IN", str(source))
    weights = _weights("IN", str(source), name, variables, source.name, source)
    write(target, weights)
    return weights


def write(path: Path, weights: Weights) -> None:
    """Write a converted file, whole or not at all. Raises InputError if it cannot be written."""
    description = {key: getattr(weights, key) for key in (*CHECKS, "source", "sha256")}
    files.write(path, {"format": FORMAT, **description}, weights.variables)


def _describe(path: str | os.PathLike) -> dict:
    """Return the description in a converted file, all but its format. Raises InputError."""
    if Path(path).suffix != files.SUFFIX:
        raise InputError(FIELD, str(path), f"{CONVERTED}, or a hub name as timm/resnet50.tv_in1k")
    return files.describe(path, FIELD, COMMAND, FORMAT, CHECKS)


def _weights(
    field: str, path: str, architecture: str, variables: PyTree, source: str, file: Path
) -> Weights:
    """Return the Weights that were converted from `file`, which was given as `path`."""
    num_classes = len(variables["params"][torch_names.head(architecture)]["bias"])
    sha256 = files.sha256(file)
    return _checked(field, Weights(path, architecture, num_classes, source, sha256, variables))


def _checked(field: str, weights: Weights) -> Weights:
    """Return the same weights. Raises InputError unless they are for images of `SIDE` pixels."""
    module = classifiers.create(weights.architecture, weights.num_classes)
    wanted, given = files.flat(classifiers.shapes(module, SIDE)), files.flat(weights.variables)
    network = f"weights of {weights.architecture} for {weights.num_classes} classes"
    files.check_tensors(field, weights.path, network, given, wanted)
    return weights


def _convert(name: str, source: Path, target: Path) -> str:
    weights = convert(name, source, target)
    origin = f"from {weights.source}, sha256 {weights.sha256}"
    return f"{weights.architecture}, {weights.num_classes} classes, {origin}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    source = "torchvision's file; timm's for deit_small"
    return files.convert_command(COMMAND, _convert, source, argv, torch_names.NAMES)


if __name__ == "__main__":
    sys.exit(main())

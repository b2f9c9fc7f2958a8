"""Published weights as Linen variables, and networks that start from them.

    python -m jaxloop.classifiers.pretrained convert resnet50 resnet50-11ad3fa6.pth resnet50.safetensors

A converted file holds the variables of the network with the imagenet stem, flattened ("params/conv1/kernel", float32), and
says what they are (`METADATA`).
"""

import argparse
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import hub, torch_names
from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.files import write_atomic
from jaxloop.types import Array, PyTree

FIELD = hub.FIELD
FORMAT = "jaxloop-classifier/1"
CONVERT = "python -m jaxloop.classifiers.pretrained convert"
SIDE = 224  # pixels, of the images that the weights are for: it sizes DeiT's position embedding
POSITION = ("params", "position")

# What a converted file says of itself -> what is valid.
METADATA: dict[str, Callable[[object], bool]] = {
    "format": lambda value: value == FORMAT,
    "architecture": lambda value: value in torch_names.NAMES,
    "num_classes": lambda value: type(value) is int and value > 0,
    "source": lambda value: isinstance(value, str),
    "sha256": lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
}


class Weights(NamedTuple):
    """The weights of one network.

    path: the file or hub name, as it was given.
    architecture, num_classes: of the network that they are for.
    source, sha256: name and hash of the published file that they were converted from.
    variables: the Linen variables {"params", "batch_stats"}, NumPy float32; no batch_stats where the network has none.
    """

    path: str
    architecture: str
    num_classes: int
    source: str
    sha256: str
    variables: PyTree


def for_classifiers(paths: Sequence[str], names: Sequence[str], stem: str, width: float) -> dict[str, Weights]:
    """The weights that each of the classifiers `names` starts from; empty where there are no paths.

    Args:
      paths: `config.classifier.pretrained`: converted files or hub names, one for each classifier, in any order.

    Raises:
      InputError: a stem or width that no weights are published for, a path that cannot be read, a path of no classifier, a
        classifier without a path or with two. Only the first bytes of files are read, and nothing fetched, to know these.
    """
    if not paths:
        return {}
    if stem != "imagenet":
        raise InputError("config.classifier.stem", stem, f"imagenet, which is what the weights of {FIELD} are for")
    if width != 1:
        raise InputError("config.classifier.width", width, f"1, which is what the weights of {FIELD} are for")
    for name in names:
        if name not in torch_names.NAMES:
            raise InputError(FIELD, paths, f"config.classifiers without {name}, of which no weights are published")
    found: dict[str, str] = {}
    for path in paths:
        architecture = hub.architecture(path) if hub.is_name(path) else _described(path)["architecture"]
        if architecture not in names:
            raise InputError(FIELD, path, f"weights of {', '.join(names)}; these are of {architecture}")
        if architecture in found:
            raise InputError(FIELD, path, f"one file a classifier; {found[architecture]} is of {architecture} as well")
        found[architecture] = path
    for name in names:
        if name not in found:
            raise InputError(FIELD, paths, f"one file for each of config.classifiers; {name} has none")
    return {name: fetch(found[name]) if hub.is_name(found[name]) else read(found[name]) for name in names}


def start(init: PyTree, weights: Weights) -> PyTree:
    """`init` with everything but the head taken from `weights`; pure, and the variables of both may be traced.

    The head stays as initialised, whatever the number of classes: the run's classes are not the file's. DeiT's position
    embedding is resized to the run's images.

    Args:
      init: the variables that the module's `init` gave.

    Raises:
      InputError: names the first tensor that the module has in another shape (another width), or that only one of the two
        has (the small stem, another network).
    """
    head = torch_names.mapping(weights.architecture)[-1].path[:-1]  # ("params", "fc")
    fresh = traverse_util.flatten_dict(init)
    given = traverse_util.flatten_dict(weights.variables)
    if POSITION in given and POSITION in fresh:
        given[POSITION] = _resized(given[POSITION], fresh[POSITION].shape[1])
    taken = {path: jnp.asarray(x) for path, x in given.items() if path[:-1] != head}
    wanted = {path: x for path, x in fresh.items() if path[:-1] != head}
    what = f"weights of this network; these are {weights.architecture}'s, of the imagenet stem and width 1"
    _refuse_other(FIELD, weights.path, what, taken, wanted)
    return traverse_util.unflatten_dict({path: taken.get(path, x) for path, x in fresh.items()})


def _resized(position: np.ndarray, tokens: int) -> Array:
    """A position embedding [1 1+g*g d] for `tokens` = 1 + g'*g': the class token's row, and the grid bicubically, as timm.

    As it is where `tokens` is not of that form.
    """
    old, new = math.isqrt(position.shape[1] - 1), math.isqrt(tokens - 1)
    if new == old or 1 + new * new != tokens:
        return position
    grid = position[:, 1:].reshape(1, old, old, -1)
    grid = jax.image.resize(grid, (1, new, new, grid.shape[-1]), "cubic", antialias=True)
    return jnp.concatenate([position[:, :1], grid.reshape(1, new * new, -1)], axis=1)


def load(path: str | os.PathLike) -> PyTree:
    """The Linen variables {"params", "batch_stats"} of a converted file. Raises InputError as `read` does."""
    return read(path).variables


def read(path: str | os.PathLike) -> Weights:
    """Reads a converted file.

    Raises:
      InputError: no converted file, a broken one, or the first tensor that is missing, misshapen or not the network's.
    """
    told = _described(path)
    _, tensors = hub.safetensors_file(path, FIELD, path)
    variables = {tuple(name.split("/")): x.astype(np.float32, copy=False) for name, x in tensors.items()}
    del told["format"]
    return _checked(FIELD, Weights(path=str(path), variables=traverse_util.unflatten_dict(variables), **told))


def fetch(name: str) -> Weights:
    """The weights of a hub name, fetched and converted. Raises InputError."""
    architecture, file = hub.architecture(name), hub.download(name)
    _, state = hub.safetensors_file(file, FIELD, name)
    return _converted(FIELD, name, architecture, hub.torchvision_names(architecture, state), source=name, file=file)


def convert(name: str, source: Path, target: Path) -> Weights:
    """Converts the published file `source` of the network `name`, .pth or .safetensors, and writes `target`.

    Raises:
      InputError: no such network, no torch for a .pth, a file that is not a state dict, the first tensor that is missing,
        misshapen or not the network's, a target that cannot be written.
    """
    if name not in torch_names.NAMES:
        raise InputError("NAME", name, torch_names.NAMES)
    if target.suffix != ".safetensors" or target.resolve() == source.resolve():
        raise InputError("OUT", str(target), "a path that ends in .safetensors and is not IN")
    state = hub.safetensors_file(source, "IN", source)[1] if source.suffix == ".safetensors" else hub.torch_file(source)
    weights = _converted("IN", str(source), name, state, source=source.name, file=source)
    try:
        write(target, weights)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError("OUT", str(target), f"a file that can be written ({error})") from None
    return weights


def write(path: Path, weights: Weights) -> None:
    """Writes a converted file, whole or not at all. One that is there is replaced: it can be made again."""
    told = {name: getattr(weights, name, FORMAT) for name in METADATA}
    # safetensors copies memory as it lies, and would write a transposed view wrongly.
    flat = traverse_util.flatten_dict(weights.variables, sep="/")
    tensors = {name: np.ascontiguousarray(x, np.float32) for name, x in flat.items()}
    # One entry of metadata: several would be written in any order, and the same source should give the same bytes.
    write_atomic(path, safetensors.numpy.save(tensors, {"jaxloop": json.dumps(told)}))


def _described(path: str | os.PathLike) -> dict:
    """What a converted file says of itself, with the keys of METADATA, all valid. Raises InputError."""
    made = f"a file made by `{CONVERT}`"
    if Path(path).suffix != ".safetensors":
        raise InputError(FIELD, str(path), f"{made}, or a hub name as timm/resnet50.tv_in1k")
    metadata, _ = hub.safetensors_file(path, FIELD, path, tensors=False)
    try:
        told = json.loads(metadata.get("jaxloop", ""))
    except ValueError:
        raise InputError(FIELD, str(path), f"{made}; this one does not say of what network it is") from None
    for name, valid in METADATA.items():
        value = told.get(name) if isinstance(told, dict) else None
        if not valid(value):
            raise InputError(FIELD, str(path), f"{made} of this version; it has {name} {value!r}")
    return {name: told[name] for name in METADATA}


def _converted(field: str, path: str, architecture: str, state: Mapping, source: str, file: Path) -> Weights:
    """The Weights in a state dict. Raises InputError for the `path` that was given as `field`."""
    try:
        variables = torch_names.convert(architecture, state)
    except InputError as error:
        raise InputError(field, path, f"weights of {architecture}; {error.value}: {error.allowed}") from None
    with open(file, "rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    num_classes = len(state[torch_names.mapping(architecture)[-1].key])
    return _checked(field, Weights(path, architecture, num_classes, source, sha256, variables))


def _checked(field: str, weights: Weights) -> Weights:
    """The same weights. Raises InputError if they are not the network's for images of `SIDE` pixels."""
    init = classifiers.shapes(classifiers.create(weights.architecture, weights.num_classes), SIDE)
    what = f"weights of {weights.architecture} for {weights.num_classes} classes"
    given, wanted = (traverse_util.flatten_dict(tree) for tree in (weights.variables, init))
    _refuse_other(field, weights.path, what, given, wanted)
    return weights


def _refuse_other(field: str, path: str, what: str, given: Mapping, wanted: Mapping) -> None:
    """Raises InputError for the first tensor that `given` lacks, has in another shape than `wanted`, or should not have."""
    for key in (*wanted, *given):
        name = "/".join(key)
        if key not in given:
            raise InputError(field, path, f"{what}; {name} is missing")
        if key not in wanted:
            raise InputError(field, path, f"{what}; {name} is none of its tensors")
        if given[key].shape != wanted[key].shape:
            raise InputError(field, path, f"{what}; {name} has shape {given[key].shape}, not {wanted[key].shape}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise InputError("the command line", " ".join(sys.argv[1:]), f"see --help ({message})")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr for a bad input."""
    parser = _Parser(prog="python -m jaxloop.classifiers.pretrained", description="Published weights for jaxloop.")
    does = "convert a published file to Linen variables"
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("convert", help=does, description=does)
    command.add_argument("name", metavar="NAME", help=", ".join(torch_names.NAMES))
    command.add_argument("source", metavar="IN", type=Path, help="torchvision's file; timm's for deit_small")
    command.add_argument("target", metavar="OUT", type=Path, help="a .safetensors file; replaced if it is there")
    try:
        weights = convert(**vars(parser.parse_args(argv)))
    except (InputError, OSError) as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    print(f"{weights.architecture}, {weights.num_classes} classes, from {weights.source}, sha256 {weights.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Published weights as Linen variables, and networks that start from them.

    python -m jaxloop.classifiers.pretrained convert resnet50 resnet50-11ad3fa6.pth resnet50.safetensors

A converted file (`jaxloop.weights.files`) holds the variables of the network with the imagenet stem, and says `METADATA`.
"""

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
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import torch_names
from jaxloop.errors import EXIT_CODE, InputError
from jaxloop.types import Array, PyTree
from jaxloop.weights import files as weight_files
from jaxloop.weights import hub

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
    "sha256": lambda value: (
        isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
    ),
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


def for_classifiers(
    paths: Sequence[str], names: Sequence[str], stem: str, width: float
) -> dict[str, Weights]:
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
        raise InputError(
            "config.classifier.stem",
            stem,
            f"imagenet, which is what the weights of {FIELD} are for",
        )
    if width != 1:
        raise InputError(
            "config.classifier.width", width, f"1, which is what the weights of {FIELD} are for"
        )
    for name in names:
        if name not in torch_names.NAMES:
            raise InputError(
                FIELD,
                paths,
                f"config.classifiers without {name}, of which no weights are published",
            )
    found: dict[str, str] = {}
    for path in paths:
        architecture = (
            hub.architecture(path) if hub.is_name(path) else _described(path)["architecture"]
        )
        if architecture not in names:
            raise InputError(
                FIELD, path, f"weights of {', '.join(names)}; these are of {architecture}"
            )
        if architecture in found:
            raise InputError(
                FIELD,
                path,
                f"one file a classifier; {found[architecture]} is of {architecture} as well",
            )
        found[architecture] = path
    for name in names:
        if name not in found:
            raise InputError(
                FIELD, paths, f"one file for each of config.classifiers; {name} has none"
            )
    return {
        name: fetch(found[name]) if hub.is_name(found[name]) else read(found[name])
        for name in names
    }


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
    weight_files.refuse_other(FIELD, weights.path, what, taken, wanted)
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
    del told["format"]
    return _checked(
        FIELD, Weights(path=str(path), variables=weight_files.variables(path, FIELD), **told)
    )


def fetch(name: str) -> Weights:
    """The weights of a hub name, fetched and converted. Raises InputError."""
    architecture, file = hub.architecture(name), hub.download(name)
    _, state = weight_files.safetensors_file(file, FIELD, name)
    return _converted(
        FIELD,
        name,
        architecture,
        hub.torchvision_names(architecture, state),
        source=name,
        file=file,
    )


def convert(name: str, source: Path, target: Path) -> Weights:
    """Converts the published file `source` of the network `name`, .pth or .safetensors, and writes `target`.

    Raises:
      InputError: no such network, no torch for a .pth, a file that is not a state dict, the first tensor that is missing,
        misshapen or not the network's, a target that cannot be written.
    """
    if name not in torch_names.NAMES:
        raise InputError("NAME", name, torch_names.NAMES)
    weight_files.check_target(source, target)
    weights = _converted(
        "IN", str(source), name, weight_files.published(source), source=source.name, file=source
    )
    write(target, weights)
    return weights


def write(path: Path, weights: Weights) -> None:
    """Writes a converted file, whole or not at all. Raises InputError if it cannot be written."""
    weight_files.write(
        path, {name: getattr(weights, name, FORMAT) for name in METADATA}, weights.variables
    )


def _described(path: str | os.PathLike) -> dict:
    """What a converted file says of itself, with the keys of METADATA, all valid. Raises InputError."""
    made = f"a file made by `{CONVERT}`"
    if Path(path).suffix != ".safetensors":
        raise InputError(FIELD, str(path), f"{made}, or a hub name as timm/resnet50.tv_in1k")
    return weight_files.described(path, FIELD, made, METADATA)


def _converted(
    field: str, path: str, architecture: str, state: Mapping, source: str, file: Path
) -> Weights:
    """The Weights in a state dict. Raises InputError for the `path` that was given as `field`."""
    try:
        variables = torch_names.convert(architecture, state)
    except InputError as error:
        raise InputError(
            field, path, f"weights of {architecture}; {error.value}: {error.allowed}"
        ) from None
    num_classes = len(state[torch_names.mapping(architecture)[-1].key])
    return _checked(
        field,
        Weights(path, architecture, num_classes, source, weight_files.sha256(file), variables),
    )


def _checked(field: str, weights: Weights) -> Weights:
    """The same weights. Raises InputError if they are not the network's for images of `SIDE` pixels."""
    init = classifiers.shapes(classifiers.create(weights.architecture, weights.num_classes), SIDE)
    what = f"weights of {weights.architecture} for {weights.num_classes} classes"
    given, wanted = (traverse_util.flatten_dict(tree) for tree in (weights.variables, init))
    weight_files.refuse_other(field, weights.path, what, given, wanted)
    return weights


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr for a bad input."""
    parser = weight_files.Parser(
        prog="python -m jaxloop.classifiers.pretrained",
        description="Published weights for jaxloop.",
    )
    does = "convert a published file to Linen variables"
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "convert", help=does, description=does
    )
    command.add_argument("name", metavar="NAME", help=", ".join(torch_names.NAMES))
    command.add_argument(
        "source", metavar="IN", type=Path, help="torchvision's file; timm's for deit_small"
    )
    command.add_argument(
        "target", metavar="OUT", type=Path, help="a .safetensors file; replaced if it is there"
    )
    try:
        weights = convert(**vars(parser.parse_args(argv)))
    except (InputError, OSError) as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    print(
        f"{weights.architecture}, {weights.num_classes} classes, from {weights.source}, sha256 {weights.sha256}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

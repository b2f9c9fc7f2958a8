"""Converted files of weights, and the command that makes them of published ones.

A converted file is a safetensors file of Linen variables, flattened ("params/conv1/kernel",
float32), whose one entry of metadata says what they are.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jaxloop.errors import EXIT_CODE, InputError, refusing
from jaxloop.files import write_atomic
from jaxloop.types import PyTree

ENTRY = "jaxloop"  # of a converted file's metadata
SUFFIX = ".safetensors"
SHA256 = re.compile("[0-9a-f]{64}")
NAMES_SHOWN = 3  # of what a refused file holds
_FILE_ERRORS = OSError, safetensors.SafetensorError


def flat(variables: PyTree) -> dict[str, Any]:
    """Flatten variables: "params/conv1/kernel" -> array."""
    return traverse_util.flatten_dict(variables, sep="/")


def nested(variables: Mapping[str, Any]) -> PyTree:
    """Undo `flat`."""
    return traverse_util.unflatten_dict(variables, sep="/")


def read_safetensors(
    path: str | os.PathLike, field: str, value: object, tensors: bool = True
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return (metadata, tensors) of a file. Raises InputError for the `value` of `field`."""
    name = str(value)
    whole = refusing(field, name, "a whole .safetensors file", _FILE_ERRORS)
    # NumPy's errors for bfloat16 and float8
    typed = refusing(field, name, "tensors of a type that NumPy has", (TypeError, AttributeError))
    with whole, typed, safetensors.safe_open(path, "np") as file:
        return file.metadata() or {}, file.get_tensors() if tensors else {}


def read_json(folder: Path, name: str, field: str, value: object) -> dict:
    """Return a file of a folder, an object of JSON. Raises InputError for `value` of `field`."""
    with refusing(field, value, f"a folder whose {name} can be read"):
        content = json.loads((folder / name).read_text())
    if not isinstance(content, dict):
        raise InputError(field, value, f"a folder whose {name} is an object")
    return content


def sha256(path: str | os.PathLike) -> str:
    """Return the file's hash, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, description: Mapping[str, object], variables: PyTree) -> None:
    """Write a converted file, whole or not at all. Raises InputError for OUT if it cannot be."""
    # safetensors copies memory as it lies, and would write a transposed view wrongly.
    tensors = {k: np.ascontiguousarray(x, np.float32) for k, x in flat(variables).items()}
    with refusing("OUT", str(path), "a file that can be written", _FILE_ERRORS):
        # Several entries of metadata would be written in any order: other bytes of the same source.
        write_atomic(path, safetensors.numpy.save(tensors, {ENTRY: json.dumps(description)}))


def describe(
    path: str | os.PathLike,
    field: str,
    command: str,
    format_name: str,
    checks: Mapping[str, Callable[[object], bool]],
) -> dict[str, Any]:
    """Return the description in a file that `command` made; reads its first bytes only.

    format_name: the value that "format" must have; it is not returned.
    checks: name of a value beside "source" and "sha256" -> whether it is valid.
    Raises InputError for the `path` that was given as `field`.
    """
    metadata, _ = read_safetensors(path, field, path, tensors=False)
    kind = f"a file made by `{command}`"
    try:
        description = json.loads(metadata.get(ENTRY, ""))
    except ValueError:
        allowed = f"{kind}; this one does not say of what network it is"
        raise InputError(field, str(path), allowed) from None
    checks = {
        "format": lambda value: value == format_name,
        **checks,
        "source": lambda value: isinstance(value, str),
        "sha256": lambda value: isinstance(value, str) and bool(SHA256.fullmatch(value)),
    }
    for name, valid in checks.items():
        value = description.get(name) if isinstance(description, dict) else None
        if not valid(value):
            allowed = f"{kind} of this version; it has {name} {value!r}"
            raise InputError(field, str(path), allowed)
    return {name: description[name] for name in checks if name != "format"}


def variables(path: str | os.PathLike, field: str) -> PyTree:
    """Return the Linen variables, NumPy float32, in a converted file given as `field`."""
    _, tensors = read_safetensors(path, field, path)
    return nested({name: x.astype(np.float32, copy=False) for name, x in tensors.items()})


def check_tensors(
    field: str, value: str, network: str, given: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Refuse the first tensor that is missing, misshapen, or none of the network's.

    network: what weights were expected, in words. given, wanted: whatever has a shape, by name.
    Raises InputError for the `value` of `field`.
    """
    for name in (*wanted, *given):
        if name not in given:
            held = ", ".join(list(given)[:NAMES_SHOWN]) or "nothing"
            problem = f"is missing; the first that it holds: {held}"
        elif name not in wanted:
            problem = "is none of its tensors"
        elif np.shape(given[name]) != np.shape(wanted[name]):
            problem = f"has shape {np.shape(given[name])}, not {np.shape(wanted[name])}"
        else:
            continue
        raise InputError(field, value, f"{network}; {name} {problem}")


class _Parser(argparse.ArgumentParser):
    """A command line whose mistakes are InputErrors."""

    def error(self, message: str):
        raise InputError("the command line", " ".join(sys.argv[1:]), f"see --help ({message})")


def convert_command(
    command: str,
    convert: Callable[..., str],
    source: str,
    argv: Sequence[str] | None,
    names: Sequence[str] = (),
) -> int:
    """Run `python -m MODULE convert [NAME] IN OUT`, the `command`; return the exit code, 0 or 2.

    convert: (NAME where there are `names`, IN, OUT) -> the line to print; raises InputError.
    source: what IN is, for the help.
    """
    about = "Convert a published file of weights to Linen variables."
    parser = _Parser(prog=command.removesuffix(" convert"), description=about)
    positional = parser.add_argument
    positional("command", metavar="COMMAND", choices=["convert"], help="convert")
    if names:
        positional("name", metavar="NAME", help=", ".join(names))
    positional("source", metavar="IN", type=Path, help=source)
    positional("target", metavar="OUT", type=Path, help="a .safetensors file, replaced")
    try:
        arguments = vars(parser.parse_args(argv))
        del arguments["command"]
        target = arguments["target"]
        if names and arguments["name"] not in names:
            raise InputError("NAME", arguments["name"], names)
        if target.suffix != SUFFIX or target.resolve() == arguments["source"].resolve():
            allowed = "a path that ends in .safetensors and is not IN"
            raise InputError("OUT", str(target), allowed)
        print(convert(**arguments))
    except (InputError, OSError) as error:
        print(f"jaxloop: {error}", file=sys.stderr)
        return EXIT_CODE
    return 0

"""Files of weights: published ones, as torch or safetensors wrote them, and converted ones.

A converted file is a safetensors file of Linen variables, flattened ("params/conv1/kernel", float32), whose one entry of
metadata says what they are.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jaxloop.errors import InputError
from jaxloop.files import write_atomic
from jaxloop.types import PyTree

ENTRY = "jaxloop"  # of a converted file's metadata
SUFFIX = ".safetensors"


def safetensors_file(
    path: str | os.PathLike, field: str, value: object, tensors: bool = True
) -> tuple[dict, dict]:
    """(metadata, tensors as NumPy arrays) of a file, both by name. Raises InputError for the `value` of `field`."""
    try:
        with safetensors.safe_open(path, "np") as file:
            return file.metadata() or {}, file.get_tensors() if tensors else {}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(field, str(value), f"a whole .safetensors file ({error})") from None
    except (
        TypeError,
        AttributeError,
    ) as error:  # how NumPy says that it has no bfloat16, no float8
        raise InputError(field, str(value), f"tensors of a type that NumPy has ({error})") from None


def torch_file(path: Path, field: str = "IN") -> dict[str, np.ndarray]:
    """The state dict in a file that torch saved, bare or as "state_dict" or "model". Runs no code from the file.

    Raises InputError for the path that was given as `field`.
    """
    try:
        import torch
    except ImportError:
        how = (
            "torch to read it (pip install 'jaxloop-experiments[convert]'), or a .safetensors file"
        )
        raise InputError(field, str(path), how) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(field, str(path), f"a file that can be read ({error})") from None
    except Exception as error:  # of any kind, for the bytes may be anything
        raise InputError(
            field, str(path), f"a file of tensors, saved by torch ({type(error).__name__})"
        ) from None
    for name in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict) or not all(isinstance(x, torch.Tensor) for x in state.values()):
        raise InputError(
            field, str(path), "a file that holds a state dict: names and tensors, nothing else"
        )
    prefix = (
        "module." if all(str(key).startswith("module.") for key in state) else ""
    )  # of DataParallel
    return {str(key).removeprefix(prefix): x.detach().float().numpy() for key, x in state.items()}


def published(source: Path) -> dict[str, np.ndarray]:
    """The state dict in a published file, .safetensors or torch's. Raises InputError for IN."""
    return (
        safetensors_file(source, "IN", source)[1] if source.suffix == SUFFIX else torch_file(source)
    )


def sha256(path: str | os.PathLike) -> str:
    """The file's hash, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_target(source: Path, target: Path) -> None:
    """Raises InputError for OUT unless a converted file can be called `target`."""
    if target.suffix != SUFFIX or target.resolve() == source.resolve():
        raise InputError("OUT", str(target), "a path that ends in .safetensors and is not IN")


def write(path: Path, told: Mapping[str, object], variables: PyTree) -> None:
    """Writes a converted file, whole or not at all. One that is there is replaced: it can be made again.

    Args:
      told: what the file says of itself.

    Raises:
      InputError: for OUT, it cannot be written.
    """
    # safetensors copies memory as it lies, and would write a transposed view wrongly.
    flat = traverse_util.flatten_dict(variables, sep="/")
    tensors = {name: np.ascontiguousarray(x, np.float32) for name, x in flat.items()}
    try:
        # One entry of metadata: several would be written in any order, and the same source should give the same bytes.
        write_atomic(path, safetensors.numpy.save(tensors, {ENTRY: json.dumps(told)}))
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError("OUT", str(path), f"a file that can be written ({error})") from None


def described(
    path: str | os.PathLike, field: str, made: str, valid: Mapping[str, Callable[[object], bool]]
) -> dict[str, object]:
    """What a converted file says of itself; only its first bytes are read.

    Args:
      made: what file it should be, in words.
      valid: what it must say -> whether a value is valid.

    Returns:
      The values, with the keys of `valid`.

    Raises:
      InputError: for the `path` that was given as `field`.
    """
    metadata, _ = safetensors_file(path, field, path, tensors=False)
    try:
        told = json.loads(metadata.get(ENTRY, ""))
    except ValueError:
        raise InputError(
            field, str(path), f"{made}; this one does not say of what network it is"
        ) from None
    for name, check in valid.items():
        value = told.get(name) if isinstance(told, dict) else None
        if not check(value):
            raise InputError(field, str(path), f"{made} of this version; it has {name} {value!r}")
    return {name: told[name] for name in valid}


def variables(path: str | os.PathLike, field: str) -> PyTree:
    """The Linen variables in a converted file, NumPy float32. Raises InputError for the `path` that was given as `field`."""
    _, tensors = safetensors_file(path, field, path)
    return traverse_util.unflatten_dict(
        {tuple(name.split("/")): x.astype(np.float32, copy=False) for name, x in tensors.items()}
    )


def refuse_other(field: str, path: str, what: str, given: Mapping, wanted: Mapping) -> None:
    """Raises InputError for the first tensor that `given` lacks, has in another shape than `wanted`, or should not have.

    Args:
      given, wanted: flattened variables, by their path as a tuple.
      what: what was expected, in words.
    """
    for key in (*wanted, *given):
        name = "/".join(key)
        if key not in given:
            raise InputError(field, path, f"{what}; {name} is missing")
        if key not in wanted:
            raise InputError(field, path, f"{what}; {name} is none of its tensors")
        if given[key].shape != wanted[key].shape:
            raise InputError(
                field, path, f"{what}; {name} has shape {given[key].shape}, not {wanted[key].shape}"
            )


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes are InputErrors."""

    def error(self, message: str):
        raise InputError("the command line", " ".join(sys.argv[1:]), f"see --help ({message})")

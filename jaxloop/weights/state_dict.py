"""State dicts as torch saves them, and their tensors as Linen variables."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloop.errors import InputError
from jaxloop.types import PyTree
from jaxloop.weights import files

# Where a file holds several state dicts, that of the first of these names is meant.
WRAPPINGS = ("state_dict", "model_state_dict", "model")
DEPTH = 3  # a state dict may be bare, wrapped, or wrapped twice
# Linen's last name of a variable -> torch's, where they differ.
LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
LEAVES |= {"mean": "running_mean", "var": "running_var"}


def read(source: Path, field: str = "IN") -> dict[str, np.ndarray]:
    """Return the state dict in a published file, .safetensors or torch's; runs no code of it.

    Raises InputError for the `source` that was given as `field`.
    """
    if source.suffix == files.SUFFIX:
        return without_prefix(files.read_safetensors(source, field, source)[1])
    refuse = partial(InputError, field, str(source))
    try:
        import torch

        content = torch.load(source, map_location="cpu", weights_only=True)
    except ImportError:
        install = "pip install 'jaxloop-experiments[convert]'"
        raise refuse(f"torch to read it ({install}), or a .safetensors file") from None
    except OSError as error:
        raise refuse(f"a file that can be read ({error})") from None
    except Exception as error:  # torch's message advises to run the file's code
        raise refuse(f"a file of tensors, saved by torch ({type(error).__name__})") from None
    state = unwrapped(content)
    if state is None:
        names = list(content)[: files.NAMES_SHOWN] if isinstance(content, Mapping) else []
        held = ", ".join(map(repr, names)) or type(content).__name__
        raise refuse(f"a file that holds one state dict, of names and tensors; it holds {held}")
    return without_prefix({str(k): x.detach().float().numpy() for k, x in state.items()})


def unwrapped(content: object) -> Mapping[Any, Any] | None:
    """Return the one state dict in `content`, the outermost; None where there is none or several.

    A state dict is a dict of tensors alone. Of several, that of the first of `WRAPPINGS` is taken.
    """
    level: list[tuple[object, object]] = [("", content)]
    for _ in range(DEPTH):
        dicts = [(name, x) for name, x in level if isinstance(x, Mapping) and x]
        states = [(k, d) for k, d in dicts if all(hasattr(x, "shape") for x in d.values())]
        for wrapping in (*WRAPPINGS, None):
            matches = [x for name, x in states if wrapping in (name, None)]
            if len(matches) == 1:
                return matches[0]
        level = [] if states else [item for _, x in dicts for item in x.items()]
    return None


def without_prefix(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Drop the names before a dot that all keys share, as `module.` of torch's DataParallel."""
    while len(names := {key.partition(".")[:2] for key in state}) == 1 and "." in names.pop():
        state = {key.partition(".")[2]: x for key, x in state.items()}
    return dict(state)


def key(path: str) -> str:
    """Return torch's name of a variable, "conv/kernel" -> "conv.weight"."""
    layer, slash, leaf = path.rpartition("/")
    return (layer + slash).replace("/", ".") + LEAVES.get(leaf, leaf)


def axes(path: str, ndim: int) -> tuple[int, ...]:
    """Return the axes that take torch's tensor to Linen's: kernels [o c h w] to [h w c o]."""
    return (*range(2, ndim), 1, 0) if path.endswith("/kernel") else tuple(range(ndim))


def torch_shape(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of torch's tensor of a variable of this shape."""
    return tuple(shape[i] for i in np.argsort(axes(path, len(shape))))


def from_variables(variables: PyTree) -> dict[str, np.ndarray]:
    """Return Linen's variables under torch's keys and in its layout: the inverse of
    `to_variables`."""
    flat = {path: np.asarray(x) for path, x in files.flat(variables).items()}
    return {
        key(path): np.ascontiguousarray(x.transpose(np.argsort(axes(path, x.ndim))))
        for path, x in flat.items()
    }


def to_variables(
    state: Mapping[str, np.ndarray],
    keys: Mapping[str, str],
    shapes: Mapping[str, Any],
    refusal: tuple[str, str, str],
    ignored: str = "",
    grid: int = 1,
) -> PyTree:
    """Return the Linen variables, NumPy float32, in a state dict.

    A dense layer may be published as a convolution over all pixels.

    keys: flat name of a variable, as "params/conv1/kernel" -> its key in `state`.
    shapes: flat name of a variable -> whatever has its shape.
    refusal: field, value and network, as `files.check_tensors` takes them; it refuses.
    ignored: a pattern of other keys that `state` may have.
    grid: side of the grid of pixels that is flattened before "params/Dense_0". Torch flattens
      [c grid grid], Linen [grid grid c].
    """
    given = {k: x for k, x in state.items() if k in keys.values() or not re.fullmatch(ignored, k)}
    wanted = {}
    for path, name in keys.items():
        shape = torch_shape(path, shapes[path].shape)
        wanted[name] = jax.ShapeDtypeStruct(shape, np.float32)
        if name in given and len(shape) == 2 and given[name].ndim == 4:
            given[name] = given[name].reshape(len(given[name]), -1)
    files.check_tensors(*refusal, given, wanted)
    flat = {}
    for path, name in keys.items():
        value = given[name]
        if path == "params/Dense_0/kernel":
            pixels = value.reshape(len(value), -1, grid, grid).transpose(0, 2, 3, 1)
            value = pixels.reshape(value.shape)
        flat[path] = np.array(value.transpose(axes(path, value.ndim)), np.float32, order="C")
    return files.nested(flat)

"""The networks' weights as torch names and lays them out, and as we do.

`mapping(name)` is the table and `convert(name, state)` reads a state dict by it. The names are torchvision's, and timm's of
deit_small. Torch itself is not needed.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from flax import traverse_util

from jaxloop import classifiers
from jaxloop.classifiers import deit, mobilenet_v3, resnet
from jaxloop.errors import InputError
from jaxloop.types import PyTree


class Tensor(NamedTuple):
    """One tensor in both worlds.

    key: its name in torch's state dict.
    path: its place in our variables, ("params", "conv1", "kernel").
    axes: ours is torch's transposed to these axes.
    grid: for a dense kernel that follows a flattening, the side of the grid of pixels that was flattened; else 0. Torch
      flattens [c grid grid], we [grid grid c].
    """

    key: str
    path: tuple[str, ...]
    axes: tuple[int, ...]
    grid: int = 0


class _Leaf(NamedTuple):
    """A tensor of one kind of layer: torch's name for it, our collection and name, and `axes` and `grid` as above."""

    theirs: str
    collection: str
    ours: str
    axes: tuple[int, ...]
    grid: int = 0


_KERNEL = _Leaf(
    "weight", "params", "kernel", (2, 3, 1, 0)
)  # OIHW -> HWIO; depthwise, [c 1 h w] -> [h w 1 c]
_MATRIX = _Leaf("weight", "params", "kernel", (1, 0))
_SCALE = _Leaf("weight", "params", "scale", (0,))
_BIAS = _Leaf("bias", "params", "bias", (0,))
_MEAN = _Leaf("running_mean", "batch_stats", "mean", (0,))
_VAR = _Leaf("running_var", "batch_stats", "var", (0,))

CONV = (_KERNEL,)
CONV_BIAS = (_KERNEL, _BIAS)
DENSE = (_MATRIX, _BIAS)
DENSE_AFTER_6X6 = (_MATRIX._replace(grid=6), _BIAS)
DENSE_AFTER_7X7 = (_MATRIX._replace(grid=7), _BIAS)
BATCH_NORM = (_SCALE, _BIAS, _MEAN, _VAR)
LAYER_NORM = (_SCALE, _BIAS)
TOKENS = (_Leaf("", "params", "", (0, 1, 2)),)  # a parameter that is in no layer

# Torch's layer, ours, kind; the last one of a network is its head.
Layers = Iterator[tuple[str, str, tuple[_Leaf, ...]]]


def _alexnet() -> Layers:
    for i, theirs in enumerate((0, 3, 6, 8, 10)):
        yield f"features.{theirs}", f"Conv_{i}", CONV_BIAS
    yield "classifier.1", "Dense_0", DENSE_AFTER_6X6
    yield "classifier.4", "Dense_1", DENSE
    yield "classifier.6", "Dense_2", DENSE


def _vgg19() -> Layers:
    for i, theirs in enumerate((0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)):
        yield f"features.{theirs}", f"Conv_{i}", CONV_BIAS
    yield "classifier.0", "Dense_0", DENSE_AFTER_7X7
    yield "classifier.3", "Dense_1", DENSE
    yield "classifier.6", "Dense_2", DENSE


def _resnet50() -> Layers:
    yield "conv1", "conv1", CONV
    yield "bn1", "bn1", BATCH_NORM
    for stage, (_, blocks) in enumerate(resnet.STAGES, start=1):
        for i in range(blocks):
            theirs, ours = f"layer{stage}.{i}", f"layer{stage}_{i}"
            for j in (1, 2, 3):
                yield f"{theirs}.conv{j}", f"{ours}/conv{j}", CONV
                yield f"{theirs}.bn{j}", f"{ours}/bn{j}", BATCH_NORM
            if i == 0:
                yield f"{theirs}.downsample.0", f"{ours}/shortcut_conv", CONV
                yield f"{theirs}.downsample.1", f"{ours}/shortcut_bn", BATCH_NORM
    yield "fc", "fc", DENSE


def _mobilenet_v3(variant: str) -> Layers:
    def conv_norm(theirs: str, ours: str) -> Layers:
        yield f"{theirs}.0", f"{ours}/conv", CONV
        yield f"{theirs}.1", f"{ours}/bn", BATCH_NORM

    rows, _ = mobilenet_v3.VARIANTS[variant]
    yield from conv_norm("features.0", "stem")
    channels = mobilenet_v3.STEM
    for i, row in enumerate(rows):
        # Torch numbers the parts that a block has; ours have names.
        parts = (
            ["expand"] * (row.expanded != channels)
            + ["depthwise"]
            + ["attention"] * row.squeeze
            + ["project"]
        )
        for j, part in enumerate(parts):
            theirs, ours = f"features.{i + 1}.block.{j}", f"block{i}/{part}"
            if part == "attention":
                yield f"{theirs}.fc1", f"{ours}/squeeze", CONV_BIAS
                yield f"{theirs}.fc2", f"{ours}/excite", CONV_BIAS
            else:
                yield from conv_norm(theirs, ours)
        channels = row.out
    yield from conv_norm(f"features.{len(rows) + 1}", "last")
    yield "classifier.0", "hidden", DENSE
    yield "classifier.3", "head", DENSE


def _deit_small() -> Layers:
    yield "cls_token", "class_token", TOKENS
    yield "pos_embed", "position", TOKENS
    yield "patch_embed.proj", "patch", CONV_BIAS
    for i in range(deit.BLOCKS):
        theirs, ours = f"blocks.{i}", f"block{i}"
        yield f"{theirs}.norm1", f"{ours}/norm1", LAYER_NORM
        yield f"{theirs}.attn.qkv", f"{ours}/qkv", DENSE
        yield f"{theirs}.attn.proj", f"{ours}/proj", DENSE
        yield f"{theirs}.norm2", f"{ours}/norm2", LAYER_NORM
        yield f"{theirs}.mlp.fc1", f"{ours}/fc1", DENSE
        yield f"{theirs}.mlp.fc2", f"{ours}/fc2", DENSE
    yield "norm", "norm", LAYER_NORM
    yield "head", "head", DENSE


_LAYERS = {
    "alexnet": _alexnet,
    "vgg19": _vgg19,
    "resnet50": _resnet50,
    "mobilenet_v3_large": lambda: _mobilenet_v3("large"),
    "mobilenet_v3_small": lambda: _mobilenet_v3("small"),
    "deit_small": _deit_small,
}
NAMES = tuple(_LAYERS)


def mapping(name: str) -> list[Tensor]:
    """Every tensor of the network `name`, stem "imagenet", width 1; the head's bias is the last.

    Raises:
      InputError: nobody publishes weights of this network.
    """
    if name not in _LAYERS:
        raise InputError(
            "weights",
            name,
            f"one of {', '.join(NAMES)}, the networks that weights are published of",
        )
    return [
        Tensor(
            key=".".join(filter(None, (theirs, leaf.theirs))),
            path=tuple(filter(None, (leaf.collection, *ours.split("/"), leaf.ours))),
            axes=leaf.axes,
            grid=leaf.grid,
        )
        for theirs, ours, kind in _LAYERS[name]()
        for leaf in kind
    ]


def convert(name: str, state: Mapping[str, np.ndarray]) -> PyTree:
    """The variables of the network `name`, stem "imagenet", from a torch state dict.

    Args:
      state: NumPy arrays under torchvision's names (timm's for deit_small). The head decides the number of classes; DeiT's
        position embedding decides the image size, which is a square.

    Returns:
      {"params": ..., "batch_stats": ...} of float32 NumPy arrays; no "batch_stats" where the network has no batch norm.

    Raises:
      InputError: names the first tensor that is missing, has another shape than the network's, or is not one of its own.
        Only batch norm's num_batches_tracked is left out without a word.
    """
    tensors = mapping(name)
    for tensor in tensors:
        if tensor.key not in state:
            raise InputError(
                "weights", tensor.key, f"a state dict of {name} with this tensor, which is missing"
            )
    shapes = _shapes(name, state)
    for tensor in tensors:
        # ours[i] = theirs[axes[i]], the other way round
        expected = tuple(shapes[tensor.path][tensor.axes.index(i)] for i in range(len(tensor.axes)))
        if np.shape(state[tensor.key]) != expected:
            raise InputError(
                "weights", tensor.key, f"shape {expected}, not {np.shape(state[tensor.key])}"
            )
    known = {tensor.key for tensor in tensors}
    for key in state:
        if key not in known and not key.endswith(".num_batches_tracked"):
            raise InputError("weights", key, f"the tensors of {name} and no other")
    return traverse_util.unflatten_dict(
        {tensor.path: _arranged(tensor, state[tensor.key]) for tensor in tensors}
    )


def _shapes(name: str, state: Mapping[str, np.ndarray]) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Our path -> shape, of the network with as many classes, and for DeiT as many patches, as `state` has."""
    num_classes = np.size(state[mapping(name)[-1].key])
    side = 224
    if name == "deit_small":
        patches = np.size(state["pos_embed"]) // max(1, np.size(state["cls_token"])) - 1
        side = 16 * max(1, math.isqrt(max(0, patches)))
    variables = classifiers.shapes(classifiers.create(name, num_classes), side)
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables).items()}


def _arranged(tensor: Tensor, value: np.ndarray) -> np.ndarray:
    """A copy of torch's tensor, laid out as ours."""
    if tensor.grid:
        by_pixel = value.reshape(len(value), -1, tensor.grid, tensor.grid).transpose(0, 2, 3, 1)
        value = by_pixel.reshape(value.shape)
    return np.array(value.transpose(tensor.axes), np.float32, order="C")

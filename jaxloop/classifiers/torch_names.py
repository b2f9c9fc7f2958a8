"""The networks' weights as torchvision and timm name and lay them out; neither is needed here."""

import math
from collections.abc import Mapping

import numpy as np

from jaxloop import classifiers
from jaxloop.classifiers import deit, mobilenet_v3, resnet
from jaxloop.errors import InputError
from jaxloop.types import PyTree
from jaxloop.weights import files, state_dict

# A layer, or a variable outside of layers -> its torch name. The head is the last.
Layers = dict[str, str]

GRIDS = {"alexnet": 6, "vgg19": 7}  # side of the grid of pixels before the first dense layer
EPSILON, TIMM_EPSILON = 1e-3, 1e-5  # of the batch normalisation in MobileNetV3


def _plain(convolutions: tuple[int, ...], dense: tuple[str, ...]) -> Layers:
    """Name the layers of a network without branches."""
    names = {f"Conv_{i}": f"features.{place}" for i, place in enumerate(convolutions)}
    return names | {f"Dense_{i}": name for i, name in enumerate(dense)}


def _resnet50() -> Layers:
    names = {"conv1": "conv1", "bn1": "bn1"}
    for stage, (_, blocks) in enumerate(resnet.STAGES, start=1):
        for i in range(blocks):
            for layer in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"):
                names[f"layer{stage}_{i}/{layer}"] = f"layer{stage}.{i}.{layer}"
        names[f"layer{stage}_0/shortcut_conv"] = f"layer{stage}.0.downsample.0"
        names[f"layer{stage}_0/shortcut_bn"] = f"layer{stage}.0.downsample.1"
    return names | {"fc": "fc"}


def _deit_small() -> Layers:
    names = {"class_token": "cls_token", "position": "pos_embed", "patch": "patch_embed.proj"}
    for i in range(deit.BLOCKS):
        for layer in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"):
            names[f"block{i}/{layer.split('.')[-1]}"] = f"blocks.{i}.{layer}"
    return names | {"norm": "norm", "head": "head"}


def _mobilenet_v3(variant: str) -> tuple[Layers, Layers]:
    """Return torchvision's names and timm's, which counts blocks in stages of one width."""
    names = {"stem/conv": ("features.0.0", "conv_stem"), "stem/bn": ("features.0.1", "bn1")}
    rows, channels = mobilenet_v3.VARIANTS[variant][0], mobilenet_v3.STEM
    stage, j = 0, -1
    for i, row in enumerate(rows, start=1):
        stage, j = (stage, j + 1) if i == 1 or row.out == channels else (stage + 1, 0)
        expands = row.expanded != channels
        kinds = {"expand": "conv_pw"} if expands else {}
        kinds |= {"depthwise": "conv_dw"} | ({"attention": "se"} if row.squeeze else {})
        kinds["project"] = "conv_pwl" if expands else "conv_pw"
        norms = 0
        for k, (part, kind) in enumerate(kinds.items()):
            layer, place = f"block{i - 1}/{part}", f"features.{i}.block.{k}"
            timm_place = f"blocks.{stage}.{j}"
            if part == "attention":
                names[f"{layer}/squeeze"] = f"{place}.fc1", f"{timm_place}.se.conv_reduce"
                names[f"{layer}/excite"] = f"{place}.fc2", f"{timm_place}.se.conv_expand"
            else:
                norms += 1
                names[f"{layer}/conv"] = f"{place}.0", f"{timm_place}.{kind}"
                names[f"{layer}/bn"] = f"{place}.1", f"{timm_place}.bn{norms}"
        channels = row.out
    last, timm_last = f"features.{len(rows) + 1}", f"blocks.{stage + 1}.0"
    names |= {"last/conv": (f"{last}.0", f"{timm_last}.conv")}
    names |= {"last/bn": (f"{last}.1", f"{timm_last}.bn1")}
    names |= {"hidden": ("classifier.0", "conv_head"), "head": ("classifier.3", "classifier")}
    torchvision, timm = ({k: pair[i] for k, pair in names.items()} for i in (0, 1))
    return torchvision, timm


VGG19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
LAYERS = {
    "alexnet": _plain((0, 3, 6, 8, 10), ("classifier.1", "classifier.4", "classifier.6")),
    "vgg19": _plain(VGG19, ("classifier.0", "classifier.3", "classifier.6")),
    "resnet50": _resnet50(),
    **{f"mobilenet_v3_{variant}": _mobilenet_v3(variant)[0] for variant in ("large", "small")},
    "deit_small": _deit_small(),
}
# As timm names them, where it differs from torchvision.
TIMM_LAYERS = {
    "vgg19": _plain(VGG19, ("pre_logits.fc1", "pre_logits.fc2", "head.fc")),
    **{f"mobilenet_v3_{variant}": _mobilenet_v3(variant)[1] for variant in ("large", "small")},
}
NAMES = tuple(LAYERS)


def head(name: str) -> str:
    """Return the last dense layer of the network `name`."""
    return list(LAYERS[name])[-1]


def keys(layers: Layers, variables: Mapping[str, object]) -> dict[str, str]:
    """Return flat names of variables, as "params/conv1/kernel" -> torch's keys."""
    torch_keys = {}
    for path in variables:
        variable = path.partition("/")[2]
        layer, _, leaf = variable.rpartition("/")
        torch_keys[path] = layers.get(variable) or f"{layers[layer]}.{state_dict.key(leaf)}"
    return torch_keys


def convert(
    name: str, state: Mapping[str, np.ndarray], field="weights", source="", timm: bool = False
) -> PyTree:
    """Return the variables of the network `name`, stem "imagenet", width 1, in a state dict.

    Args:
      state: NumPy arrays by torchvision's names (timm's for deit_small). The head decides the
        number of classes; DeiT's position embedding decides the image size, which is a square.
      field, source: what was given as what, for errors.
      timm: the names are timm's, of any network.

    Raises:
      InputError: no weights are published of this network; the first tensor that is missing, of
        another shape, or none of the network's. Only num_batches_tracked is ignored.
    """
    if name not in LAYERS:
        raise InputError(field, name, NAMES)
    layers = TIMM_LAYERS.get(name, LAYERS[name]) if timm else LAYERS[name]
    num_classes = max(1, np.size(state.get(f"{layers[head(name)]}.bias", ())))
    side = 224
    if name == "deit_small":
        tokens = np.size(state.get("pos_embed", ())) // max(1, np.size(state.get("cls_token", ())))
        side = 16 * max(1, math.isqrt(max(0, tokens - 1)))
    shapes = files.flat(classifiers.shapes(classifiers.create(name, num_classes), side))
    refusal, ignored = (field, source, f"weights of {name}"), r".*\.num_batches_tracked"
    torch_keys, grid = keys(layers, shapes), GRIDS.get(name, 1)
    variables = state_dict.to_variables(state, torch_keys, shapes, refusal, ignored, grid)
    return _rescaled(variables) if timm and name.startswith("mobilenet") else variables


def _rescaled(variables: PyTree) -> PyTree:
    """Scale batch norms of `TIMM_EPSILON` so that they compute the same with `EPSILON`.

    The scales take up the difference and not the running variances, which would turn negative where
    a channel is dead.
    """
    flat = files.flat(variables)
    for path in [path for path in flat if path.endswith("/var")]:
        scale = path.replace("batch_stats/", "params/").removesuffix("var") + "scale"
        var = flat[path].astype(np.float64)
        factor = np.sqrt((var + EPSILON) / (var + TIMM_EPSILON))
        flat[scale] = (flat[scale] * factor).astype(np.float32)
    return files.nested(flat)

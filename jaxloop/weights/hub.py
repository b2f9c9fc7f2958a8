"""Published weights by their name on the hub, as `timm/resnet50.tv_in1k`.

What it names is fetched from huggingface.co, and timm's names are made torchvision's. The tests build each of timm's
networks with random weights and compare its logits with ours.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxloop.errors import InputError

FIELD = "config.classifier.pretrained"
FILE = "model.safetensors"

# timm's name of a network, which is a hub name without its owner and its tag -> ours. timm has no AlexNet.
ARCHITECTURES = {
    "vgg19": "vgg19",
    "resnet50": "resnet50",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "deit_small_patch16_224": "deit_small",
}
# Tags trained on images that were not normalised with ImageNet's mean and deviation, as ours are.
OTHERWISE_NORMALISED = ("miil_in21k", "miil_in21k_ft_in1k", "ra4_e3600_r224_in1k")

EPSILON, TORCHVISION_EPSILON = 1e-5, 1e-3  # of the batch normalisation in MobileNetV3


def is_name(entry: str) -> bool:
    """Whether an entry of `config.classifier.pretrained` reads as owner/name, and not as a file."""
    return (
        re.fullmatch(r"[\w.-]+/[\w.-]+", entry) is not None
        and not entry.endswith((".safetensors", ".pth", ".pt"))
        and not Path(entry).exists()
    )


def architecture(entry: str) -> str:
    """Which of our networks a hub name is of. Raises InputError where none is, before anything is fetched."""
    name, _, tag = entry.partition("/")[2].partition(".")
    if name not in ARCHITECTURES:
        raise InputError(
            FIELD, entry, "files that exist, or hub names of timm's " + ", ".join(ARCHITECTURES)
        )
    if tag in OTHERWISE_NORMALISED:
        raise InputError(
            FIELD, entry, f"weights trained on images normalised as ImageNet's; {tag}'s were not"
        )
    return ARCHITECTURES[name]


def download(entry: str) -> Path:
    """Downloads the weights of a hub name into the hub's cache, or finds them there. Raises InputError."""
    import huggingface_hub  # here, because its import takes half a second

    huggingface_hub.logging.set_verbosity_error()  # it warns of every retry, and the error comes as one line below
    try:
        return Path(huggingface_hub.hf_hub_download(entry, FILE))
    except Exception as error:  # of three libraries' kinds: no network, no such repository, no such file, a full disk
        why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        instead = "or convert a local file with `python -m jaxloop.classifiers.pretrained convert`"
        raise InputError(
            FIELD, entry, f"a hub name whose {FILE} can be fetched ({why}); {instead}"
        ) from None


def torchvision_names(architecture: str, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm's state dict of one of our networks as torchvision's; the network computes the same in evaluation.

    A key that timm does not have stays as it is: whether a state dict is whole is not judged here.
    """
    if architecture == "vgg19":
        return _vgg(state)
    if architecture.startswith("mobilenet_v3"):
        return _mobilenet_v3(state)
    return dict(state)  # timm's ResNet-50 has torchvision's names; DeiT is timm's own


def _vgg(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first two dense layers are convolutions at timm, over 7x7 and 1x1 pixels: their kernels [o c h w] are flattened."""
    layers = {
        "pre_logits.fc1": "classifier.0",
        "pre_logits.fc2": "classifier.3",
        "head.fc": "classifier.6",
    }
    renamed = _renamed(state, layers)
    return {
        key: x.reshape(len(x), -1) if re.fullmatch(r"classifier\.[03]\.weight", key) else x
        for key, x in renamed.items()
    }


def _mobilenet_v3(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """timm counts blocks by stage, and its last hidden layer is a 1x1 convolution.

    It also normalises with another epsilon. The scale takes up the difference, scale sqrt((var + 1e-3) / (var + 1e-5)), and
    not the running variance, which would turn negative where a channel is dead.
    """
    layers = {
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        "conv_head": "classifier.0",
        "classifier": "classifier.3",
    }
    blocks: dict[tuple[int, int], set[str]] = {}
    for key in state:
        if found := re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.", key):
            blocks.setdefault((int(found[1]), int(found[2])), set()).add(found[3])
    for k, (stage, i) in enumerate(sorted(blocks), start=1):
        inside = _block(blocks[stage, i])
        layers |= {
            f"blocks.{stage}.{i}.{layer}": f"features.{k}.{name}" for layer, name in inside.items()
        }

    renamed = _renamed(state, layers)
    for key in [key for key in renamed if key.endswith(".running_var")]:
        scale, var = key.replace("running_var", "weight"), renamed[key].astype(np.float64)
        if scale in renamed and renamed[scale].shape == var.shape:
            factor = np.sqrt((var + TORCHVISION_EPSILON) / (var + EPSILON))
            renamed[scale] = (renamed[scale] * factor).astype(np.float32)
    hidden = "classifier.0.weight"
    if hidden in renamed:
        renamed[hidden] = renamed[hidden].reshape(len(renamed[hidden]), -1)
    return renamed


def _block(layers: set[str]) -> dict[str, str]:
    """The layers of one block: timm's names -> torchvision's, which are their places among those that are there."""
    if "conv" in layers:  # the last one, which is a convolution alone
        return {"conv": "0", "bn1": "1"}
    if "conv_pwl" in layers:
        order = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("se", ""), ("conv_pwl", "bn3")]
    else:  # without an expansion
        order = [("conv_dw", "bn1"), ("se", ""), ("conv_pw", "bn2")]
    names = {}
    for place, (layer, norm) in enumerate(pair for pair in order if pair[0] in layers):
        if layer == "se":
            names |= {
                "se.conv_reduce": f"block.{place}.fc1",
                "se.conv_expand": f"block.{place}.fc2",
            }
        else:
            names |= {layer: f"block.{place}.0", norm: f"block.{place}.1"}
    return names


def _renamed(state: Mapping[str, np.ndarray], layers: Mapping[str, str]) -> dict[str, np.ndarray]:
    """`state` with the layers renamed: a key is a layer's name and, after the last dot, the parameter's."""
    renamed = {}
    for key, x in state.items():
        layer, _, parameter = key.rpartition(".")
        renamed[f"{layers.get(layer, layer)}.{parameter}" if layer else key] = x
    return renamed

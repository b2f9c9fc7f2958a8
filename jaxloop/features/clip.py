"""CLIP (Radford et al. 2021, arXiv:2103.00020) from a folder, or from the hub, as transformers publishes it.

The module is transformers' Flax one. Its weights are read here, because transformers draws those that are missing at random.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization, traverse_util

from jaxloop.errors import InputError
from jaxloop.features import clip_preprocessing
from jaxloop.features.clip_preprocessing import Preprocessing
from jaxloop.features.network import Network
from jaxloop.types import Array, PyTree
from jaxloop.weights import files as weight_files

FIELD = "config.measure.clip"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = (
    "model.safetensors",
    "flax_model.msgpack",
    "pytorch_model.bin",
)  # the first that is there is read
IMAGE = (
    "vision_model",
    "visual_projection",
    "logit_scale",
)  # what images go through; the last the module wants too

Refuse = Callable[[str], InputError]  # what is allowed -> the error

# Flax's last name of a tensor -> torch's, where they differ.
TORCH_NAMES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}


class Clip(NamedTuple):
    """A CLIP model, both towers, whose weights are still in their file.

    field, path: what it was given in, and as. Errors name both.
    folder: of its files.
    weights: the file of `WEIGHTS`.
    model: transformers' FlaxCLIPModel, without weights of its own.
    preprocessing: how images come to its size.
    """

    field: str
    path: str
    folder: Path
    weights: Path
    model: Any
    preprocessing: Preprocessing


def load(path: str | os.PathLike) -> Network:
    """The network that gives CLIP's image features: projected, d = projection_dim, and not normalised to length 1.

    Raises:
      InputError: as `find` and `params` do.
    """
    clip = find(path)
    apply = partial(image_features, clip.model, clip.preprocessing)
    sha256 = weight_files.sha256(clip.weights)
    return Network(
        "clip",
        clip.model.config.projection_dim,
        "clip",
        sha256,
        image_side(params(clip)),
        apply,
        settings(clip),
    )


def image_features(model: Any, preprocessing: Preprocessing, params: PyTree, image: Array) -> Array:
    """uint8 [n h w 3] -> float32 [n projection_dim], not normalised. `model`: FlaxCLIPModel."""
    pixels = clip_preprocessing.preprocess(preprocessing, image)
    # Accelerators would round the factors to fewer than float32's digits.
    with jax.default_matmul_precision("highest"):
        return model.get_image_features(pixels.transpose(0, 3, 1, 2), params=params)


def image_side(params: PyTree) -> PyTree:
    """Those parameters that `image_features` wants."""
    return {name: params[name] for name in IMAGE}


def settings(clip: Clip) -> str:
    """What image features depend on beside the weights."""
    return f"{clip.preprocessing} {clip.model.config.to_json_string()}"


def find(path: str | os.PathLike, field: str = FIELD, others: Sequence[str] = ()) -> Clip:
    """Finds a model; its weights are read by `params`.

    Args:
      path: a folder with config.json and one of `WEIGHTS`, or a hub name as openai/clip-vit-base-patch32. Where there is no
        preprocessor_config.json, OpenAI's values hold.
      field: what the path was given in.
      others: names of files that a hub name's are fetched with, where it has them.

    Raises:
      InputError: neither, no CLIP, a file other than the weights' that cannot be read, preprocessing of another kind.
    """
    path = str(path)
    folder = Path(path) if path and Path(path).is_dir() else _fetched(path, field, others)
    refuse = partial(InputError, field, path)
    weights = _weights(folder)
    if weights is None:
        raise refuse(f"a folder that holds the weights, as one of {', '.join(WEIGHTS)}")
    told = _json(folder / CONFIG, refuse)
    if told.get("model_type") != "clip":
        raise refuse(f"a CLIP; the {CONFIG} of this one is of a {told.get('model_type')!r}")
    model = _module(told, refuse)
    preprocessor = _json(folder / PREPROCESSOR, refuse) if (folder / PREPROCESSOR).exists() else {}
    preprocessing = clip_preprocessing.parse(
        preprocessor, model.config.vision_config.image_size, refuse
    )
    return Clip(field, path, folder, weights, model, preprocessing)


def params(clip: Clip) -> PyTree:
    """The model's parameters, of both towers, NumPy float32.

    Raises:
      InputError: the file of weights cannot be read, the first tensor that is missing or misshapen.
    """
    wanted = traverse_util.flatten_dict(clip.model.params_shape_tree)
    given = _tensors(clip, wanted)
    weight_files.refuse_other(
        clip.field, clip.path, f"weights of this CLIP in {clip.weights.name}", given, wanted
    )
    return traverse_util.unflatten_dict(
        {name: np.asarray(x, np.float32) for name, x in given.items()}
    )


def _fetched(name: str, field: str, others: Sequence[str]) -> Path:
    """The folder in the hub's cache that holds a hub name's files, fetched if they are not there. Raises InputError."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise InputError(
            field, name, "a folder that exists, or a hub name as openai/clip-vit-base-patch32"
        )
    import huggingface_hub  # here, because its import takes half a second

    huggingface_hub.logging.set_verbosity_error()  # it warns of every retry, and the error comes as one line below
    try:
        for weights in WEIGHTS:  # no more of them than needed: each may be gigabytes
            wanted = [CONFIG, PREPROCESSOR, *others, weights]
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
            if (folder / weights).exists():
                break
    except (
        Exception
    ) as error:  # of three libraries' kinds: no network, no such repository, a full disk
        why = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise InputError(
            field, name, f"a folder that exists, or a hub name whose files can be fetched ({why})"
        ) from None
    return folder


def _weights(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def _json(path: Path, refuse: Refuse) -> dict:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise refuse(f"a folder whose {path.name} can be read ({error})") from None
    if not isinstance(told, dict):
        raise refuse(f"a folder whose {path.name} is an object")
    return told


def _module(told: dict, refuse: Refuse) -> Any:
    """FlaxCLIPModel of a configuration, without weights."""
    import transformers  # here, because its import takes seconds

    transformers.logging.set_verbosity_error()  # it warns that its Flax classes end with version 4, which is pinned
    try:
        return transformers.FlaxCLIPModel(transformers.CLIPConfig.from_dict(told), _do_init=False)
    except Exception as error:  # of any kind, for a configuration may say anything
        raise refuse(
            f"a CLIP that transformers can build ({type(error).__name__}: {error})"
        ) from None


def _tensors(
    clip: Clip, wanted: Mapping[tuple[str, ...], Any]
) -> dict[tuple[str, ...], np.ndarray]:
    """The tensors in the file of weights by Flax's names: those that are `wanted`, as far as they are there."""
    file = clip.weights
    if file.suffix == ".msgpack":
        try:
            return traverse_util.flatten_dict(serialization.msgpack_restore(file.read_bytes()))
        except Exception as error:  # of any kind, for the bytes may be anything
            raise InputError(
                clip.field, clip.path, f"a whole {file.name} ({type(error).__name__})"
            ) from None
    if file.suffix == weight_files.SUFFIX:
        metadata, state = weight_files.safetensors_file(file, clip.field, clip.path)
        if metadata.get("format") == "flax":
            return {tuple(name.split(".")): x for name, x in state.items()}
    else:
        state = weight_files.torch_file(file, clip.field)
    names = {name: ".".join((*name[:-1], TORCH_NAMES.get(name[-1], name[-1]))) for name in wanted}
    return {name: _turned(name, state[key]) for name, key in names.items() if key in state}


def _turned(name: tuple[str, ...], value: np.ndarray) -> np.ndarray:
    """Torch's tensor laid out as Flax's of this name: kernels [o c h w] -> [h w c o], [o i] -> [i o]; others stay."""
    return (
        value.transpose(2, 3, 1, 0)
        if value.ndim == 4
        else value.T
        if name[-1] == "kernel"
        else value
    )

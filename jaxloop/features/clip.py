"""CLIP (Radford et al. 2021, arXiv:2103.00020) from a folder or the hub, as of transformers.

The module is transformers' Flax one. Its weights are read here, because transformers draws those
that are missing at random.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization

from jaxloop.errors import InputError, refusing
from jaxloop.features import clip_preprocessing
from jaxloop.features.clip_preprocessing import Preprocessing
from jaxloop.features.network import Network
from jaxloop.types import Array, PyTree
from jaxloop.weights import files, hub, state_dict

FIELD = "config.measure.clip"
FOLDER = "a folder that exists"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "flax_model.msgpack", "pytorch_model.bin")  # the first is read
# What images go through, and what the module wants beside.
IMAGE = ("vision_model", "visual_projection", "logit_scale")


class Clip(NamedTuple):
    """A CLIP model, both towers, whose weights are still in their file.

    field, path: what it was given in, and as. Errors name both.
    folder, weights: of its files, and the file of `WEIGHTS` in it.
    model: transformers' FlaxCLIPModel, without weights.
    """

    field: str
    path: str
    folder: Path
    weights: Path
    model: Any
    preprocessing: Preprocessing


def load(path: str | os.PathLike) -> Network:
    """Return the network of CLIP's image features, d = projection_dim, not of length 1."""
    clip = find(path)
    dim, sha256 = clip.model.config.projection_dim, files.sha256(clip.weights)
    apply = partial(image_features, clip.model, clip.preprocessing)
    return Network("clip", dim, "clip", sha256, image_side(params(clip)), apply, settings(clip))


def image_features(
    model: Any, preprocessing: Preprocessing, params: PyTree, image: Array | np.ndarray
) -> Array:
    """Embed uint8 [n h w 3] by a FlaxCLIPModel: float32 [n projection_dim], not of length 1."""
    pixels = clip_preprocessing.preprocess(preprocessing, image).transpose(0, 3, 1, 2)
    # Accelerators would round the factors to fewer than float32's digits.
    with jax.default_matmul_precision("highest"):
        return model.get_image_features(pixels, params=params)


def image_side(params: PyTree) -> PyTree:
    """Return the parameters that `image_features` wants."""
    return {name: params[name] for name in IMAGE}


def settings(clip: Clip) -> str:
    """Return what image features depend on beside the weights."""
    return f"{clip.preprocessing} {clip.model.config.to_json_string()}"


def find(path: str | os.PathLike, field: str = FIELD, others: Sequence[str] = ()) -> Clip:
    """Find a model and read all but its weights, which `params` reads.

    path: a folder with config.json and one of `WEIGHTS`, or a hub name, as
      openai/clip-vit-base-patch32. Without preprocessor_config.json, OpenAI's values hold.
    field: what the path was given in. others: names of further files to fetch of a hub name.

    Raises InputError: neither, no CLIP, an unreadable file, preprocessing of another kind.
    """
    path, folder = str(path), Path(path)
    refuse = partial(InputError, field, path)
    if not path or not folder.is_dir():
        if not hub.is_name(path):
            raise refuse(f"{FOLDER}, or a hub name as openai/clip-vit-base-patch32")
        folder = hub.fetch(path, field, FOLDER, WEIGHTS, [CONFIG, PREPROCESSOR, *others])
    weights = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not weights:
        raise refuse(f"a folder that holds the weights, as one of {', '.join(WEIGHTS)}")
    config = files.read_json(folder, CONFIG, field, path)
    if config.get("model_type") != "clip":
        raise refuse(f"a CLIP; the {CONFIG} of this one is of a {config.get('model_type')!r}")
    model = module(config, field, path)
    told = (folder / PREPROCESSOR).exists()
    options = files.read_json(folder, PREPROCESSOR, field, path) if told else {}
    side = model.config.vision_config.image_size
    preprocessing = clip_preprocessing.parse(options, side, refuse)
    return Clip(field, path, folder, weights[0], model, preprocessing)


def params(clip: Clip) -> PyTree:
    """Return the model's parameters, of both towers, NumPy float32.

    Raises InputError: the file cannot be read, or the first tensor that is missing or misshapen.
    """
    field, path, file = clip.field, clip.path, clip.weights
    refusal = (field, path, f"weights of this CLIP in {file.name}")
    wanted = files.flat(clip.model.params_shape_tree)
    if file.suffix == ".msgpack":
        with refusing(field, path, f"a whole {file.name}"):
            params = files.flat(serialization.msgpack_restore(file.read_bytes()))
    else:
        is_torch = file.suffix != files.SUFFIX
        metadata, state = ({}, {}) if is_torch else files.read_safetensors(file, field, path)
        if metadata.get("format") != "flax":
            keys = {name: state_dict.key(name) for name in wanted}
            state = state_dict.read(file, field) if is_torch else state
            return state_dict.to_variables(state, keys, wanted, refusal, ignored=".*")
        params = {name.replace(".", "/"): x for name, x in state.items()}
    files.check_tensors(*refusal, params, wanted)
    return files.nested({name: np.asarray(x, np.float32) for name, x in params.items()})


def module(config: dict, field: str = "", value: str = "") -> Any:
    """Return the FlaxCLIPModel of a configuration, without weights."""
    import transformers  # here, because its import takes seconds

    transformers.logging.set_verbosity_error()  # it warns that its Flax classes end with version 4
    with refusing(field, value, "a CLIP that transformers can build"):
        return transformers.FlaxCLIPModel(transformers.CLIPConfig.from_dict(config), _do_init=False)

"""Folders and hub names in the layout of torch diffusers: their configs and tensors, without torch.

A pipeline is a folder with model_index.json and a folder a part, which holds the part's config and
its weights: whole or in shards, in float32 or (".fp16") float16.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloop import keys
from jaxloop.errors import InputError, refusing
from jaxloop.types import PyTree
from jaxloop.weights import files, hub, state_dict

INDEX = "model_index.json"
CONFIG = {"scheduler": "scheduler_config.json"}  # of a part; of the others it is config.json
WEIGHTS = {"text_encoder": "model"}  # beginning of the name of a part's weights
USUAL_WEIGHTS = "diffusion_pytorch_model"
PLAIN = {"tokenizer": ["vocab.json"], "scheduler": ["scheduler_config.json"]}  # have no weights
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
# The VAE's attention, as it is named in files from before diffusers 0.18.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class Folder:
    """A pipeline's folder, and the field and value that it was given as, which errors name."""

    def __init__(self, path: str, field: str, parts: tuple[str, ...]):
        """Find it, and fetch it where `path` is a hub name. Raises InputError."""
        self.field, self.value, self.hashes = field, path, {}
        self.path = Path(path)
        if not path or not self.path.is_dir():
            if not hub.is_name(path):
                raise self.refuse("a folder that exists, or a hub name as owner/stable-diffusion")
            for part in parts:
                names = [f"{part}/{name}" for name in PLAIN.get(part) or _weight_files(part)]
                others = [INDEX, f"{part}/*.json", f"{part}/*.txt", f"{part}/*-of-*.safetensors"]
                self.path = hub.fetch(path, field, "a folder that exists", names, others)
        self.json(INDEX)

    def refuse(self, allowed: str) -> InputError:
        return InputError(self.field, self.value, allowed)

    def config(self, part: str) -> dict:
        """Return the configuration of a part."""
        return self.json(f"{part}/{CONFIG.get(part, 'config.json')}")

    def json(self, name: str) -> dict:
        """Return a file of JSON, an object. Raises InputError."""
        content = files.read_json(self.path, name, self.field, self.value)
        self.hashes[name] = files.sha256(self.path / name)
        return content

    def variables(self, part: str, shapes: PyTree) -> PyTree:
        """Return a part's parameters, NumPy float32, for a module whose parameters have `shapes`.

        Raises InputError: no weights, or the first tensor that is unknown, missing or misshapen.
        """
        state = self._state(part)
        if part == "vae":
            state = {_with_new_attention(key): x for key, x in state.items()}
        wanted = files.flat(shapes)
        keys = {path: state_dict.key(path) for path in wanted}
        refusal = self.field, self.value, f"weights of this pipeline's {part}"
        return state_dict.to_variables(state, keys, wanted, refusal, ignored=r".*position_ids")

    def _state(self, part: str) -> Mapping[str, np.ndarray]:
        name = next((n for n in _weight_files(part) if (self.path / part / n).is_file()), None)
        if name is None:
            words = f"a folder whose {part} holds one of {', '.join(_weight_files(part))}"
            raise self.refuse(words)
        names = [name]
        if name.endswith(".json"):
            table = self.json(f"{part}/{name}").get("weight_map")
            if not isinstance(table, dict) or not all(map(_is_file_name, table.values())):
                raise self.refuse(f"a folder whose {part}/{name} has a weight_map of files")
            names = sorted(set(table.values()))
        state = {}
        for one in names:
            path = self.path / part / one
            state |= files.read_safetensors(path, self.field, self.value)[1]
            self.hashes[f"{part}/{one}"] = files.sha256(path)
        return state

    def tokenizer(self) -> Any:
        """Return transformers' CLIPTokenizerFast. Raises InputError."""
        import transformers  # here, because its import takes seconds

        folder = self.path / "tokenizer"
        for name in TOKENIZER:
            if (folder / name).is_file():
                self.hashes[f"tokenizer/{name}"] = files.sha256(folder / name)
            elif name in TOKENIZER[:2]:
                raise self.refuse(f"a folder that holds tokenizer/{name}")
        with refusing(self.field, self.value, "a folder whose tokenizer transformers can read"):
            return transformers.CLIPTokenizerFast.from_pretrained(folder, local_files_only=True)


def _weight_files(part: str) -> list[str]:
    """Return the names that a part's weights may have, the best first."""
    stem = WEIGHTS.get(part, USUAL_WEIGHTS)
    ends = ".safetensors", ".safetensors.index.json", ".fp16.safetensors"
    return [*(stem + end for end in ends), f"{stem}.safetensors.index.fp16.json"]


def _is_file_name(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name


def _with_new_attention(key: str) -> str:
    """Rename "mid_block.attentions.0.query.weight" to "mid_block.attentions.0.to_q.weight"."""
    pattern = r"(attentions\.\d+)\.(query|key|value|proj_attn)\."
    return re.sub(pattern, lambda match: f"{match[1]}.{OLD_ATTENTION[match[2]]}.", key)


def shapes(module: Any, *arguments: Any) -> PyTree:
    """Return the shapes of a module's parameters, without computing anything."""
    init = lambda *a: module.init(keys.root_key(0), *a)  # noqa: E731
    return jax.eval_shape(init, *arguments)["params"]

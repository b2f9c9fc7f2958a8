"""A Stable Diffusion of random weights in diffusers' layout, small enough for tests; no torch."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from jaxloop.generators import pipeline
from jaxloop.types import PyTree
from jaxloop.weights import files, state_dict
from jaxloop.weights.diffusers_folder import Folder
from tests.features.test_clip_score import TOKENS, write_tokenizer

LENGTH, WIDTH = 12, 16  # tokens of a prompt, features of the text encoder
CONFIGS = {
    "unet": {
        "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4,
        "out_channels": 4, "block_out_channels": [8, 16], "layers_per_block": 1,
        "cross_attention_dim": WIDTH, "norm_num_groups": 4, "attention_head_dim": 2,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    },
    "vae": {
        "_class_name": "AutoencoderKL", "block_out_channels": [8, 8], "layers_per_block": 1,
        "latent_channels": 4, "norm_num_groups": 4, "scaling_factor": 0.5, "sample_size": 8,
        "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
    },
    "text_encoder": {
        "model_type": "clip_text_model", "architectures": ["CLIPTextModel"],
        "vocab_size": len(TOKENS), "hidden_size": WIDTH, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": LENGTH,
        "hidden_act": "quick_gelu", "bos_token_id": len(TOKENS) - 2, "pad_token_id": 1,
        "eos_token_id": len(TOKENS) - 1,
    },
    "scheduler": {
        "_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012, "num_train_timesteps": 1000, "steps_offset": 1, "clip_sample": False,
        "set_alpha_to_one": False,
    },
}  # fmt: skip
# As Stable Diffusion 2.x differs from 1.x.
VERSION_2 = {
    "unet": {
        "attention_head_dim": [2, 4], "use_linear_projection": True, "upcast_attention": True,
        "dual_cross_attention": False,
    },
    "text_encoder": {"hidden_act": "gelu"},
    "scheduler": {"prediction_type": "v_prediction", "beta_schedule": "linear"},
}  # fmt: skip
# One level: it compiles in half of the time.
SHALLOW = {
    "unet": {
        "block_out_channels": [8], "down_block_types": ["CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D"],
    },
}  # fmt: skip
NAMES = {"scheduler": "scheduler_config.json"}
INDEX = {
    "_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "vae": ["diffusers", "AutoencoderKL"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "safety_checker": [None, None], "feature_extractor": [None, None],
    "requires_safety_checker": False,
}  # fmt: skip


def write(folder: Path, changes: dict | None = None) -> Path:
    """Write the pipeline. changes: part -> entries of its configuration that are otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(INDEX))
    for part, config in CONFIGS.items():
        (folder / part).mkdir(exist_ok=True)
        config = {**config, **(changes or {}).get(part, {})}
        (folder / part / NAMES.get(part, "config.json")).write_text(json.dumps(config))
    (folder / "tokenizer").mkdir(exist_ok=True)
    write_tokenizer(folder / "tokenizer")
    special = {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH}
    special |= {"unk_token": TOKENS[-1], "pad_token": TOKENS[-1]}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(special))
    for part, shapes in part_shapes(folder).items():
        name = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        tensors = state_dict.from_variables(random(shapes))
        safetensors.numpy.save_file(
            tensors, folder / part / f"{name}.safetensors", {"format": "pt"}
        )
    return folder


def part_shapes(folder: Path) -> dict:
    """Part -> shapes of its parameters."""
    found = Folder(str(folder), pipeline.FIELD, ())
    read = pipeline.modules(found, jnp.dtype("float32"), remat=False)
    return dict(pipeline.shapes(read, np.zeros((1, read.text.length), np.int32)).values())


def random(shapes) -> PyTree:
    """Random parameters of these shapes, of a size that keeps the activations' size."""
    draw = np.random.default_rng(0)
    flat = {}
    for path, x in files.flat(shapes).items():
        value = draw.normal(size=x.shape) / np.sqrt(max(1, np.prod(x.shape[:-1])))
        if path.endswith("bias"):
            value = 0.1 * value
        flat[path] = np.float32(value + 1 if path.endswith("scale") else value)
    return files.nested(flat)

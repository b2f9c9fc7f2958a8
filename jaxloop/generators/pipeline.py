"""Stable Diffusion's three networks and its noise schedule, from a folder in diffusers' layout.

What the configs of the folder say is built if the modules admit it, and else refused by name.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.generators import noise_schedule
from jaxloop.generators.autoencoder import Autoencoder
from jaxloop.generators.latent_unet import LatentUNet
from jaxloop.generators.noise_schedule import PREDICTIONS, Schedule
from jaxloop.generators.text_encoder import ACTIVATIONS, TextEncoder
from jaxloop.types import PyTree
from jaxloop.weights import diffusers_folder
from jaxloop.weights.diffusers_folder import Folder

FIELD = "config.generator.path"
PARTS = "unet", "vae", "text_encoder", "tokenizer", "scheduler"
CLASS = "StableDiffusionPipeline"
CROSS = {"CrossAttnDownBlock2D": True, "DownBlock2D": False}
UP = {"CrossAttnUpBlock2D": True, "UpBlock2D": False}

# Values of a config that the modules are written for, where it has them. Any other key that they do
# not read must be switched off: None or False.
UNET = {
    "act_fn": "silu", "conv_in_kernel": 3, "conv_out_kernel": 3, "downsample_padding": 1,
    "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn", "dropout": 0.0,
    "resnet_time_scale_shift": "default", "time_embedding_type": "positional",
    "transformer_layers_per_block": 1, "attention_type": "default", "resnet_out_scale_factor": 1.0,
    "addition_embed_type_num_heads": 64,
}  # fmt: skip
UNET_READ = {
    "in_channels", "out_channels", "block_out_channels", "down_block_types", "up_block_types",
    "layers_per_block", "attention_head_dim", "num_attention_heads", "cross_attention_dim",
    "norm_num_groups", "norm_eps", "use_linear_projection", "upcast_attention", "freq_shift",
    "flip_sin_to_cos", "sample_size",
}  # fmt: skip
VAE = {
    "act_fn": "silu", "in_channels": 3, "out_channels": 3, "use_quant_conv": True,
    "use_post_quant_conv": True,
}  # fmt: skip
VAE_READ = {
    "block_out_channels", "layers_per_block", "latent_channels", "norm_num_groups", "sample_size",
    "scaling_factor", "down_block_types", "up_block_types", "mid_block_add_attention",
    "force_upcast",
}  # fmt: skip


class Pipeline(NamedTuple):
    """Modules and constants, all of it static.  scaling: of latents, as the U-Net sees them."""

    unet: LatentUNet
    vae: Autoencoder
    text: TextEncoder
    schedule: Schedule
    scaling: float

    @property
    def vae_factor(self) -> int:
        """Pixels along the side of one latent."""
        return 2 ** (len(self.vae.channels) - 1)

    @property
    def unit(self) -> int:
        """What the side of an image must be a multiple of."""
        return self.vae_factor * 2 ** (len(self.unet.channels) - 1)


def read(
    path: str, prompts: Sequence[str], dtype, remat: bool
) -> tuple[Pipeline, dict[str, PyTree], dict]:
    """Read a pipeline.

    Returns:
      its modules; "unet", "vae", "text": parameters of `dtype`, NumPy, and "token": those of the
      prompts, int32 [n t]; what config.json says of it: the prompts, the hash of every file.

    Raises InputError: what cannot be read, or is not supported.
    """
    folder = Folder(path, FIELD, PARTS)
    kind = folder.json(diffusers_folder.INDEX).get("_class_name")
    if kind != CLASS:
        raise folder.refuse(f"a {CLASS}; this one is a {kind}")
    pipeline = modules(folder, dtype, remat)
    token = tokens(folder, pipeline.text, prompts)
    constants = {
        name: jax.tree.map(lambda x: x.astype(dtype), folder.variables(part, wanted))
        for name, (part, wanted) in shapes(pipeline, token).items()
    }
    facts = {"prompts": list(prompts), "prediction": pipeline.schedule.prediction}
    return pipeline, constants | {"token": token}, facts | {"sha256": folder.hashes}


def modules(folder: Folder, dtype, remat: bool) -> Pipeline:
    """Return what the configs of a folder describe. Raises InputError."""
    configs = {part: folder.config(part) for part in PARTS if part != "tokenizer"}
    vae, scaling = autoencoder(folder, configs["vae"], dtype)
    text = text_encoder(folder, configs["text_encoder"], dtype)
    network = unet(folder, configs["unet"], vae.latent_channels, text.width, dtype, remat)
    return Pipeline(network, vae, text, schedule(folder, configs["scheduler"]), scaling)


def shapes(pipeline: Pipeline, token: np.ndarray) -> dict[str, tuple[str, PyTree]]:
    """Return "unet", "vae", "text" -> (its folder, shapes of its parameters)."""
    side = 2 ** (len(pipeline.unet.channels) - 1)
    latent = jnp.zeros((1, side, side, pipeline.vae.latent_channels))
    states = jnp.zeros((1, token.shape[1], pipeline.text.width))
    image = jnp.zeros((1, pipeline.vae_factor, pipeline.vae_factor, 3))
    of = diffusers_folder.shapes
    return {
        "unet": ("unet", of(pipeline.unet, latent, jnp.zeros(1, jnp.int32), states)),
        "vae": ("vae", of(pipeline.vae, image)),
        "text": ("text_encoder", of(pipeline.text, jnp.asarray(token[:1]))),
    }


def unet(
    folder: Folder, config: Mapping, latent_channels: int, text_width: int, dtype, remat: bool
) -> LatentUNet:
    """Return the module of unet/config.json. Raises InputError."""
    _check(folder, "unet", config, UNET, UNET_READ)
    down, up = config["down_block_types"], config["up_block_types"]
    channels = tuple(config["block_out_channels"])
    attends = [CROSS.get(name) for name in down]
    if None in attends or [UP.get(name) for name in up] != attends[::-1]:
        raise folder.refuse(
            f"a unet of blocks {', '.join(CROSS)} and their mirror, not {down} {up}"
        )
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)
    heads = tuple(heads) if isinstance(heads, list) else (heads,) * len(channels)
    for name, value in {"in_channels": latent_channels, "cross_attention_dim": text_width}.items():
        if config.get(name) != value:
            raise folder.refuse(f"a unet whose {name} is {value}, not {config.get(name)!r}")
    return LatentUNet(
        out_channels=config.get("out_channels", 4),
        channels=channels,
        attends=tuple(map(bool, attends)),
        heads=heads,
        blocks=config.get("layers_per_block", 2),
        groups=config.get("norm_num_groups", 32),
        epsilon=config.get("norm_eps", 1e-5),
        linear=config.get("use_linear_projection", False),
        upcast=config.get("upcast_attention") or False,
        shift=config.get("freq_shift", 0),
        cosine_first=config.get("flip_sin_to_cos", True),
        remat=remat,
        dtype=dtype,
    )


def autoencoder(folder: Folder, config: Mapping, dtype) -> tuple[Autoencoder, float]:
    """Return the module of vae/config.json, and the scaling factor. Raises InputError."""
    _check(folder, "vae", config, VAE, VAE_READ)
    for name, kind in {
        "down_block_types": "DownEncoderBlock2D",
        "up_block_types": "UpDecoderBlock2D",
    }.items():
        if set(config[name]) != {kind}:
            raise folder.refuse(f"a vae whose {name} are all {kind}, not {config[name]}")
    module = Autoencoder(
        latent_channels=config.get("latent_channels", 4),
        channels=tuple(config["block_out_channels"]),
        blocks=config.get("layers_per_block", 1),
        groups=config.get("norm_num_groups", 32),
        attends=config.get("mid_block_add_attention", True),
        dtype=dtype,
    )
    return module, config.get("scaling_factor", 0.18215)


def text_encoder(folder: Folder, config: Mapping, dtype) -> TextEncoder:
    """Return the module of text_encoder/config.json. Raises InputError."""
    kind, activation = config.get("model_type"), config.get("hidden_act", "quick_gelu")
    if kind != "clip_text_model":
        raise folder.refuse(f"a text_encoder of model_type clip_text_model, not {kind!r}")
    if activation not in ACTIVATIONS:
        names = " or ".join(ACTIVATIONS)
        raise folder.refuse(f"a text_encoder whose hidden_act is {names}, not {activation!r}")
    return TextEncoder(
        vocabulary=config.get("vocab_size", 49408),
        length=config.get("max_position_embeddings", 77),
        width=config.get("hidden_size", 512),
        inner=config.get("intermediate_size", 2048),
        layers=config.get("num_hidden_layers", 12),
        heads=config.get("num_attention_heads", 8),
        activation=activation,
        epsilon=config.get("layer_norm_eps", 1e-5),
        dtype=dtype,
    )


def schedule(folder: Folder, config: Mapping) -> Schedule:
    """Return the schedule of scheduler/scheduler_config.json. Raises InputError."""
    name, prediction = (
        config.get("beta_schedule", "linear"),
        config.get("prediction_type", "epsilon"),
    )
    ranges = {"beta_schedule": (name, ("scaled_linear", "linear")),
              "prediction_type": (prediction, PREDICTIONS)}  # fmt: skip
    off = "trained_betas", "rescale_betas_zero_snr", "thresholding", "clip_sample"
    ranges |= {key: (config.get(key), (None, False)) for key in off}
    for key, (value, allowed) in ranges.items():
        if value not in allowed:
            words = " or ".join(map(str, allowed))
            raise folder.refuse(f"a scheduler whose {key} is {words}, not {value!r}")
    num = config.get("num_train_timesteps", 1000)
    ends = config.get("beta_start", 0.0001), config.get("beta_end", 0.02)
    table = noise_schedule.alpha_bar(name, num, *ends)
    last = 1.0 if config.get("set_alpha_to_one", True) else table[0]
    return Schedule(table, prediction, config.get("steps_offset", 0), last)


def tokens(folder: Folder, text: TextEncoder, prompts: Sequence[str]) -> np.ndarray:
    """Return the prompts' tokens, padded as the tokenizer pads: int32 [n t].

    Raises InputError: a prompt is too long, or the tokens are none of the encoder's.
    """
    tokenizer = folder.tokenizer()
    rows = tokenizer(list(prompts), truncation=False)["input_ids"]
    longest = max(range(len(rows)), key=lambda i: len(rows[i]))
    if len(rows[longest]) > text.length:
        words = (
            f"texts of at most {text.length} tokens; {prompts[longest]!r} has {len(rows[longest])}"
        )
        raise folder.refuse(words)
    padded = tokenizer(list(prompts), padding="max_length", max_length=text.length)["input_ids"]
    token = np.asarray(padded, np.int32)
    if token.max() >= text.vocabulary:
        words = (
            f"a tokenizer of the text_encoder's {text.vocabulary} tokens, not token {token.max()}"
        )
        raise folder.refuse(words)
    return token


def class_name(name: str) -> str:
    """Return the name of a class as a prompt has it: WordNet's first synonym, no underscores."""
    return name.partition(",")[0].replace("_", " ").strip()


def _check(folder: Folder, part: str, config: Mapping, fixed: Mapping, read: set[str]) -> None:
    """Refuse the first key of a config that says what the module does not do."""
    for key, value in config.items():
        if key.startswith("_") or key in read or (value is None or value is False):
            continue
        if key not in fixed or value != fixed[key]:
            words = f"{fixed[key]!r}" if key in fixed else "None"
            raise folder.refuse(f"a {part} whose {key} is {words}, not {value!r}")
    for key in ("block_out_channels", "down_block_types", "up_block_types"):
        if not isinstance(config.get(key), list) or len(config[key]) != len(
            config["block_out_channels"]
        ):
            raise folder.refuse(f"a {part} whose {key} is a list of an entry a level")

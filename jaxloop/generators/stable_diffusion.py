"""Stable Diffusion 1.x or 2.x, adapted to each generation by a LoRA: the paper's second generator.

Autoencoder, U-Net and text encoder are frozen, read from a folder or hub name in diffusers' layout
(generators/pipeline.py). A LoRA of the U-Net, and of the text encoder where `lora_text` says so, is
trained anew each generation to estimate the noise in latents of real and generated images, given
"a photo of a CLASS". Nothing checks what the images show: the safety checker is not loaded.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloop import fields, keys, optimizers, spec
from jaxloop.errors import InputError
from jaxloop.generators import lora, noise_schedule, pipeline
from jaxloop.generators.attention import LORA
from jaxloop.generators.base import Generator
from jaxloop.generators.noise_schedule import SAMPLERS
from jaxloop.generators.pipeline import Pipeline
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.types import Array, PyTree, Samples

TEXT_TARGETS = "q_proj", "k_proj", "v_proj", "out_proj"
LOG_VARIANCE = -30.0, 20.0  # of latents, as diffusers bounds it


@dataclass(frozen=True)
class Config(spec.Generator):
    reads: ClassVar[tuple[str, ...]] = ("class_names",)
    epochs: int = fields.integer(
        100, 1, "passes over real data + queue, at most, each generation, with a new LoRA"
    )
    max_steps: int = fields.integer(
        5000, 0, "steps at most, each generation, however full the queue is; 0: no limit"
    )
    batch_size: int = fields.integer(16, 2, "images a step")
    learning_rate: float = fields.positive(1e-4, "step size of Adam")
    schedule: str = fields.choice("cosine constant", "of the step size")
    warmup: float = fields.interval(0.05, 0, 0.5, "share of the steps in which it rises from 0")
    path: str = fields.path("", "the pipeline, in diffusers' layout", fields.FOLDER_OR_HUB)
    resolution: int = fields.integer(512, 8, "side to which images are resized for it", 2048)
    rank: int = fields.integer(4, 1, "of the LoRA", 1024)
    alpha: float = fields.positive(4.0, "of the LoRA, which counts alpha / rank times")
    targets: tuple[str, ...] = fields.field(
        ("to_q", "to_k", "to_v", "to_out.0"),
        "ends of the names of the U-Net's dense layers that the LoRA changes",
        "one or more names",
        lambda v: len(v) > 0,
    )
    lora_text: bool = fields.flag(False, "a LoRA for the text encoder's attention too")
    template: str = fields.field(
        "a photo of a {}",
        "the prompt; {} is the name of the class",
        "a text with one {} in it and no other brace",
        lambda v: v.count("{") == v.count("}") == v.count("{}") == 1,
    )
    negative: str = fields.field("", "prompt that guidance leads away from", "a text")
    label_dropout: float = fields.interval(
        0.1, 0, 0.5, "share of training images without their prompt, for guidance"
    )
    min_snr: float = fields.interval(0.0, 0, 100, "gamma of min-SNR weights of the loss; 0: none")
    accumulation: int = fields.integer(1, 1, "parts in which a step takes its batch", 1024)
    clip_norm: float = fields.positive(1.0, "norm to which a step's gradient is clipped")
    remat: bool = fields.flag(True, "compute blocks again for the gradient: less memory, slower")
    guidance: float = fields.interval(
        1.0, 1, 50, "sampling bias: classifier-free guidance; 1: none, more: more typical images"
    )
    sampler: str = fields.choice("dpm ddim", "of the probability flow")
    spacing: str = fields.choice("leading trailing linspace", "of the sampler's timesteps")
    sampling_steps: int = fields.integer(25, 2, "timesteps that the sampler visits", 1000)
    sample_batch: int = fields.integer(8, 1, "images that are encoded and sampled together", 4096)


class Diffusion(NamedTuple):
    """What the pure functions below share, all of it static."""

    pipeline: Pipeline
    optimizer: optax.GradientTransformation
    config: Config
    image_size: int
    num_classes: int


class State(NamedTuple):
    """lora: "unet" and, where it is trained, "text_encoder" -> LoRA."""

    lora: PyTree
    optimizer: PyTree


def create(
    config: Config,
    num_classes: int,
    image_size: int,
    num_steps: int,
    dtype,
    class_names: tuple[str, ...],
) -> Generator:
    """Read the pipeline and return the generator.

    Its constants: "unet", "vae" -> parameters of `dtype`; "text": the states of all prompts [L + 2
    t d], of no prompt and of the negative one the last two; or, where the text encoder has a LoRA,
    its parameters and the tokens [L + 2 t].

    Raises InputError: what cannot be read, is not supported, or does not fit together.
    """
    if config.batch_size % config.accumulation:
        words = f"a divisor of generator.batch_size ({config.batch_size})"
        raise InputError("config.generator.accumulation", config.accumulation, words)
    template, names = config.template, map(pipeline.class_name, class_names)
    prompts = [*(template.format(name) for name in names), "", config.negative]
    read, constants, facts = pipeline.read(config.path, prompts, dtype, config.remat)
    if config.resolution % read.unit:
        words = f"a multiple of {read.unit} for this pipeline"
        raise InputError("config.generator.resolution", config.resolution, words)
    if not config.lora_text:
        states = jax.jit(read.text.apply)({"params": constants["text"]}, constants["token"])
        constants["text"] = np.asarray(states)
        del constants["token"]
    if not lora.layers(constants["unet"], config.targets):
        words = "ends of names of dense layers, as to_q, ff.net.2"
        raise InputError("config.generator.targets", config.targets, words)
    adam = optimizers.adam(config, num_steps)
    optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)
    diffusion = Diffusion(read, optimizer, config, image_size, num_classes)
    shapes = {part: jax.tree.map(_shape, constants[part]) for part in ("unet", "text")}
    return Generator(
        partial(init, diffusion, shapes),
        partial(update, diffusion),
        partial(sample, diffusion),
        config.sample_batch,
        constants,
        encode=partial(encode, diffusion),
        export=partial(export, diffusion),
        facts=facts,
    )


def _shape(x) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def init(diffusion: Diffusion, shapes: PyTree, key: Array, generation: Array) -> State:
    """Return a new LoRA of parameters of these shapes."""
    config = diffusion.config
    unet_key, text_key = keys.parts(key, "unet", "text_encoder")
    new = {"unet": lora.init(unet_key, shapes["unet"], config.rank, config.targets)}
    if config.lora_text:
        new["text_encoder"] = lora.init(text_key, shapes["text"], config.rank, TEXT_TARGETS)
    return State(new, diffusion.optimizer.init(new))


def encode(diffusion: Diffusion, constants: PyTree, image: Array) -> Array:
    """Return mean and log-variance of the latents of uint8 [n h w 3]: [n h' w' 2c]."""
    vae, side = diffusion.pipeline.vae, diffusion.config.resolution
    x = _resized(to_unit(image), side)
    moments = vae.apply({"params": constants["vae"]}, x, method=vae.encode)
    return moments.astype(vae.dtype)  # type: ignore[union-attr]


def _resized(image: Array, side: int) -> Array:
    shape = (len(image), side, side, 3)
    return jnp.clip(jax.image.resize(image, shape, "cubic", antialias=True), -1, 1)


def update(
    diffusion: Diffusion, key: Array, constants: PyTree, state: State, batch: Samples
) -> tuple[State, dict[str, Array]]:
    """Take one step on images that `encode` gave."""
    drawn = draws(diffusion, key, batch)
    parts = diffusion.config.accumulation
    split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), drawn)

    def one_part(sums, part):
        value = jax.value_and_grad(loss, argnums=2)(diffusion, constants, state.lora, *part)
        return jax.tree.map(jnp.add, sums, value), None

    zero = jnp.float32(0), jax.tree.map(jnp.zeros_like, state.lora)
    value, gradient = jax.tree.map(lambda x: x / parts, jax.lax.scan(one_part, zero, split)[0])
    change, optimizer = diffusion.optimizer.update(gradient, state.optimizer, state.lora)
    signals = {"generator/loss": value, "generator/gradient_norm": optax.tree.norm(gradient)}
    return State(optax.apply_updates(state.lora, change), optimizer), signals  # type: ignore


def draws(diffusion: Diffusion, key: Array, batch: Samples) -> tuple[Array, ...]:
    """Return clean latents and noise [n h w c], timesteps and prompts [n] of a step."""
    config, schedule = diffusion.config, diffusion.pipeline.schedule
    names = "latent", "noise", "timestep", "label"
    latent_key, noise_key, time_key, label_key = keys.parts(key, *names)
    mean, log_variance = jnp.split(batch.image.astype(jnp.float32), 2, axis=-1)
    deviation = jnp.exp(jnp.clip(log_variance, *LOG_VARIANCE) / 2)
    clean = mean + deviation * jax.random.normal(latent_key, mean.shape)
    noise = jax.random.normal(noise_key, mean.shape)
    n = batch.label.shape
    timestep = jax.random.randint(time_key, n, 0, len(schedule.alpha_bar))
    dropped = jax.random.bernoulli(label_key, config.label_dropout, n)
    prompt = jnp.where(dropped, diffusion.num_classes, batch.label)
    return clean * diffusion.pipeline.scaling, noise, timestep, prompt


def loss(
    diffusion: Diffusion, constants: PyTree, state_lora: PyTree, clean, noise, timestep, prompt
) -> Array:
    """Return the mean over images of the squared error, weighted by `min_snr`."""
    schedule = diffusion.pipeline.schedule
    x, target = noise_schedule.noisy(schedule, clean, noise, timestep)
    text = states(diffusion, constants, state_lora, prompt)
    error = estimate(diffusion, constants, state_lora, x, timestep, text) - target
    weight = noise_schedule.min_snr_weight(schedule, timestep, diffusion.config.min_snr)
    return (weight * jnp.square(error).mean(axis=(1, 2, 3))).mean()


def estimate(
    diffusion: Diffusion, constants: PyTree, state_lora: PyTree, x, timestep, text
) -> Array:
    """Return what the adapted U-Net says of latents [n h w c] at timesteps [n]."""
    added = lora.scaled(state_lora["unet"], diffusion.config.alpha)
    variables = {"params": constants["unet"], LORA: added}
    return diffusion.pipeline.unet.apply(variables, x, timestep, text)  # type: ignore


def states(diffusion: Diffusion, constants: PyTree, state_lora: PyTree, prompt: Array) -> Array:
    """Return the text encoder's states of prompts, int32 [n] in [0, L + 2): [n t d]."""
    if not diffusion.config.lora_text:
        return jnp.asarray(constants["text"])[prompt]
    added = lora.scaled(state_lora["text_encoder"], diffusion.config.alpha)
    variables = {"params": constants["text"], LORA: added}
    token = jnp.asarray(constants["token"])[prompt]
    return diffusion.pipeline.text.apply(variables, token)  # type: ignore[return-value]


def sample(
    diffusion: Diffusion, key: Array, constants: PyTree, state: State, label: Array
) -> Array:
    config, read, n = diffusion.config, diffusion.pipeline, len(label)
    text = states(diffusion, constants, state.lora, label)
    if config.guidance != 1:
        negative = jnp.full_like(label, diffusion.num_classes + 1)
        text = jnp.concatenate([text, states(diffusion, constants, state.lora, negative)])

    def guided(x: Array, timestep: Array) -> Array:
        x = x if config.guidance == 1 else jnp.concatenate([x, x])
        out = estimate(diffusion, constants, state.lora, x, jnp.full(len(x), timestep), text)
        if config.guidance == 1:
            return out
        given, without = jnp.split(out, 2)
        return without + config.guidance * (given - without)

    side = config.resolution // read.vae_factor
    x = jax.random.normal(key, (n, side, side, read.vae.latent_channels))
    sampler = SAMPLERS[config.sampler]
    x = sampler(read.schedule, guided, x, config.sampling_steps, config.spacing)
    return decode(diffusion, constants, x)


def decode(diffusion: Diffusion, constants: PyTree, latent: Array) -> Array:
    """Return uint8 images of latents, in the data set's size."""
    read = diffusion.pipeline
    variables, vae = {"params": constants["vae"]}, read.vae
    image = vae.apply(variables, latent / read.scaling, method=vae.decode)
    return to_pixels(_resized(image, diffusion.image_size))  # type: ignore[arg-type]


def export(diffusion: Diffusion, state: State) -> bytes:
    """Return a safetensors file of the LoRA, for torch diffusers."""
    return lora.encode(lora.named(state.lora), diffusion.config.alpha, "metadata")

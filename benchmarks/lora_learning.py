"""Does a LoRA learn? A small latent diffusion of digits 0 to 7, adapted to 8 and 9.

    python -m benchmarks.lora_learning IDX_FOLDER OUT [--vae 700] [--unet 2500] [--lora 600] \
        [--rate 0.0003]

Trains an autoencoder and a U-Net from scratch on coloured MNIST digits 0 to 7 at 32x32, writes them
to OUT/pipeline in diffusers' layout (once: what is there is used), and adapts them with the
generator `stable_diffusion` to 8 and 9, which neither has seen. A seed draws 2,000 images of these
to train on, the LoRA, and the noise of the test. Prints the loss of denoising held-out 8s and 9s,
of the frozen backbone and with the LoRA, same noise and timesteps, and that of 0 to 7, as a row of
Markdown each; writes grids of samples to OUT.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy
from PIL import Image
from scipy import stats

from jaxloop import config, data, files, generators, keys, spec
from jaxloop.generators import noise_schedule, pipeline, stable_diffusion
from jaxloop.ops.pixels import to_unit
from jaxloop.types import Samples
from jaxloop.weights import state_dict
from jaxloop.weights.diffusers_folder import Folder

SIDE, OLD, NEW = 32, 8, ("8", "9")
BATCH, CHUNK = 64, 50
SUBSET = 2000  # images of 8 and 9 that a seed trains on
KL = 1e-3  # weight of the autoencoder's divergence from N(0, 1), beside the squared error
WIDTH, LENGTH = 32, 4  # of the text encoder: features, tokens of a prompt
WORDS = [
    *"0123456789",
    *(f"{digit}</w>" for digit in "0123456789"),
    "<|startoftext|>",
    "<|endoftext|>",
]
CONFIGS = {
    "unet/config.json": {
        "in_channels": 4, "out_channels": 4, "block_out_channels": [32, 64], "layers_per_block": 1,
        "cross_attention_dim": WIDTH, "norm_num_groups": 8, "attention_head_dim": 4,
        "down_block_types": ["CrossAttnDownBlock2D"] * 2,
        "up_block_types": ["CrossAttnUpBlock2D"] * 2, "use_linear_projection": True,
    },
    "vae/config.json": {
        "block_out_channels": [16, 32, 32], "layers_per_block": 1, "latent_channels": 4,
        "norm_num_groups": 8, "mid_block_add_attention": False,
        "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3,
    },
    "text_encoder/config.json": {
        "model_type": "clip_text_model", "vocab_size": len(WORDS), "hidden_size": WIDTH,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": LENGTH,
    },
    "scheduler/scheduler_config.json": {
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
        "steps_offset": 1, "set_alpha_to_one": False,
    },
    "tokenizer/vocab.json": {word: i for i, word in enumerate(WORDS)},
    "tokenizer/tokenizer_config.json": {"pad_token": WORDS[-1], "unk_token": WORDS[-1]},
    "model_index.json": {"_class_name": "StableDiffusionPipeline"},
}  # fmt: skip


def write_configs(folder: Path) -> None:
    for name, content in CONFIGS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")


def write_weights(folder: Path, name: str, params) -> None:
    """Write a part's parameters under torch's names and in its layout."""
    safetensors.numpy.save_file(state_dict.from_variables(params), folder / name)


def modules(folder: Path) -> pipeline.Pipeline:
    found = Folder(str(folder), pipeline.FIELD, ())
    return pipeline.modules(found, jnp.dtype("float32"), remat=False)


def trained(loss, params, images, label, steps: int, rate: float, key) -> dict:
    """Return the moving average of parameters trained by Adam.

    loss: (params, key, image [n ...], label [n]) -> float32 [].
    """
    optimizer = optax.adam(optax.warmup_cosine_decay_schedule(0.0, rate, steps // 20, steps))

    @jax.jit
    def chunk(state, first):
        def body(i, state):
            params, average, opt, total = state
            index_key, loss_key = keys.parts(jax.random.fold_in(key, i), "index", "loss")
            index = jax.random.randint(index_key, (BATCH,), 0, len(label))
            value, gradient = jax.value_and_grad(loss)(
                params, loss_key, images[index], label[index]
            )
            change, opt = optimizer.update(gradient, opt, params)
            params = optax.apply_updates(params, change)
            average = optax.incremental_update(params, average, 0.005)
            return params, average, opt, total + value

        return jax.lax.fori_loop(first, first + CHUNK, body, state)

    state = (params, params, optimizer.init(params), jnp.float32(0))
    for first in range(0, steps, CHUNK):
        state = chunk((*state[:3], jnp.float32(0)), jnp.int32(first))
        if first % 500 == 0:
            print(f"  step {first + CHUNK}: loss {float(state[3]) / CHUNK:.4f}", flush=True)
    return state[1]


def vae_loss(vae, params, key, image, label):
    x = to_unit(image)
    mean, log_variance = jnp.split(vae.apply({"params": params}, x, method=vae.encode), 2, axis=-1)
    log_variance = jnp.clip(log_variance, *stable_diffusion.LOG_VARIANCE)
    latent = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    error = jnp.square(vae.apply({"params": params}, latent, method=vae.decode) - x).mean()
    return error + KL * 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1).mean()


def without_variance(vae: dict) -> dict:
    """Return an autoencoder whose latents are the means alone, which the U-Net is trained on.

    A LoRA would else learn the latents' noise too, which the backbone has not seen.
    """
    last = vae["quant_conv"]
    kernel, bias = last["kernel"].at[..., 4:].set(0), last["bias"].at[4:].set(-20)
    return {**vae, "quant_conv": {"kernel": kernel, "bias": bias}}


def unet_loss(read, states, params, key, latent, label):
    """The network's own loss, a tenth of the prompts dropped (the last row of `states`)."""
    noise_key, time_key, label_key = keys.parts(key, "noise", "time", "label")
    noise = jax.random.normal(noise_key, latent.shape)
    timestep = jax.random.randint(time_key, label.shape, 0, len(read.schedule.alpha_bar))
    x, target = noise_schedule.noisy(read.schedule, latent, noise, timestep)
    dropped = jax.random.bernoulli(label_key, 0.1, label.shape)
    text = states[jnp.where(dropped, len(states) - 1, label)]
    return jnp.square(read.unet.apply({"params": params}, x, timestep, text) - target).mean()


def backbone(folder: Path, images, label, steps: dict[str, int]) -> None:
    """Train the three parts (the text encoder stays as drawn), and write them."""
    write_configs(folder)
    read, key = modules(folder), keys.root_key(0)
    text_key, vae_key, unet_key, latent_key = keys.parts(key, "text", "vae", "unet", "latent")
    token = jnp.zeros((1, LENGTH), jnp.int32)
    text = jax.jit(read.text.init)(text_key, token)["params"]
    write_weights(folder, "text_encoder/model.safetensors", text)
    begin = time.process_time()
    vae = jax.jit(read.vae.init)(vae_key, jnp.zeros((1, SIDE, SIDE, 3)))["params"]
    vae = trained(partial(vae_loss, read.vae), vae, images, label, steps["vae"], 2e-3, vae_key)
    vae = without_variance(vae)
    write_weights(folder, "vae/diffusion_pytorch_model.safetensors", vae)
    encode = jax.jit(lambda x: read.vae.apply({"params": vae}, to_unit(x), method=read.vae.encode))
    moments = np.concatenate([encode(images[i : i + 500]) for i in range(0, len(images), 500)])
    latent = moments[..., :4]
    scaling = float(1 / latent.std())
    settings = CONFIGS["vae/config.json"] | {"scaling_factor": scaling}
    (folder / "vae/config.json").write_text(json.dumps(settings))
    print(f"autoencoder: {time.process_time() - begin:.0f} core-seconds, latents' deviation "
          f"{1 / scaling:.2f}")  # fmt: skip
    begin = time.process_time()
    found = Folder(str(folder), pipeline.FIELD, ())
    token = pipeline.tokens(found, read.text, [*map(str, range(OLD)), ""])
    states = jax.jit(read.text.apply)({"params": text}, token)
    first = jnp.asarray(latent[:1]), jnp.zeros(1, jnp.int32), states[:1]
    unet = jax.jit(read.unet.init)(unet_key, *first)["params"]
    loss = partial(unet_loss, read, states)
    latents = jnp.asarray(latent * scaling)
    unet = trained(loss, unet, latents, label, steps["unet"], 2e-3, latent_key)
    write_weights(folder, "unet/diffusion_pytorch_model.safetensors", unet)
    print(f"U-Net: {time.process_time() - begin:.0f} core-seconds")


def create(folder: Path, names: tuple[str, ...], steps: int, **fields):
    c = config.default()
    values = {"name": "stable_diffusion", "path": str(folder), "resolution": SIDE, "rank": 8,
              "alpha": 8.0, "template": "{}", "batch_size": BATCH,
              "remat": False, "sampling_steps": 20, "sample_batch": 64}  # fmt: skip
    for name, value in (values | fields).items():
        c.generator[name] = value
    chosen, dtype = config.resolve(c).generator, jnp.dtype("float32")
    return generators.create(chosen, len(names), SIDE, steps, dtype, class_names=names)


def adapted(generator, images, label, seed: int, steps: int):
    """Return the generator's state after these steps of batches drawn by the seed."""
    root, constants = keys.root_key(seed), generator.constants
    chosen = jax.random.permutation(keys.stage_key(root, "images", 1), len(images))[:SUBSET]
    images, label = images[chosen], label[chosen]
    encode = jax.jit(generator.encode)
    codes = jnp.concatenate(
        [encode(constants, images[i : i + 500]) for i in range(0, len(images), 500)]
    )
    group = jnp.zeros(BATCH, jnp.int32)

    @jax.jit
    def chunk(state, first):
        def body(i, state):
            index_key, step_key = keys.parts(keys.stage_key(root, "lora", 1, i), "index", "step")
            index = jax.random.randint(index_key, (BATCH,), 0, len(codes))
            batch = Samples(codes[index], label[index], group)
            return generator.update(step_key, constants, state, batch)[0]

        return jax.lax.fori_loop(first, first + CHUNK, body, state)

    state = generator.init(keys.stage_key(root, "init", 1), jnp.int32(1))
    for first in range(0, steps, CHUNK):
        state = chunk(state, jnp.int32(first))
    return state


def held_out_loss(generator, lora, seed: int, images, label) -> float:
    """Return the mean loss on images: timesteps spread evenly, no prompt dropped."""
    diffusion, constants = generator.update.args[0], generator.constants
    n, (noise_key, time_key) = len(images), keys.parts(keys.root_key(seed), "noise", "time")
    codes = jax.jit(generator.encode)(constants, images)
    clean = codes[..., :4] * diffusion.pipeline.scaling
    noise = jax.random.normal(noise_key, clean.shape)
    timestep = jax.random.permutation(time_key, jnp.linspace(0, 999, n).round().astype(jnp.int32))
    one = jax.jit(partial(stable_diffusion.loss, diffusion))
    return float(one(constants, lora, clean, noise, timestep, label))


def grid(path: Path, generator, state, classes: int, rows: int = 4, columns: int = 12) -> None:
    label = jnp.arange(rows * columns, dtype=jnp.int32) // columns % classes
    image = jax.jit(generator.sample)(keys.root_key(7), generator.constants, state, label)
    image = np.asarray(image).reshape(rows, columns, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4)
    picture = Image.fromarray(image.reshape(rows * SIDE, columns * SIDE, 3))
    picture.resize((2 * columns * SIDE, 2 * rows * SIDE), Image.Resampling.NEAREST).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    for name, default in {"vae": 700, "unet": 2500, "lora": 600}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="steps")
    parser.add_argument("--rate", type=float, default=3e-4, help="the LoRA's step size")
    options = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", str(files.cache("xla")))
    folder = options.out / "pipeline"
    mnist = data.load(spec.Data(name="mnist", path=str(options.data), image_size=SIDE))
    old = mnist.train.label < OLD
    if not (folder / "unet/diffusion_pytorch_model.safetensors").exists():
        images, label = (jnp.asarray(x[old]) for x in mnist.train[:2])
        backbone(folder, images, label, {"vae": options.vae, "unet": options.unet})

    def taken(samples, new: bool, most: int):
        mask = (samples.label >= OLD) == new
        image, label = (jnp.asarray(x[mask][:most]) for x in samples[:2])
        return image, label - (OLD if new else 0)

    generator = create(folder, NEW, options.lora, learning_rate=options.rate)
    before = generator.init(keys.root_key(0), jnp.int32(1))
    digits = create(folder, tuple(map(str, range(OLD))), 1)
    sets = ((generator, taken(mnist.test, True, 1000)), (digits, taken(mnist.test, False, 1000)))
    grid(options.out / "backbone.png", digits, before, OLD, rows=OLD)
    grid(options.out / "frozen.png", generator, before, 2)
    print("| seed | held-out 8 and 9 | frozen | difference | 0 to 7 | frozen | core-seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    differences = []
    images, label = taken(mnist.train, True, 10**6)
    for seed in range(3):
        begin = time.process_time()
        state = adapted(generator, images, label, seed, options.lora)
        seconds = time.process_time() - begin
        frozen, after = (
            [held_out_loss(g, s.lora, seed, *held) for g, held in sets] for s in (before, state)
        )
        differences.append(after[0] - frozen[0])
        values = after[0], frozen[0], differences[-1], after[1], frozen[1]
        print(f"| {seed} | {' | '.join(f'{x:.4f}' for x in values)} | {seconds:.0f} |", flush=True)
        if seed == 0:
            grid(options.out / "lora.png", generator, state, 2)
            guided = create(folder, NEW, options.lora, guidance=3.0)
            grid(options.out / "lora_guidance_3.png", guided, state, 2)
    mean = np.mean(differences)
    half = stats.t.ppf(0.975, 2) * np.std(differences, ddof=1) / 3**0.5
    ends = f"[{mean - half:+.4f}, {mean + half:+.4f}]"
    print(f"difference: {mean:+.4f} {ends} (95 %, Student's t over seeds)")


if __name__ == "__main__":
    main()

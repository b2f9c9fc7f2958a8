"""Does a LoRA learn? Two digits that a small latent diffusion, trained here, has never seen.

    python -m benchmarks.lora_learning DATA OUT [--vae-steps 700] [--unet-steps 2400] \
        [--seeds 0,1,2] [--lora rank=4 rank=8,learning_rate=0.0003 ...]

DATA holds MNIST's four IDX files. An autoencoder and a U-Net are trained from scratch on the digits
0-7, given the states that a text encoder of random weights has of "0".."7", and written to
OUT/pipeline in diffusers' layout; what is there already is used again. The project's generator reads
it and trains a LoRA on 8 and 9, anew for every seed, which also draws the 2,000 training images. A
--lora gives fields of the generator. Prints Markdown:

    seed        of the LoRA: its start, images, batches; noise and timesteps of the two losses too
    new         denoising loss (mean squared error of the noise, no weights) on test images of 8 and
                9: of the frozen backbone, with the LoRA, and the difference. Both see the same
                images, noise and timesteps
    seen        the same on test images of 0-7, on which no LoRA is trained: what is forgotten
    named       share of 64 samples, given "8" or "9", that the nearest of 10,000 training images of
                all digits names so

and a row of means with 95 % Student t intervals over seeds. Grids go to OUT: reconstructions, and
samples with guidance 1 and 3 of the seen digits (a row a digit), of 8 and 9 by the frozen backbone,
and by each seed's LoRA.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.generators import values_of
from jaxloop import files as disk
from jaxloop import generators, keys, statistics
from jaxloop.data.mnist import read_idx
from jaxloop.generators import pipeline, stable_diffusion
from jaxloop.generators.base import Generator
from jaxloop.generators.stable_diffusion import Diffusion
from jaxloop.ops.pixels import to_pixels, to_unit
from jaxloop.run import writers
from jaxloop.types import Array, PyTree, Samples
from jaxloop.weights import diffusers_folder, files, state_dict

SEEN, NEW, NAMES = range(8), (8, 9), tuple("0123456789")
SIDE, CHUNK, PIECE = 32, 100, 256  # of an image; steps in a call; images encoded or judged together
IMAGES, JUDGED, DRAWN = 2000, 4096, 64  # a LoRA trains on; a loss is the mean of; samples named
KL = 1e-3  # weight of the autoencoder's mean divergence beside its mean squared error
F32 = jnp.dtype("float32")
LORA = {"batch_size": 32, "learning_rate": 1e-3, "max_steps": 300}
START, END = "<|startoftext|>", "<|endoftext|>"
TOKENS = [*NAMES, *(f"{name}</w>" for name in NAMES), START, END]
CONFIGS = {
    "unet": {
        "_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 4,
        "out_channels": 4, "block_out_channels": [32, 64], "layers_per_block": 1,
        "cross_attention_dim": 32, "norm_num_groups": 8, "attention_head_dim": 4,
        "down_block_types": ["CrossAttnDownBlock2D"] * 2,
        "up_block_types": ["CrossAttnUpBlock2D"] * 2,
    },
    "vae": {
        "_class_name": "AutoencoderKL", "block_out_channels": [8, 16, 32], "layers_per_block": 1,
        "latent_channels": 4, "norm_num_groups": 4, "sample_size": SIDE,
        "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3,
        "mid_block_add_attention": False,
    },
    "text_encoder": {
        "model_type": "clip_text_model", "architectures": ["CLIPTextModel"],
        "vocab_size": len(TOKENS), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 4,
        "bos_token_id": len(TOKENS) - 2, "eos_token_id": len(TOKENS) - 1,
    },
    "scheduler": {
        "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012, "num_train_timesteps": 1000, "steps_offset": 1, "clip_sample": False,
        "set_alpha_to_one": False,
    },
}  # fmt: skip
INDEX = {
    "_class_name": pipeline.CLASS, "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "vae": ["diffusers", "AutoencoderKL"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "safety_checker": [None, None], "feature_extractor": [None, None],
    "requires_safety_checker": False,
}  # fmt: skip


class Digits(NamedTuple):
    train: Samples
    test: Samples


# Images


def read(folder: Path) -> Digits:
    """Return MNIST, grey as RGB with a black frame of two pixels."""
    parts = []
    for part in ("train", "t10k"):
        grey = read_idx(folder / f"{part}-images-idx3-ubyte.gz", 3)
        label = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", 1).astype(np.int32)
        image = np.pad(grey, [(0, 0), (2, 2), (2, 2)])[..., None].repeat(3, axis=-1)
        parts.append(Samples(image, label, np.zeros_like(label)))
    return Digits(*parts)


def of(samples: Samples, digits, limit: int | None = None) -> Samples:
    """Return the first images of these digits."""
    index = np.flatnonzero(np.isin(samples.label, digits))[:limit]
    return jax.tree.map(lambda x: x[index], samples)


def write_grid(path: Path, image, columns: int) -> None:
    path.write_bytes(writers.grid(np.asarray(image).reshape(-1, columns, *image.shape[1:])))


# A folder in diffusers' layout


def write_configs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / diffusers_folder.INDEX).write_text(json.dumps(INDEX))
    for part, config in CONFIGS.items():
        (folder / part).mkdir(exist_ok=True)
        name = diffusers_folder.CONFIG.get(part, "config.json")
        (folder / part / name).write_text(json.dumps(config))
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir(exist_ok=True)
    (tokenizer / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(TOKENS)}))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    special = {"tokenizer_class": "CLIPTokenizer", "unk_token": END, "pad_token": END}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(special))


def write_weights(folder: Path, part: str, params: PyTree) -> None:
    """Write parameters under torch's names, with its axes."""
    tensors = {}
    for path, x in files.flat(params).items():
        axes = np.argsort(state_dict.axes(path, x.ndim))
        tensors[state_dict.key(path)] = np.ascontiguousarray(np.transpose(x, axes))
    stem = diffusers_folder.WEIGHTS.get(part, diffusers_folder.USUAL_WEIGHTS)
    path = folder / part / f"{stem}{files.SUFFIX}"
    path.write_bytes(safetensors.numpy.save(tensors, {"format": "pt"}))


def write_random(folder: Path) -> None:
    """Write a pipeline of random weights: the text encoder's stay so."""
    write_configs(folder)
    found = diffusers_folder.Folder(str(folder), pipeline.FIELD, ())
    vae, _ = pipeline.autoencoder(found, CONFIGS["vae"], F32)
    text = pipeline.text_encoder(found, CONFIGS["text_encoder"], F32)
    unet = pipeline.unet(found, CONFIGS["unet"], vae.latent_channels, text.width, F32, False)
    states, latent = jnp.zeros((1, text.length, text.width)), jnp.zeros((1, 8, 8, 4))
    arguments = {
        "unet": (unet, latent, jnp.zeros(1, jnp.int32), states),
        "vae": (vae, jnp.zeros((1, SIDE, SIDE, 3))),
        "text_encoder": (text, jnp.zeros((1, text.length), jnp.int32)),
    }
    for part, (module, *given) in arguments.items():
        key = keys.stage_key(keys.root_key(0), f"init/{part}", 0)
        write_weights(folder, part, jax.jit(module.init)(key, *given)["params"])


# The backbone


def fitted(name: str, loss, params: PyTree, data: Samples, steps: int, size: int, rate: float):
    """Return parameters after `steps` steps of Adam, with a cosine, on random batches.

    loss: (params, key, batch) -> float32 [].
    """
    peak = optax.warmup_cosine_decay_schedule(0.0, rate, steps // 20, steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(peak))
    root = keys.stage_key(keys.root_key(0), name, 0)

    @jax.jit
    def chunk(params, moments, data, first):
        def body(i, carry):
            params, moments, total = carry
            index_key, step_key = keys.parts(jax.random.fold_in(root, first + i), "index", "step")
            batch = taken(data, index_key, size)
            value, gradient = jax.value_and_grad(loss)(params, step_key, batch)
            change, moments = optimizer.update(gradient, moments, params)
            return optax.apply_updates(params, change), moments, total + value / CHUNK

        return jax.lax.fori_loop(0, CHUNK, body, (params, moments, jnp.float32(0)))

    moments, before = optimizer.init(params), time.process_time()
    for first in range(0, steps, CHUNK):
        params, moments, value = chunk(params, moments, data, jnp.int32(first))
        minutes = (time.process_time() - before) / 60
        print(f"{name}: step {first + CHUNK}, loss {value:.4f}, {minutes:.1f} min", flush=True)
    return jax.device_get(params)


def taken(data: Samples, key: Array, size: int) -> Samples:
    index = jax.random.randint(key, (size,), 0, len(data.label))
    return jax.tree.map(lambda x: x[index], data)


def vae_loss(vae, params: PyTree, key: Array, batch: Samples) -> Array:
    image, variables = to_unit(batch.image), {"params": params}
    mean, log_variance = jnp.split(vae.apply(variables, image, method=vae.encode), 2, axis=-1)
    latent = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    error = vae.apply(variables, latent, method=vae.decode) - image
    divergence = jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1
    return jnp.square(error).mean() + KL * divergence.mean() / 2


def unet_loss(diffusion: Diffusion, constants: PyTree, params: PyTree, key: Array, batch: Samples):
    drawn = stable_diffusion.draws(diffusion, key, batch)
    return stable_diffusion.loss(diffusion, {**constants, "unet": params}, {"unet": {}}, *drawn)


def train_backbone(out: Path, digits: Digits, vae_steps: int, unet_steps: int) -> None:
    """Write OUT/pipeline, trained on the seen digits, and a grid of reconstructions."""
    folder = out / "pipeline.new"
    write_random(folder)
    seen = of(digits.train, SEEN)
    diffusion, constants = parts(create(folder))
    vae, name = diffusion.pipeline.vae, "autoencoder"
    vae_params = fitted(name, partial(vae_loss, vae), constants["vae"], seen, vae_steps, 32, 2e-3)
    write_weights(folder, "vae", vae_params)

    latents = encoded(create(folder), of(seen, SEEN, 20_000))
    mean, log_variance = np.split(latents.image, 2, axis=-1)
    scaling = float(1 / np.sqrt(np.square(mean - mean.mean()).mean() + np.exp(log_variance).mean()))
    print(f"scaling factor {scaling:.3f}, deviation of posteriors {1 / scaling:.3f} -> ", end="")
    print(f"{np.sqrt(np.exp(log_variance).mean()):.3f}", flush=True)
    config = {**CONFIGS["vae"], "scaling_factor": scaling}
    (folder / "vae" / "config.json").write_text(json.dumps(config))

    generator = create(folder)
    diffusion, constants = parts(generator)
    loss = partial(unet_loss, diffusion, {"text": constants["text"]})
    unet = fitted("unet", loss, constants["unet"], latents, unet_steps, 64, 2e-3)
    write_weights(folder, "unet", unet)
    folder.rename(out / "pipeline")

    image = np.concatenate([of(digits.test, d, 16).image for d in (SEEN, NEW)])
    decoded = jax.jit(vae.apply)({"params": vae_params}, to_unit(jnp.asarray(image)))
    pairs = np.stack([image, to_pixels(decoded)], axis=1)
    write_grid(out / "reconstructions.png", pairs.reshape(-1, *image.shape[1:]), 8)


# The generator


def create(folder: Path, **fields: Any) -> Generator:
    """Return the project's generator for all ten digits, without the safeguards of memory."""
    given = {"label_dropout": 0.1, "remat": False, "sample_batch": DRAWN, **LORA, **fields}
    config = stable_diffusion.Config(
        name="stable_diffusion", path=str(folder), resolution=SIDE, template="{}", **given
    )
    steps = config.max_steps
    return generators.create(config, len(NAMES), SIDE, steps, F32, class_names=NAMES)


def parts(generator: Generator) -> tuple[Diffusion, PyTree]:
    """Return what the pure functions of the module take."""
    return generator.update.args[0], generator.constants  # type: ignore[attr-defined]


def encoded(generator: Generator, samples: Samples) -> Samples:
    """Return the samples with mean and log-variance of their latents as images."""
    one = jax.jit(generator.encode)  # type: ignore[arg-type]
    fill = np.pad(samples.image, [(0, -len(samples.label) % PIECE), (0, 0), (0, 0), (0, 0)])
    pieces = [one(generator.constants, piece) for piece in np.split(fill, len(fill) // PIECE)]
    return samples._replace(image=np.concatenate(pieces)[: len(samples.label)])


def learnt(generator: Generator, root: Array, constants: PyTree, data: Samples) -> PyTree:
    """Return the generator's state after all steps on IMAGES of the images."""
    diffusion, _ = parts(generator)
    init_key, choice_key, step_key = keys.parts(root, "init", "choice", "step")
    index = jax.random.choice(choice_key, len(data.label), (IMAGES,), replace=False)
    chosen = jax.tree.map(lambda x: x[index], data)

    def body(i, state):
        batch_key, update_key = keys.parts(jax.random.fold_in(step_key, i), "batch", "update")
        batch = taken(chosen, batch_key, diffusion.config.batch_size)
        return generator.update(update_key, constants, state, batch)[0]

    state = generator.init(init_key, jnp.int32(1))
    return jax.lax.fori_loop(0, diffusion.config.max_steps, body, state)


def judged(diffusion: Diffusion, constants: PyTree, lora: PyTree, key: Array, data: Samples):
    """Return the mean denoising loss of JUDGED images, each given its prompt."""
    clean, noise, timestep, _ = stable_diffusion.draws(diffusion, key, data)
    rows = jax.tree.map(
        lambda x: x.reshape(-1, PIECE, *x.shape[1:]), (clean, noise, timestep, data.label)
    )
    one = lambda row: stable_diffusion.loss(diffusion, constants, lora, *row)  # noqa: E731
    return jax.lax.map(one, rows).mean()


# The table


class Judges(NamedTuple):
    """classifier: of pictures.  test: {"new", "seen"} -> JUDGED encoded test images.

    samplers: guidance -> compiled `sample`.
    """

    classifier: KNeighborsClassifier
    test: dict[str, Samples]
    samplers: dict[float, Any]


def judges_of(folder: Path, digits: Digits) -> Judges:
    generator, few = create(folder), of(digits.train, range(10), 10_000)
    classifier = KNeighborsClassifier(1).fit(flat(few.image), few.label)
    test = {}
    for name, wanted in (("new", NEW), ("seen", SEEN)):
        images = of(digits.test, wanted, JUDGED)
        score = classifier.score(flat(images.image), images.label)
        print(f"{len(images.label)} {name} test images, {score:.3f} of them named rightly")
        index = np.arange(JUDGED) % len(images.label)
        test[name] = jax.tree.map(lambda x, index=index: x[index], encoded(generator, images))
    samplers = {g: jax.jit(create(folder, guidance=g).sample) for g in (1.0, 3.0)}
    return Judges(classifier, test, samplers)


def flat(image) -> np.ndarray:
    """Return grey pictures as rows."""
    return np.asarray(image, np.float32).mean(axis=-1).reshape(len(image), -1)


def drawn(judges: Judges, generator: Generator, seed: int, state, label, path: Path) -> list[float]:
    """Write a grid for each guidance; return the shares that are named as their labels."""
    shares = []
    for guidance, sampler in judges.samplers.items():
        key = keys.stage_key(keys.root_key(seed), "sample", 0)
        image = sampler(key, generator.constants, state, jnp.asarray(label, jnp.int32))
        write_grid(path.with_name(f"{path.name}_guidance{guidance:g}.png"), image, 8)
        shares.append(float(judges.classifier.score(flat(image), label)))
    return shares


def compared(judges: Judges, generator: Generator, data: Samples, seeds, out: Path):
    """Yield for each seed (new losses, seen losses, shares named): [frozen, with LoRA] of each."""
    diffusion, constants = parts(generator)
    learn = jax.jit(partial(learnt, generator))
    judge = jax.jit(partial(judged, diffusion))
    label = np.repeat(NEW, DRAWN // 2)
    for seed in seeds:
        key, judge_key = (
            keys.stage_key(keys.root_key(seed), name, 0) for name in ("lora", "judge")
        )
        frozen = jax.jit(generator.init)(key, jnp.int32(1))
        states = {"frozen": frozen, "lora": learn(key, constants, data)}
        losses = [
            [float(judge(constants, state.lora, judge_key, test)) for state in states.values()]
            for test in judges.test.values()
        ]
        named = [
            drawn(judges, generator, seed, state, label, out / f"new_{name}_seed{seed}")
            for name, state in states.items()
        ]
        yield *losses, named


def row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def with_interval(values) -> str:
    e = statistics.estimate(values)
    p = statistics.p_value(e)
    return f"{e.mean:+.5f} ± {e.half_width or 0:.5f}" + (f" (p = {p:.2g})" if p else "")


def report(judges: Judges, recipe: str, data: Samples, seeds, folder: Path, out: Path) -> None:
    generator, table = create(folder, **values_of(recipe.split(","))), []
    out.mkdir(parents=True, exist_ok=True)
    for seed, (new, seen, named) in zip(
        seeds, compared(judges, generator, data, seeds, out), strict=True
    ):
        differences = [with_lora - frozen for frozen, with_lora in (new, seen)]
        table.append(differences)
        cells = [
            f"{frozen:.5f} | {with_lora:.5f} | {difference:+.5f}"
            for (frozen, with_lora), difference in zip((new, seen), differences, strict=True)
        ]
        shares = [" / ".join(f"{share:.2f}" for share in pair) for pair in named]
        print(row([recipe, str(seed), *cells, *shares]), flush=True)
    new, seen = map(with_interval, zip(*table, strict=True))
    print(row([recipe, "mean", "", "", new, "", "", seen, "", ""]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--vae-steps", type=int, default=700)
    parser.add_argument("--unet-steps", type=int, default=2400)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--lora", nargs="+", default=["rank=4"])
    options = parser.parse_args()
    jax.config.update("jax_compilation_cache_dir", str(disk.cache("xla")))
    digits, folder, out = read(options.data), options.out / "pipeline", options.out
    if not folder.is_dir():
        train_backbone(out, digits, options.vae_steps, options.unet_steps)
    judges, generator = judges_of(folder, digits), create(folder)
    frozen = jax.jit(generator.init)(keys.root_key(0), jnp.int32(1))
    label = np.repeat(SEEN, DRAWN // len(SEEN))
    named = drawn(judges, generator, 0, frozen, label, out / "seen_frozen")
    print("samples of seen digits by the frozen backbone, named so:", *named, end="\n\n")
    data = encoded(generator, of(digits.train, NEW))
    heads = [
        "LoRA",
        "seed",
        *(
            f"{what} {which}"
            for what in ("new", "seen")
            for which in ("frozen", "with LoRA", "difference")
        ),
        "named frozen",
        "named with LoRA",
    ]
    print(f"{row(heads)}\n|{' --- |' * len(heads)}", flush=True)
    seeds = tuple(map(int, options.seeds.split(",")))
    for recipe in options.lora:
        report(judges, recipe, data, seeds, folder, out / recipe.replace("/", "_"))


if __name__ == "__main__":
    main()

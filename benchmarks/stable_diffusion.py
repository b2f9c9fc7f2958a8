"""Stable Diffusion 1.5 in its true shapes, on random weights: seconds, bytes, FLOPs.

    python -m benchmarks.stable_diffusion [--resolution 256] [--parts float32,bfloat16,step,flops]

    float32, bfloat16   a forward pass of the U-Net on one image's latents
    step                a training step of the LoRA, batch 1, blocks computed again (remat), float32
    flops               counted by the compiler's analysis, nothing is run: of encoding, a training
                        step and sampling of an image at 512; the bytes of weights and LoRA; and
                        what follows for one generation on accelerators, an estimate

Prints a row of Markdown for each: seconds of compiling, of one call (the second), the bytes that
the program needs beside its arguments, those of its arguments, and the process's peak.
"""

import argparse
import time
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import config, devices, keys, optimizers
from jaxloop.generators import noise_schedule, pipeline, stable_diffusion
from jaxloop.generators.autoencoder import Autoencoder
from jaxloop.generators.latent_unet import LatentUNet
from jaxloop.generators.text_encoder import TextEncoder
from jaxloop.main import limit_arenas
from jaxloop.run.progress import peak_memory
from jaxloop.types import Samples

GIB = 2**30
TOKENS, WIDTH = 77, 768


def true_pipeline(dtype, remat: bool) -> pipeline.Pipeline:
    """Return the modules that SD 1.5's configs describe."""
    unet = LatentUNet(
        out_channels=4, channels=(320, 640, 1280, 1280), attends=(True, True, True, False),
        heads=(8,) * 4, blocks=2, groups=32, epsilon=1e-5, linear=False, upcast=False, shift=0,
        cosine_first=True, remat=remat, dtype=dtype,
    )  # fmt: skip
    vae = Autoencoder(4, (128, 256, 512, 512), 2, 32, dtype=dtype)
    text = TextEncoder(49408, TOKENS, WIDTH, 3072, 12, 12, "quick_gelu", 1e-5, dtype=dtype)
    table = noise_schedule.alpha_bar("scaled_linear", 1000, 0.00085, 0.012)
    schedule = noise_schedule.Schedule(table, "epsilon", 1, table[0])
    return pipeline.Pipeline(unet, vae, text, schedule, 0.18215)


def shapes_of(read: pipeline.Pipeline, dtype) -> dict:
    """Return the shapes of the generator's constants: "unet", "vae", "text" (12 prompts)."""
    token = np.zeros((1, TOKENS), np.int32)
    shapes = {name: of for name, (_, of) in pipeline.shapes(read, token).items()}
    cast = partial(jax.tree.map, lambda x: jax.ShapeDtypeStruct(x.shape, dtype))
    text = jax.ShapeDtypeStruct((12, TOKENS, WIDTH), dtype)
    return {"unet": cast(shapes["unet"]), "vae": cast(shapes["vae"]), "text": text}


def filled(shapes):
    """Return random arrays of these shapes, small enough that activations stay finite."""
    key = keys.root_key(0)

    def one(x):
        fan_in = max(1, int(np.prod(x.shape[:-1])))
        draw = jax.random.normal(key, x.shape, jnp.float32) / fan_in**0.5
        return draw.astype(x.dtype)

    return jax.tree.map(jax.jit(one, static_argnums=0), shapes)


def bytes_of(tree) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def timed(name: str, function, *arguments) -> None:
    """Print a row of a function."""
    begin = time.monotonic()
    mesh = devices.make_mesh(1, jax.devices()[:1])
    compiled = devices.compiled(function, mesh).lower(*arguments).compile()
    compiling = time.monotonic() - begin
    jax.block_until_ready(compiled(*arguments))
    begin = time.monotonic()
    out = jax.block_until_ready(compiled(*arguments))
    seconds = time.monotonic() - begin
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(out)), name
    memory = compiled.memory_analysis()
    sizes = memory.temp_size_in_bytes, memory.argument_size_in_bytes
    gib = " | ".join(f"{size / GIB:.2f}" for size in (*sizes, peak_memory() * 2**20))
    print(f"| {name} | {compiling:.0f} | {seconds:.1f} | {gib} |", flush=True)


def forward(dtype, resolution: int) -> None:
    read = true_pipeline(dtype, remat=False)
    params, side = filled(shapes_of(read, dtype)["unet"]), resolution // 8
    x, text = jnp.ones((1, side, side, 4)), jnp.ones((1, TOKENS, WIDTH))
    call = lambda p, x, t, text: read.unet.apply({"params": p}, x, t, text)  # noqa: E731
    timed(f"forward, {dtype}", call, params, x, jnp.full(1, 500, jnp.int32), text)


def generator_of(resolution: int, dtype, batch: int, remat: bool = True):
    """Return (Diffusion, shapes of constants) as the generator has them."""
    c = config.default()
    c.generator.name, c.generator.resolution = "stable_diffusion", resolution
    c.generator.batch_size, c.generator.guidance = batch, 7.5
    spec, read = config.resolve(c).generator, true_pipeline(dtype, remat)
    optimizer = optimizers.adam(spec, 1000)
    return stable_diffusion.Diffusion(read, optimizer, spec, 32, 10), shapes_of(read, dtype)


def samples(diffusion, batch: int, dtype) -> Samples:
    side = diffusion.config.resolution // 8
    label = jnp.zeros(batch, jnp.int32)
    return Samples(jnp.zeros((batch, side, side, 8), dtype), label, label)


def step(resolution: int) -> None:
    dtype = jnp.dtype("float32")
    diffusion, shapes = generator_of(resolution, dtype, 2)
    constants, key = filled(shapes), keys.root_key(1)
    state = stable_diffusion.init(diffusion, shapes, key, jnp.int32(1))
    update = partial(stable_diffusion.update, diffusion)
    name = f"LoRA step at {resolution}, batch 1"
    timed(name, update, key, constants, state, samples(diffusion, 1, dtype))


# Counted, not run

DEVICES = {  # peak bfloat16 FLOP/s of a chip and bytes of its memory, as published
    "one H100 (SXM)": (989e12, 80e9, 1),
    "TPU v5e-8": (197e12, 16e9, 8),
}
SHARE = 0.35  # of the peak that is assumed


def lowered(function, *arguments):
    """Return a function lowered with the convolutions that accelerators get."""
    with mock.patch.object(jax, "default_backend", lambda: "gpu"):  # ops/convolution.py asks it
        return jax.jit(function).lower(*arguments)


def counted(function, *arguments) -> float:
    """Return the FLOPs of a function, lowered so."""
    return lowered(function, *arguments).cost_analysis()["flops"]


def flops(resolution: int) -> None:
    dtype, batch = jnp.dtype("bfloat16"), 2
    diffusion, shapes = generator_of(resolution, dtype, batch, remat=False)
    key = keys.root_key(0)
    state = jax.eval_shape(partial(stable_diffusion.init, diffusion, shapes), key, 1)
    image, label = jnp.zeros((1, 32, 32, 3), jnp.uint8), jnp.zeros(1, jnp.int32)
    side = resolution // 8
    x, text = jnp.zeros((1, side, side, 4)), jnp.zeros((1, TOKENS, WIDTH))
    unet = lambda p, x, t, text: diffusion.pipeline.unet.apply({"params": p}, x, t, text)  # noqa: E731
    decode = partial(stable_diffusion.decode, diffusion)
    update = partial(stable_diffusion.update, diffusion)
    once = counted(unet, shapes["unet"], x, label, text)
    parts = {
        "encode an image": counted(partial(stable_diffusion.encode, diffusion), shapes, image),
        "train on an image": counted(
            update, key, shapes, state, samples(diffusion, batch, dtype)
        ) / batch,
        "sample an image": 2 * 25 * once + counted(decode, shapes, x),
    }  # fmt: skip
    parts["train on an image"] += once  # blocks computed again for the gradient
    frozen = (f"{name} {bytes_of(shapes[name]) / GIB:.2f} GiB" for name in ("unet", "vae"))
    lora_mib, state_mib = (bytes_of(tree) / 2**20 for tree in (state.lora, state))
    print(f"\nLoRA: {lora_mib:.2f} MiB, with Adam {state_mib:.2f} MiB")
    print(f"Frozen, in bfloat16: {', '.join(frozen)}")
    print(f"One pass of the U-Net at {resolution}: {once / 1e12:.3f} TFLOP")
    print("\n| part | TFLOP |" + " seconds on {} |".format(" | seconds on ".join(DEVICES)))
    print("| --- | --- |" + " --- |" * len(DEVICES))
    for name, count in parts.items():
        rates = [peak * chips * SHARE for peak, _, chips in DEVICES.values()]
        seconds = " | ".join(f"{count / rate:.4f}" for rate in rates)
        print(f"| {name} | {count / 1e12:.2f} | {seconds} |")
    generation(parts)


def generation(parts: dict[str, float], real: int = 45_000, made: int = 15_000) -> None:
    """Print the hours of a generation of CIFAR's size: 5,000 steps of 16 images, one seed."""
    work = {
        "encode an image": made, "train on an image": 5000 * 16, "sample an image": made / 0.9,
    }  # fmt: skip
    total = sum(parts[name] * times for name, times in work.items())
    for device, (peak, _, chips) in DEVICES.items():
        rate = peak * chips * SHARE * 3600
        hours, first = total / rate, parts["encode an image"] * real / rate
        print(f"Estimate, {device} at {SHARE:.0%} of its peak: {hours:.2f} h a generation and seed")
        print(f"    and {first:.3f} h once for the {real} real images")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--parts", default="float32,bfloat16,step,flops")
    options = parser.parse_args()
    parts = options.parts.split(",")
    limit_arenas()  # as a run does
    if set(parts) - {"flops"}:
        heads = "part", "compile s", "run s", "temporaries GiB", "arguments GiB", "peak GiB"
        print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for part in parts:
        if part == "step":
            step(options.resolution)
        elif part == "flops":
            flops(512)
        else:
            forward(jnp.dtype(part), options.resolution)


if __name__ == "__main__":
    main()

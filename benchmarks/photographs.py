"""What the paper's experiments on photographs cost on accelerators: counted, not run.

    python -m benchmarks.photographs [--batch 32]

Prints two tables in Markdown. The first has a row a classifier: operations of a train step at
224x224 for each image, working memory of a step of `batch` images by the account of this machine's
compiler (float32), parameters with Adam's moments, and seconds of an epoch of 10,000 images at 35 %
of the published bfloat16 peak. The second has a row a data set: the images that each seed has on
the devices, and the hours of one generation of one seed, epochs as configured.
"""

import argparse

import jax
import jax.numpy as jnp

from benchmarks.stable_diffusion import DEVICES, GIB, SHARE, bytes_of, lowered
from configs import hard_imagenet
from jaxloop import classifiers, config, keys
from jaxloop.classifiers import training, updates
from jaxloop.devices import make_mesh
from jaxloop.filters import select

SIDE, NAMES = 224, ("alexnet", "vgg19", "resnet50", "mobilenet_v3_large", "deit_small")
EPOCH = 10_000  # images
# Training images: of ImageNet's 1,300 a class where all are taken, Hard ImageNet's as published.
SETS = {
    "hard_imagenet": 19_097,
    "living17": 68 * 1300,
    "nonliving26": 104 * 1300,
    "entity13": 260 * 1300,
    "entity30": 240 * 1300,
}
TRAIN, SAMPLE = 2.48e12, 42.03e12  # FLOP at 512, benchmarks/stable_diffusion.py --parts flops


def classifier(name: str, batch: int) -> tuple[float, int, int]:
    """Return the FLOPs of training on an image, bytes of a step and bytes of its state."""
    spec = config.resolve(hard_imagenet.get_config()).classifier
    mesh = make_mesh(1, jax.devices()[:1])
    trainer = training.create(
        classifiers.create(name, 15, spec.stem, spec.width), spec, SIDE, mesh, steps_per_epoch=1
    )
    image = jax.ShapeDtypeStruct((batch, SIDE, SIDE, 3), jnp.float32)
    label = jax.ShapeDtypeStruct((batch,), jnp.int32)
    variables = jax.eval_shape(
        lambda x: trainer.module.init(jax.random.key(0), x, train=False), image
    )
    moments = jax.eval_shape(trainer.optimizer.init, variables["params"])

    def step(key, variables, moments, image, label):
        return updates.update(trainer, key, variables, moments, image, label)

    given = keys.root_key(0), variables, moments, image, label
    program = lowered(step, *given)
    working = program.compile().memory_analysis().temp_size_in_bytes
    return program.cost_analysis()["flops"] / batch, working, bytes_of((variables, moments))


def data_set(name: str, num: int, flops: list[float]) -> str:
    """Return the row of a data set. flops: of the classifiers that are fine-tuned."""
    spec = config.resolve(hard_imagenet.get_config())
    real = round(num * (1 - spec.data.validation))
    generated, kept = select.quota(round(spec.loop.mix * real), spec.filter.drop, [1 / 15] * 15)
    each, generator = SIDE * SIDE * 3 / GIB, spec.generator
    images = real * each, sum(kept) * spec.loop.capacity * each, sum(generated) * each
    work = TRAIN * generator.max_steps * generator.batch_size + SAMPLE * sum(generated)
    steps = spec.classifier.epochs * real
    cells = [name, f"{num:,}", *(f"{gib:.1f}" for gib in images)]
    for peak, _, chips in DEVICES.values():
        rate = peak * chips * SHARE * 3600
        cells += [f"{work / rate:.1f} + {sum(flops) * steps / rate:.1f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    batch = parser.parse_args().batch
    heads = "classifier", "GFLOP an image", f"GiB of a step of {batch}", "GiB of the state"
    heads += tuple(f"s of {EPOCH:,} images, {device}" for device in DEVICES)
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    tuned = []
    for name in NAMES:
        flops, working, state = classifier(name, batch)
        tuned += [] if name == "alexnet" else [flops]
        seconds = (EPOCH * flops / (peak * n * SHARE) for peak, _, n in DEVICES.values())
        cells = f"{flops / 1e9:.2f}", f"{working / GIB:.2f}", f"{state / GIB:.2f}"
        print(f"| {name} | {' | '.join([*cells, *(f'{s:.2f}' for s in seconds)])} |", flush=True)
    heads = "data set", "training images", "real, GiB", "queue, GiB", "generated, GiB"
    heads += tuple(f"hours, {device}: generator + classifiers" for device in DEVICES)
    print(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for name, num in SETS.items():
        print(data_set(name, num, tuned), flush=True)


if __name__ == "__main__":
    main()

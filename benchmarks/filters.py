"""Time a filter's scoring of 10,000 images of 28x28, beside the generation that it is part of.

    python -m benchmarks.filters [--images 10000] [--rounds 5]

The networks are those of configs/mnist.py. The generation is underestimated: it counts the
generator's training of one seed alone, by the time of 100 steps, without the classifiers' training.
Prints medians over rounds in which all take turns.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from configs import mnist
from jaxloop import classifiers, config, filters, generators
from jaxloop.classifiers import training
from jaxloop.devices import make_mesh
from jaxloop.spec import Spec
from jaxloop.types import Samples

SIDE, CLASSES, STEPS = 28, 10, 100


def scorer(spec: Spec, name: str, expert: str, image: np.ndarray):
    """Return a function that scores all images once."""
    module = classifiers.create(name, CLASSES, spec.classifier.stem, spec.classifier.width)
    mesh = make_mesh(1, jax.devices()[:1])
    trainer = training.create(module, spec.classifier, SIDE, mesh, steps_per_epoch=1)
    variables = training.init(trainer, jax.random.key(0), None).best
    label = jnp.arange(len(image)) % CLASSES

    @jax.jit
    def score(variables, image):
        if filters.EXPERTS[expert].needs == filters.DROPOUT:
            key, passes = jax.random.key(1), spec.filter.passes
            logits = training.dropout_logits(trainer, key, variables, image, passes)
        else:
            logits = training.logits(trainer, variables, image)
        evidence = filters.Evidence(image, label, logits)
        return filters.EXPERTS[expert].score(jax.random.key(0), evidence)

    return lambda: score(variables, image)


def generator_steps(spec: Spec):
    """Return a function that trains STEPS steps."""
    generator = generators.create(spec.generator, CLASSES, SIDE, STEPS, jnp.float32)
    draw = np.random.default_rng(0)
    size = spec.generator.batch_size
    label = jnp.asarray(draw.integers(0, CLASSES, size), jnp.int32)
    batch = Samples(
        jnp.asarray(draw.integers(0, 256, (size, SIDE, SIDE, 3)), jnp.uint8), label, label
    )

    @jax.jit
    def steps(state):
        def step(i, state):
            return generator.update(jax.random.key(i), generator.constants, state, batch)[0]

        return jax.lax.fori_loop(0, STEPS, step, state)

    state = generator.init(jax.random.key(0), jnp.int32(1))
    return lambda: steps(state)


def seconds(function) -> float:
    began = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    spec = config.resolve(mnist.get_config())
    image = np.random.default_rng(0).integers(
        0, 256, (arguments.images, SIDE, SIDE, 3), dtype=np.uint8
    )
    pairs = [("lenet", "uncertainty"), ("alexnet", "uncertainty"), ("alexnet", "mc_dropout")]
    timed = {f"{expert} by {name}": scorer(spec, name, expert, image) for name, expert in pairs}
    timed["generator"] = generator_steps(spec)
    for function in timed.values():
        seconds(function)  # compiles
    rounds = [
        {name: seconds(function) for name, function in timed.items()}
        for _ in range(arguments.rounds)
    ]
    median = {name: statistics.median(one[name] for one in rounds) for name in timed}
    generation = median.pop("generator") * spec.generator.max_steps / STEPS
    print(f"generator, {spec.generator.max_steps:,} steps: {generation:.1f} s")
    for name, took in median.items():
        print(
            f"{name}, {arguments.images:,} images: {took:.2f} s, 1/{generation / took:.0f} of that"
        )


if __name__ == "__main__":
    main()

"""What a training step of a generator costs: recipes in alternation, in one process.

    python -m benchmarks.generator_steps dcgan edm flow edm:width=32 edm:patch=1 edm:lowering=banded

A recipe is a generator's name and fields of it; `image_size` and `classes` are fields too, and
`lowering` (patches | banded | winograd) computes every 3x3 convolution of stride 1 so. Prints a row
of Markdown for each: median milliseconds of processor time of a step, and the median of its ratios
to the first recipe's, round by round. Pin it to one core (taskset -c 0): threads add up.
"""

import argparse
import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.generators import values_of
from jaxloop import generators
from jaxloop.ops import convolution
from jaxloop.types import Samples

STEPS = 10  # in a call


def step_of(recipe: str):
    """Return a compiled function that takes STEPS steps."""
    name, _, given = recipe.partition(":")
    fields = values_of(given.split(","))
    size, num_classes = fields.pop("image_size", 16), fields.pop("classes", 10)
    chosen, lowering = convolution.choose, fields.pop("lowering", None)
    kind, create = generators.GENERATORS[name]
    config = kind(name=name, **fields)
    generator = create(config, num_classes, size, 2000, jnp.dtype("float32"))
    key, n = jax.random.key(0), config.batch_size
    state = jax.jit(generator.init)(key)  # one operation at a time it takes minutes
    image = jax.random.randint(key, (n, size, size, 3), 0, 256).astype(jnp.uint8)
    batch = Samples(image, jnp.arange(n) % num_classes, jnp.zeros(n, jnp.int32))

    def forced(shape, kernel, strides, padding) -> str:
        plain = kernel[:2] == (3, 3) and tuple(strides) == (1, 1)
        return lowering if plain else chosen(shape, kernel, strides, padding)

    @jax.jit
    def steps(state, batch):
        def body(i, state):
            step_key = jax.random.fold_in(key, i)
            return generator.update(step_key, generator.constants, state, batch)[0]

        return jax.lax.fori_loop(0, STEPS, body, state)

    with mock.patch.object(convolution, "choose", forced if lowering else chosen):
        compiled = steps.lower(state, batch).compile()
    return lambda: compiled(state, batch)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    built = [step_of(recipe) for recipe in options.recipes]
    times = np.zeros((options.rounds + 1, len(built)))
    for row in times:
        for i, run in enumerate(built):
            before = time.process_time()
            jax.block_until_ready(run())
            row[i] = (time.process_time() - before) / STEPS * 1e3
    times = times[1:]  # the first round warms up
    print("| recipe | ms a step | ratio |\n| --- | --- | --- |")
    for recipe, took in zip(options.recipes, times.T, strict=True):
        ratio = np.median(took / times[:, 0])
        print(f"| {recipe} | {np.median(took):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()

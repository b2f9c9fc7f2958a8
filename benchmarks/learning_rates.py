"""Which networks learn at which learning rate of Adam: the paper's 1e-1, and smaller ones.

    python benchmarks/learning_rates.py --path cifar10_folders [--width 0.125] [--steps 300]

Trains every network (small stem, batch 64, no augmentation) on a folder of own images (see configs/folder.py) for the same
number of steps at each rate, and prints the mean training loss of the last 20 steps and the accuracy on the test images.
Guessing gives a loss of log(classes) and an accuracy of 1 / classes. A loss that is not finite is printed as such.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloop import classifiers, config, data
from jaxloop.classifiers import training
from jaxloop.devices import in_batches
from jaxloop.ops.pixels import to_unit

RATES = (1e-1, 1e-2, 1e-3, 1e-4)
BATCH, LAST = 64, 20


def trainer(name: str, dataset, width: float, steps: int):
    """A jitted function of the learning rate -> (mean loss of the last steps, test accuracy). One compilation for all rates."""
    size, num_classes = dataset.train.image.shape[1], len(dataset.class_names)
    module = classifiers.create(name, num_classes, "small", width)
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=0.0)

    @jax.jit
    def train(rate, variables, moments, train, test):
        moments = moments._replace(hyperparams={"learning_rate": rate})

        def body(i, carry):
            variables, moments, late = carry
            key = jax.random.fold_in(jax.random.key(1), i)
            index = jax.random.randint(key, (BATCH,), 0, len(train.label))
            x, label = to_unit(train.image[index]), train.label[index]
            variables, moments, loss = training.step(
                module, optimizer, key, variables, moments, x, label
            )
            return variables, moments, late + jnp.where(i >= steps - LAST, loss / LAST, 0.0)

        variables, moments, late = jax.lax.fori_loop(0, steps, body, (variables, moments, 0.0))
        logits = in_batches(
            lambda x: module.apply(variables, to_unit(x), train=False), 250, test.image
        )
        return late, (logits.argmax(axis=-1) == test.label).mean()

    variables = jax.jit(
        lambda: module.init(jax.random.key(0), jnp.zeros((1, size, size, 3)), train=False)
    )()
    moments = optimizer.init(variables["params"])
    real, test = (jax.tree.map(jnp.asarray, part) for part in (dataset.train, dataset.test))
    return lambda rate: train(jnp.float32(rate), variables, moments, real, test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", required=True)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--names", default=",".join(classifiers.NAMES))
    arguments = parser.parse_args()
    dataset = data.load(config.Data(name="folder", path=arguments.path, image_size=32))
    classes = len(dataset.class_names)
    print(
        f"{arguments.steps} steps of {BATCH}, width {arguments.width:g}; guessing: {np.log(classes):.2f} / {1 / classes:.2f}"
    )
    print(
        "| network | " + " | ".join(f"{rate:g}" for rate in RATES) + " |",
        "| --- " * (1 + len(RATES)) + "|",
        sep="\n",
    )
    for name in arguments.names.split(","):
        start, cells = time.perf_counter(), []
        run = trainer(name, dataset, arguments.width, arguments.steps)
        for rate in RATES:
            loss, accuracy = run(rate)
            cells.append(
                f"{loss:.2f} / {accuracy:.2f}" if np.isfinite(loss) else f"{loss} / {accuracy:.2f}"
            )
        print(
            f"| {name} | " + " | ".join(cells) + f" | {time.perf_counter() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()

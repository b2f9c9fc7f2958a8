"""Compare learning rates of Adam, network by network: the paper's 1e-1, and smaller ones.

    python benchmarks/learning_rates.py --path cifar10_folders [--width 0.125] [--steps 300]

Trains every network (small stem, batch 64, no augmentation) on a folder of images (the layout is in
configs/folder.py) for the same number of steps at each rate. Prints the mean training loss of the
last 20 steps and the test accuracy. Guessing gives a loss of log(classes) and an accuracy of
1 / classes. A loss that is not finite is printed as such.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloop import classifiers, data, spec
from jaxloop.classifiers import training, updates
from jaxloop.devices import in_batches, make_mesh
from jaxloop.ops.pixels import to_unit

RATES = (1e-1, 1e-2, 1e-3, 1e-4)
BATCH, LAST = 64, 20


def trained(name: str, dataset, width: float, steps: int):
    """Return a function: learning rate -> (mean loss of the last steps, test accuracy).

    It compiles once for all rates.
    """
    size, num_classes = dataset.train.image.shape[1], len(dataset.class_names)
    module = classifiers.create(name, num_classes, "small", width)
    mesh = make_mesh(1, jax.devices()[:1])
    fixed = training.create(module, spec.Classifier(), size, mesh, steps_per_epoch=steps)
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=0.0)
    trainer = fixed._replace(optimizer=optimizer)

    @jax.jit
    def train(rate, variables, moments, train, test):
        moments = moments._replace(hyperparams={"learning_rate": rate})

        def body(i, carry):
            variables, moments, late = carry
            key = jax.random.fold_in(jax.random.key(1), i)
            index = jax.random.randint(key, (BATCH,), 0, len(train.label))
            x, label = to_unit(train.image[index]), train.label[index]
            variables, moments, loss, _ = updates.update(trainer, key, variables, moments, x, label)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", required=True)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--names", default=",".join(classifiers.NAMES))
    arguments = parser.parse_args()
    dataset = data.load(spec.Data(name="folder", path=arguments.path, image_size=32))
    classes = len(dataset.class_names)
    print(f"{arguments.steps} steps of {BATCH}, width {arguments.width:g}; ", end="")
    print(f"guessing: {np.log(classes):.2f} / {1 / classes:.2f}")
    print(
        "| network | " + " | ".join(f"{rate:g}" for rate in RATES) + " |",
        "| --- " * (1 + len(RATES)) + "|",
        sep="\n",
    )
    for name in arguments.names.split(","):
        start, cells = time.perf_counter(), []
        run = trained(name, dataset, arguments.width, arguments.steps)
        for rate in RATES:
            loss, accuracy = run(rate)
            cells.append(f"{loss:.2f} / {accuracy:.2f}")
        seconds = time.perf_counter() - start
        print(" | ".join([f"| {name}", *cells]) + f" | {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()

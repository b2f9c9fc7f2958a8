"""Time train steps of the classifiers beside the same networks in PyTorch, alternately in one run.

    python benchmarks/classifiers.py [--names lenet,alexnet] [--batch 64] [--rounds 5]

Prints medians over rounds, per network:
  torch ms      a train step in PyTorch
  step ms       a train step in JAX, called step by step
  in loop ms    the same inside a compiled loop, where an epoch runs it
  torch / loop  above 1: the loop is faster than PyTorch
  loop / step   above 1: the loop is slower than single calls

Needs torch (its CPU build is enough) beside jaxloop.
"""

import argparse
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch_networks import NETWORKS

from jaxloop import classifiers, spec
from jaxloop.classifiers import training, updates
from jaxloop.devices import make_mesh
from jaxloop.ops.pixels import to_unit

SIDE = {"lenet": 28, "alexnet": 32, "vgg19": 32, "resnet50": 32}
CLASSES, LEARNING_RATE = 10, 1e-3
SECONDS = 1.5  # the least time of each side in a round


def torch_step(name: str, image: np.ndarray, label: np.ndarray):
    """Return a function of n that trains n steps, and the number of parameters."""
    module = NETWORKS[name](CLASSES).train()
    x = torch.from_numpy(image).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    y = torch.from_numpy(label).long()
    module(x)  # sets the shape of lazy layers
    optimizer = torch.optim.Adam(module.parameters(), LEARNING_RATE)

    def steps(n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()

    return steps, sum(p.numel() for p in module.parameters())


def jax_steps(name: str, image: np.ndarray, label: np.ndarray):
    """Return the same step by step, the same in a compiled loop, and the number of parameters."""
    module = classifiers.create(name, CLASSES, "small")
    variables = module.init(jax.random.key(0), jnp.zeros((1, *image.shape[1:])), train=False)
    kind = spec.Classifier(learning_rate=LEARNING_RATE)
    mesh = make_mesh(1, jax.devices()[:1])
    trainer = training.create(module, kind, SIDE[name], mesh, steps_per_epoch=1)
    moments = trainer.optimizer.init(variables["params"])
    images, labels = jnp.asarray(image), jnp.asarray(label)

    def one(i, variables, moments):
        key = jax.random.fold_in(jax.random.key(1), i)
        return updates.update(trainer, key, variables, moments, to_unit(images), labels)[:2]

    step = jax.jit(one, donate_argnums=(1, 2))

    @partial(jax.jit, donate_argnums=(1, 2))
    def loop(n, v, m):
        return jax.lax.fori_loop(0, n, lambda i, carry: one(i, *carry), (v, m))

    state = {"step": jax.tree.map(jnp.copy, (variables, moments)), "loop": (variables, moments)}

    def by_step(n: int) -> None:
        for i in range(n):
            state["step"] = step(i, *state["step"])
        jax.block_until_ready(state["step"])

    def in_loop(n: int) -> None:
        state["loop"] = jax.block_until_ready(loop(n, *state["loop"]))

    return by_step, in_loop, sum(p.size for p in jax.tree.leaves(variables["params"]))


def seconds(steps, n: int) -> float:
    start = time.perf_counter()
    steps(n)
    return (time.perf_counter() - start) / n


def measure(name: str, batch: int, rounds: int) -> str:
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (batch, SIDE[name], SIDE[name], 3), dtype=np.uint8)
    label = draw.integers(0, CLASSES, batch, dtype=np.int32)
    torch_steps, torch_size = torch_step(name, image, label)
    by_step, in_loop, size = jax_steps(name, image, label)
    assert size == torch_size, f"{name}: {size:,} parameters here, {torch_size:,} in torch"
    sides = (torch_steps, by_step, in_loop)
    for steps in sides:
        steps(2)
    counts = [max(2, round(SECONDS / seconds(steps, 2))) for steps in sides]
    times = [
        [seconds(steps, n) for steps, n in zip(sides, counts, strict=True)] for _ in range(rounds)
    ]
    cells = [f"{1e3 * statistics.median(column):.1f}" for column in zip(*times, strict=True)]
    for numerator, denominator in ((0, 2), (2, 1)):
        cells.append(f"{statistics.median(row[numerator] / row[denominator] for row in times):.2f}")
    return " | ".join([f"| {name}", str(SIDE[name]), *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", default=",".join(NETWORKS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"batch {arguments.batch}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, jax {jax.__version__}")
    print(
        "| network | side | torch ms | step ms | in loop ms | torch / loop | loop / step |",
        "| --- " * 7 + "|",
        sep="\n",
    )
    for name in arguments.names.split(","):
        print(measure(name, arguments.batch, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()

"""Train steps of the classifiers beside the same networks in PyTorch, timed alternately in one run.

    python benchmarks/classifiers.py [--names lenet,alexnet,vgg19,resnet50] [--batch 64] [--rounds 5]

Prints, per network, the medians over rounds of: torch's step, our step called step by step, our step inside a compiled loop
(where an epoch runs it), and two ratios: torch / ours in the loop (1 = as fast as torch, more = faster), and ours in the loop /
ours step by step (more than 1 = the loop is slower). Needs torch (the CPU build will do) beside jaxloop.
"""

import argparse
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch_networks import NETWORKS

from jaxloop import classifiers
from jaxloop.classifiers import training
from jaxloop.ops.pixels import to_unit

SIDE = {"lenet": 28, "alexnet": 32, "vgg19": 32, "resnet50": 32}
CLASSES, LEARNING_RATE = 10, 1e-3
SECONDS = 1.5  # at least this long is timed in a round, for each side


def torch_step(name: str, image: np.ndarray, label: np.ndarray):
    """A function of n that trains n steps."""
    module = NETWORKS[name](CLASSES).train()
    x = torch.from_numpy(image).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    y = torch.from_numpy(label).long()
    module(x)  # lazy layers take their shape
    optimizer = torch.optim.Adam(module.parameters(), LEARNING_RATE)

    def steps(n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()

    return steps, sum(p.numel() for p in module.parameters())


def our_steps(name: str, image: np.ndarray, label: np.ndarray):
    """The same, once step by step and once inside a compiled loop."""
    module = classifiers.create(name, CLASSES, "small")
    variables = module.init(jax.random.key(0), jnp.zeros((1, *image.shape[1:])), train=False)
    optimizer = optax.adam(LEARNING_RATE)
    moments = optimizer.init(variables["params"])
    image, label = jnp.asarray(image), jnp.asarray(label)

    def one(i, variables, moments):
        key = jax.random.fold_in(jax.random.key(1), i)
        return training.step(module, optimizer, key, variables, moments, to_unit(image), label)[:2]

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
    theirs, their_size = torch_step(name, image, label)
    by_step, in_loop, size = our_steps(name, image, label)
    assert size == their_size, f"{name}: {size:,} parameters here, {their_size:,} in torch"
    sides = (theirs, by_step, in_loop)
    for steps in sides:
        steps(2)
    counts = [max(2, round(SECONDS / seconds(steps, 2))) for steps in sides]
    times = [
        [seconds(steps, n) for steps, n in zip(sides, counts, strict=True)] for _ in range(rounds)
    ]
    torch_ms, step_ms, loop_ms = (
        1e3 * statistics.median(column) for column in zip(*times, strict=True)
    )
    ratio = statistics.median(row[0] / row[2] for row in times)
    slower = statistics.median(row[2] / row[1] for row in times)
    return f"| {name} | {SIDE[name]} | {torch_ms:.1f} | {step_ms:.1f} | {loop_ms:.1f} | {ratio:.2f} | {slower:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", default=",".join(NETWORKS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"batch {arguments.batch}, {torch.get_num_threads()} threads, torch {torch.__version__}, jax {jax.__version__}"
    )
    print(
        "| network | side | torch ms | step ms | in loop ms | torch / loop | loop / step |",
        "| --- " * 7 + "|",
        sep="\n",
    )
    for name in arguments.names.split(","):
        print(measure(name, arguments.batch, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()

"""Time each lowering of a convolution on the CPU: the basis of `jaxloop.ops.convolution.choose`.

    python benchmarks/convolutions.py [--batch 64] [--rounds 5]

Prints, per shape, milliseconds of the forward pass and both gradients inside a compiled loop, where
training runs them: medians of rounds in which the lowerings take turns. The chosen one is in bold.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import jax

from jaxloop.ops import convolution, lowerings, winograd

# (side, kernel, channels in, channels out) at stride 1, of LeNet, AlexNet, VGG-19 and ResNet-50 on
# small images.
SHAPES = (
    (28, 5, 3, 6), (14, 5, 6, 16), (32, 3, 3, 64), (32, 3, 16, 16), (32, 3, 64, 64),
    (16, 3, 64, 192), (16, 3, 128, 128), (8, 3, 256, 256), (4, 3, 128, 128), (4, 3, 512, 512),
    (2, 3, 512, 512), (1, 3, 512, 512),
)  # fmt: skip
STEPS = 4


def candidates(side: int, kernel: int, c: int, o: int) -> dict:
    """Return the lowerings to time, by name: others take minutes, or do not apply."""
    convolutions: dict[str, Callable] = {
        "patches": lambda x, w, padding: lowerings.patches(x, w, (1, 1), padding)
    }
    if kernel == 3:
        convolutions["winograd"] = winograd.convolve
    if side <= 4:
        convolutions["dense"] = lowerings.dense
    if side * max(c, o) <= 512:
        convolutions["banded"] = lowerings.banded
    return convolutions


def in_loop(convolve, padding):
    """Return a jitted function: STEPS times forward and back, each from the last one's result."""

    @jax.jit
    def run(image, kernel, gradient):
        def body(_, carry):
            image, kernel, gradient = carry
            value, pull = jax.vjp(lambda x, w: convolve(x, w, padding), image, kernel)
            d_image, d_kernel = pull(gradient)
            return image + 1e-9 * d_image, kernel + 1e-9 * d_kernel, gradient + 1e-9 * value

        return jax.lax.fori_loop(0, STEPS, body, (image, kernel, gradient))

    return run


def measure(side: int, kernel: int, c: int, o: int, batch: int, rounds: int) -> str:
    draw = partial(jax.random.normal, jax.random.key(0))
    arrays = (
        draw((batch, side, side, c)),
        draw((kernel, kernel, c, o)),
        draw((batch, side, side, o)),
    )
    padding = ((kernel // 2, kernel // 2),) * 2
    times: dict[str, list[float]] = {}
    runs = {name: in_loop(f, padding) for name, f in candidates(side, kernel, c, o).items()}
    for i in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(run(*arrays))
            if i:  # the first compiles
                times.setdefault(name, []).append(1e3 * (time.perf_counter() - start) / STEPS)
    chosen = convolution.choose(arrays[0].shape, arrays[1].shape, (1, 1), padding)
    cells = []
    for name in ("patches", "winograd", "dense", "banded"):
        cell = f"{statistics.median(times[name]):.1f}" if name in times else ""
        cells.append(f"**{cell}**" if name == chosen else cell)
    return f"| {kernel}x{kernel}, {c} -> {o} at {side} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| convolution | patches | winograd | dense | banded |", "| --- " * 5 + "|", sep="\n")
    for shape in SHAPES:
        print(measure(*shape, arguments.batch, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()

"""Time the ablations of Hard ImageNet on the CPU against a plain NumPy reading of them.

    python -m benchmarks.ablations [--images 1000] [--read 8]

Prints, per ablation, seconds per 1,000 images of 224x224: compiled (the median of 3 calls, after
one that compiles), and read, pixel by pixel. The reading is timed on the first --read of the same
images and scaled. The masks are one to three ellipses and some specks, as JPEG leaves them.
`taskset -c 0` before it compares on one core.

The reading is also what the tests compare with: it shares nothing with `jaxloop.metrics.ablations`.
"""

import argparse
import statistics
import time
from collections import deque
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics.ablations import ABLATIONS

SIDE, SPECKS, ROUNDS = 224, 1e-4, 3

# The reading: image [h w 3], mask [h w] -> image.


def read_gray_object(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = image.copy()
    for row in range(len(mask)):
        for column in range(len(mask[0])):
            if mask[row, column]:
                out[row, column] = 0.5
    return out


def read_gray_box(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = image.copy()
    pixels = [(r, c) for r in range(len(mask)) for c in range(len(mask[0])) if mask[r, c]]
    if pixels:
        top, bottom, left, right = box_around(pixels)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                out[row, column] = 0.5
    return out


def read_tile_box(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Go through the boxes by their first pixels; a pixel that was filled stays."""
    boxes = [box_around(pixels) for pixels in read_components(mask)]
    out, filled = image.copy(), np.zeros(mask.shape, bool)
    for k, (top, bottom, left, right) in enumerate(boxes):
        others = boxes[:k] + boxes[k + 1 :]
        rows, columns = read_source(boxes[k], others, mask.shape)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if not filled[row, column]:
                    filled[row, column] = True
                    source = congruent(row, rows), congruent(column, columns)
                    out[row, column] = image[source] if rows and columns else 0.5
    return out


READINGS = {"gray_object": read_gray_object, "gray_box": read_gray_box, "tile_box": read_tile_box}


def box_around(pixels: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    rows, columns = [row for row, _ in pixels], [column for _, column in pixels]
    return min(rows), max(rows), min(columns), max(columns)


def read_components(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the pixels of every 4-connected component, by the first pixel: a breadth-first
    search."""
    (h, w), seen, found = mask.shape, np.zeros(mask.shape, bool), []
    for start in ((r, c) for r in range(h) for c in range(w)):
        if not mask[start] or seen[start]:
            continue
        seen[start], queue, pixels = True, deque([start]), []
        while queue:
            row, column = queue.popleft()
            pixels.append((row, column))
            for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                r, c = row + down, column + right
                if 0 <= r < h and 0 <= c < w and mask[r, c] and not seen[r, c]:
                    seen[r, c] = True
                    queue.append((r, c))
        found.append(pixels)
    return found


def read_source(box, others, shape) -> tuple[list[int], list[int]]:
    """Return the rows and the columns that a box is filled from; of none, empty lists."""
    top, bottom, left, right = box
    rows, columns = list(range(top, bottom + 1)), list(range(left, right + 1))
    height, width = len(rows), len(columns)

    def free(row: int, column: int) -> bool:
        in_frame = 0 <= row < shape[0] and 0 <= column < shape[1]
        return in_frame and not any(
            t <= row <= b and first <= column <= last for t, b, first, last in others
        )

    def kept(lines, is_free: Callable[[int], bool]) -> list[int]:
        """Go away from the box until a line has a pixel that is not free."""
        part = []
        for line in lines:
            if not is_free(line):
                break
            part.append(line)
        return sorted(part)

    def row_is_free(row: int) -> bool:
        return all(free(row, column) for column in columns)

    def column_is_free(column: int) -> bool:
        return all(free(row, column) for row in rows)

    parts = [
        (kept(range(top - 1, top - 1 - height, -1), row_is_free), columns),
        (kept(range(bottom + 1, bottom + 1 + height), row_is_free), columns),
        (rows, kept(range(left - 1, left - 1 - width, -1), column_is_free)),
        (rows, kept(range(right + 1, right + 1 + width), column_is_free)),
    ]
    return max(parts, key=lambda part: len(part[0]) * len(part[1]))  # the first of equals


def congruent(place: int, lines: list[int]) -> int:
    """Return the one of consecutive lines that is a whole number of their lengths away."""
    return next((line for line in lines if (place - line) % len(lines) == 0), -1)


# The images.


def simulated(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images float32 [n SIDE SIDE 3] of noise, and masks bool of ellipses and specks."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE]
    masks = rng.random((number, SIDE, SIDE)) < SPECKS
    for mask in masks:
        for _ in range(rng.integers(1, 4)):
            (y, x), (height, width) = rng.uniform(30, SIDE - 30, 2), rng.uniform(15, 60, 2)
            mask |= ((row - y) / height) ** 2 + ((column - x) / width) ** 2 < 1
    return rng.random((number, SIDE, SIDE, 3), np.float32), masks


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--read", type=int, default=8)
    arguments = parser.parse_args()
    images, masks = simulated(arguments.images)
    on_device = jnp.asarray(images), jnp.asarray(masks)
    number_read = min(arguments.read, arguments.images)
    counts = [len(read_components(mask)) for mask in masks[:number_read]]
    print(f"Components of an image: {statistics.mean(counts):.1f} (mean), {max(counts)} (most)\n")
    print("| seconds per 1,000 images | compiled | read | ratio |", "| --- " * 4 + "|", sep="\n")
    for name, ablate in ABLATIONS.items():
        jax.block_until_ready(ablate(*on_device))
        times = [seconds(lambda: ablate(*on_device)) for _ in range(ROUNDS)]  # noqa: B023
        read = READINGS[name]
        pairs = list(zip(images[:number_read], masks[:number_read], strict=True))
        slow = 1e3 * seconds(lambda: [read(*pair) for pair in pairs]) / number_read  # noqa: B023
        fast = 1e3 * statistics.median(times) / arguments.images
        print(f"| {name} | {fast:.2f} | {slow:.1f} | {slow / fast:.0f} |", flush=True)


if __name__ == "__main__":
    main()

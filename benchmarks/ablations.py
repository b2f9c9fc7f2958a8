"""The three ablations of Hard ImageNet against a plain reading of what they are meant to do.

    python -m benchmarks.ablations [--images 1000] [--read 20]

Prints a row of Markdown each: seconds for so many images of 224x224, compiled, median of three; of
the reading in NumPy and loops, on --read of the same images, scaled; and their ratio. Masks are
one to three ellipses with a few specks. tests/metrics/test_ablations.py compares with the reading.
"""

import argparse
import statistics
import time
from collections import deque

import jax
import numpy as np

from jaxloop.metrics.ablations import ABLATIONS

SIDE = 224
Box = tuple[int, int, int, int]  # first and last row, first and last column


def gray_object(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = image.copy()
    for y, x in np.argwhere(mask):
        out[y, x] = 0.5
    return out


def gray_box(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    out = image.copy()
    if mask.any():
        top, bottom, left, right = box_of(np.argwhere(mask))
        out[top : bottom + 1, left : right + 1] = 0.5
    return out


def tile_box(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill the box of each component with the largest region beside it, repeated."""
    out, done = image.copy(), np.zeros_like(mask)
    parts = components(mask)
    for part in parts:
        others = {pixel for other in parts if other is not part for pixel in other}
        box = box_of(np.array(part))
        source = beside(image, box, others)
        top, bottom, left, right = box
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if done[y, x]:
                    continue
                done[y, x] = True
                inner = (y - top, x - left)
                out[y, x] = (
                    0.5 if source is None else source[tuple(np.mod(inner, source.shape[:2]))]
                )
    return out


def components(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the pixels of each 4-connected component, by its first pixel in order of rows."""
    seen, parts = set(), []
    for start in map(tuple, np.argwhere(mask)):
        if start in seen:
            continue
        seen.add(start)
        waiting, part = deque([start]), []
        while waiting:
            y, x = waiting.popleft()
            part.append((y, x))
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]
                if inside and mask[near] and near not in seen:
                    seen.add(near)
                    waiting.append(near)
        parts.append(part)
    return parts


def box_of(pixels: np.ndarray) -> Box:
    (top, left), (bottom, right) = pixels.min(axis=0), pixels.max(axis=0)
    return int(top), int(bottom), int(left), int(right)


def beside(image: np.ndarray, box: Box, others: set) -> np.ndarray | None:
    """Return the largest region beside a box, of at most its size, that no other object cuts."""
    top, bottom, left, right = box
    rows, columns = range(top, bottom + 1), range(left, right + 1)
    above = [range(y, top) for y in range(top)][-len(rows) :]
    below = [range(bottom + 1, y + 1) for y in range(bottom + 1, image.shape[0])][: len(rows)]
    before = [range(x, left) for x in range(left)][-len(columns) :]
    after = [range(right + 1, x + 1) for x in range(right + 1, image.shape[1])][: len(columns)]
    regions = [(r, columns) for r in sorted(above, key=len)] + [(r, columns) for r in below]
    regions += [(rows, c) for c in sorted(before, key=len)] + [(rows, c) for c in after]
    best, area = None, 0
    for ys, xs in regions:
        if len(ys) * len(xs) > area and not others & {(y, x) for y in ys for x in xs}:
            best, area = (ys, xs), len(ys) * len(xs)
    if best is None:
        return None
    ys, xs = best
    return image[ys.start : ys.stop, xs.start : xs.stop]


READING = {"gray_object": gray_object, "gray_box": gray_box, "tile_box": tile_box}


def drawn(num: int, side: int = SIDE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images float32 [n s s 3] and masks of ellipses and specks, bool [n s s]."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    masks = np.zeros((num, side, side), bool)
    for mask in masks:
        for _ in range(draw.integers(1, 4)):
            (cy, cx), (ry, rx) = draw.uniform(0, side, 2), draw.uniform(side / 20, side / 4, 2)
            mask |= ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        mask[tuple(draw.integers(0, side, (2, 3)))] = True
    return draw.random((num, side, side, 3), np.float32), masks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--read", type=int, default=20)
    options = parser.parse_args()
    images, masks = drawn(options.images)
    heads = "ablation", "seconds", "reading, seconds", "ratio"
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name, ablation in ABLATIONS.items():
        compiled = jax.jit(ablation)
        jax.block_until_ready(compiled(images, masks))
        seconds = []
        for _ in range(3):
            begin = time.monotonic()
            jax.block_until_ready(compiled(images, masks))
            seconds.append(time.monotonic() - begin)
        begin = time.monotonic()
        for image, mask in zip(images[: options.read], masks[: options.read], strict=True):
            READING[name](image, mask)
        reading = (time.monotonic() - begin) * options.images / options.read
        median = statistics.median(seconds)
        print(f"| {name} | {median:.2f} | {reading:.1f} | {reading / median:.0f} |", flush=True)


if __name__ == "__main__":
    main()

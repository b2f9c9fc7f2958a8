"""Time the Fréchet distance beside NumPy and SciPy, features in, distance out, alternately.

    python benchmarks/frechet.py [--rounds 3]

SciPy's side is the usual program: np.cov of float64 features, and scipy.linalg.sqrtm of the product
of the covariances. The other side starts once from the features and once from float32 moments; the
time of gathering these counts. Prints, per shape and spectrum (standard deviation of direction i of
d): median seconds over rounds, the ratio SciPy / ours (above 1: ours is faster), and the relative
error against the singular values of the factors in float64, which are exact to rounding. A round of
a row takes about fifteen seconds on two cores.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np
import scipy.linalg

from jaxloop.metrics import frechet, moments

# (images, features, standard deviations): slow decay, decay as of networks' features, S singular.
ROWS = ((10_000, 2_048, "exp(-3i/d)"), (10_000, 2_048, "1/(i+1)"), (1_000, 2_048, "1/(i+1)"))


def features(images: int, size: int, spectrum: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two float32 sets, the second wider and shifted, rotated off the feature axes."""
    draw = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(draw.normal(size=(size, size)))
    i = np.arange(size)
    scale = {"exp(-3i/d)": np.exp(-3 * i / size), "1/(i+1)": 1 / (i + 1)}[spectrum]
    a, b = ((draw.normal(size=(images, size)) * scale) @ rotation for _ in range(2))
    return a.astype(np.float32), (1.1 * b + 0.01).astype(np.float32)


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    """Return eq. (1) as printed; where its root is not finite, with 1e-6 added to the diagonals."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b)
    if not np.isfinite(root).all():
        ridge = 1e-6 * np.eye(len(cov_a))
        root = scipy.linalg.sqrtm((cov_a + ridge) @ (cov_b + ridge))
    squared = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return squared + np.trace(cov_a + cov_b) - 2 * np.trace(root).real


def by_moments(a: np.ndarray, b: np.ndarray) -> float:
    return frechet.from_moments(moments.from_batch(a), moments.from_batch(b))


def reference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance by the sum of the singular values of A B^T, without squares."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    factors = [
        np.asarray(np.linalg.qr((x - x.mean(axis=0)) / np.sqrt(len(x) - 1), mode="r"))
        for x in (a, b)
    ]
    squared = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + sum(np.sum(r**2) for r in factors)
    return squared - 2 * np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()


def measure(images: int, size: int, spectrum: str, rounds: int) -> str:
    a, b = features(images, size, spectrum)
    sides: list[Callable] = [by_scipy, frechet.frechet_distance, by_moments]
    by_moments(a, b)  # compiles
    times, values = [], []
    for _ in range(rounds):
        times.append([])
        values.clear()
        for side in sides:
            start = time.perf_counter()
            values.append(side(a, b))
            times[-1].append(time.perf_counter() - start)
    seconds = [statistics.median(column) for column in zip(*times, strict=True)]
    ratios = [statistics.median(row[0] / row[i] for row in times) for i in (1, 2)]
    exact = reference(a, b)
    cells = [f"{x:.2f}" for x in seconds] + [f"{x:.1f}" for x in ratios]
    cells += [f"{abs(value / exact - 1):.0e}" for value in values]
    return f"| {images:,} x {size:,}, {spectrum} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, scipy {scipy.__version__}, ", end="")
    print(f"jax {jax.__version__} on {jax.default_backend()}")
    print(
        "| images x features, deviations | scipy s | ours s | moments s | scipy / ours "
        "| scipy / moments | error: scipy | ours | moments |",
        "| --- " * 9 + "|",
        sep="\n",
    )
    for row in ROWS:
        print(measure(*row, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()

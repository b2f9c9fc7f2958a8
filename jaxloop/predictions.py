"""predictions/gNN.npz: what every classifier predicted of every test image in one generation.

Arrays `label` and `group`, int [n], of the test set, and for each classifier int [S n], seeds in
the order of the configuration; a row of DIVERGED or of PENDING predicts nothing. NAME/ABLATION is
what it predicted of ablated images. Every measure of a classifier can be made again from them.
"""

import io
import re
from pathlib import Path

import numpy as np

from jaxloop.errors import refusing
from jaxloop.files import write_atomic

DIVERGED = -1
PENDING = -2  # a seed that was added and is not measured yet

_NAME = re.compile(r"g(\d+)\.npz")


def path_of(workdir: Path, generation: int) -> Path:
    return workdir / "predictions" / f"g{generation:02d}.npz"


def ablated(name: str, ablation: str) -> str:
    """Return the key of what a classifier predicted of images after an ablation."""
    return f"{name}/{ablation}"


def read(workdir: Path, num_seeds: int) -> dict[int, dict[str, np.ndarray]]:
    """Return the arrays by generation, ascending, with at least `num_seeds` rows a classifier.

    Raises InputError where a file cannot be read.
    """
    arrays = {}
    for path in (workdir / "predictions").glob("g*.npz"):
        if match := _NAME.fullmatch(path.name):
            arrays[int(match[1])] = {
                name: array if array.ndim == 1 else _padded(array, num_seeds)
                for name, array in _load(path).items()
            }
    return dict(sorted(arrays.items()))


def write(
    path: Path, first: int, num_seeds: int, by_name: dict[str, np.ndarray], **images: np.ndarray
) -> None:
    """Write one generation; rows of other seeds that the file has stay as they are.

    Args:
      first: the row of the file at which those of `by_name` begin.
      num_seeds: of the whole run: with all of them the file that is there is not read.
      by_name: int [S n], a classifier's rows.
      images: `label` and `group`, int [n].
    """
    others = any(len(new) < num_seeds for new in by_name.values())
    before, arrays = _load(path) if others and path.exists() else {}, {}
    for name, new in by_name.items():
        arrays[name] = _padded(before.get(name, new[:0]), first + len(new))
        arrays[name][first : first + len(new)] = new
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays, **images)
    write_atomic(path, content.getvalue())


def _padded(rows: np.ndarray, num: int) -> np.ndarray:
    """Return a copy of int [S n] with PENDING rows, so that there are at least `num`."""
    missing = np.full((max(num - len(rows), 0), rows.shape[1]), PENDING, rows.dtype)
    return np.concatenate([rows, missing])


def _load(path: Path) -> dict[str, np.ndarray]:
    with refusing(path.name, str(path), "predictions that a run wrote"), np.load(path) as file:
        return dict(file)

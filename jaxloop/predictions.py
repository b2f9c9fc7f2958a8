"""predictions/gNN.npz: what every classifier predicted of every test image in one generation.

Arrays `label` and `group`, int [n], of the test set, and for each classifier int [S n], seeds in
the order of the configuration; a row of DIVERGED or of PENDING predicts nothing. Every measure of a
classifier can be made again from them.
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


def read(workdir: Path, num_seeds: int) -> dict[int, dict[str, np.ndarray]]:
    """Return the arrays by generation, ascending, with at least `num_seeds` rows a classifier.

    Raises InputError where a file cannot be read.
    """
    arrays = {}
    for path in (workdir / "predictions").glob("g*.npz"):
        if match := _NAME.fullmatch(path.name):
            arrays[int(match[1])] = {
                name: array if array.ndim == 1 else with_rows(array, num_seeds)
                for name, array in _load(path).items()
            }
    return dict(sorted(arrays.items()))


def write(path: Path, first: int, by_name: dict[str, np.ndarray], **images: np.ndarray) -> None:
    """Write one generation; rows of other seeds that the file has stay as they are.

    by_name: int [S n], a classifier's rows, which begin at row `first` of the file's.
    images: `label` and `group`, int [n].
    """
    before = _load(path) if path.exists() else {}
    arrays = {
        name: with_rows(before.get(name, new[:0]), first + len(new), first, new)
        for name, new in by_name.items()
    }
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays, **images)
    write_atomic(path, content.getvalue())


def with_rows(
    before: np.ndarray, num: int, first: int = 0, new: np.ndarray | None = None
) -> np.ndarray:
    """Return `before` with at least `num` rows, those from `first` on `new`; else PENDING."""
    rows = np.full((max(len(before), num), before.shape[1]), PENDING, before.dtype)
    rows[: len(before)] = before
    if new is not None:
        rows[first : first + len(new)] = new
    return rows


def _load(path: Path) -> dict[str, np.ndarray]:
    with refusing(path.name, str(path), "predictions that a run wrote"), np.load(path) as file:
        return dict(file)

"""Files that a generation leaves for people: sample grids and the provenance of every generated image."""

import io
import json
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from jaxloop.devices import unstack
from jaxloop.files import write_atomic
from jaxloop.loop.generation import Parts
from jaxloop.loop.state import LoopState, Pending

GRID_COLUMNS = 10
GRID_SIDE = 28  # pixels, at least, of one picture in a grid: small ones are enlarged by a whole factor


def write(parts: Parts, state: LoopState, workdir: Path) -> None:
    """Writes samples/gNN_sS.png and provenance/gNN_sS.jsonl of the generation that was just made, for every seed."""
    generation = state.cursor.generation
    for seed, pending, diverged in zip(
        parts.spec.seeds, unstack(state.pending), np.asarray(state.generator_diverged), strict=True
    ):
        name = f"g{generation:02d}_s{seed}"
        pending = jax.tree.map(np.asarray, pending)
        picture = grid(shown_by_class(pending, parts.num_classes))
        write_atomic(workdir / "samples" / f"{name}.png", picture)
        lines = provenance(pending, generation, seed, parts.spec.filter.name, bool(diverged))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_atomic(workdir / "provenance" / f"{name}.jsonl", text.encode())


def shown_by_class(pending: Pending, num_classes: int) -> np.ndarray:
    """The first kept images of every class, a class a row: uint8 [num_classes columns h w c]. Host arrays in `pending`."""
    label = pending.samples.label[pending.kept_index]
    by_class = pending.kept_index[np.argsort(label, kind="stable")].reshape(num_classes, -1)
    return pending.samples.image[by_class[:, :GRID_COLUMNS]]


def grid(image: np.ndarray) -> bytes:
    """PNG of uint8 [rows columns h w c], without a gap; small pictures enlarged by a whole factor."""
    rows, columns, h, w, c = image.shape
    tiles = image.transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)
    factor = -(-GRID_SIDE // h)
    out = io.BytesIO()
    Image.fromarray(tiles.repeat(factor, axis=0).repeat(factor, axis=1)).save(out, format="png")
    return out.getvalue()


def provenance(pending: Pending, generation: int, seed: int, filter_name: str, diverged: bool):
    """One line a generated image: where it comes from, what the filter said, and what became of it."""
    best, worst = f"among the best of its class by {filter_name}", f"among the worst of its class by {filter_name}"
    if pending.lost:
        best = worst = "a random choice: the classifier that scores diverged"
    if diverged:
        best = worst = "the generator diverged"
    for index, kept in enumerate(pending.kept.tolist()):
        score = float(pending.score[index])
        yield {
            "born": generation,
            "seed": seed,
            "index": index,
            "class": int(pending.samples.label[index]),
            "group": int(pending.samples.group[index]),
            "score": score if np.isfinite(score) else None,
            "kept": kept and not diverged,
            "why": best if kept else worst,
        }

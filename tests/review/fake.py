"""A small workdir as a run leaves it, whose pictures show by their colour which they are."""

import json
from pathlib import Path

import numpy as np

from jaxloop.provenance import sheets, store
from jaxloop.provenance.store import LAYOUT

CLASSES = ["zero", "one"]
SIDE = 8


def colours(num: int, of: int) -> np.ndarray:
    """uint8 [num SIDE SIDE 3], no two alike: picture i has colour (i, 255 - i, `of`); `of` tells
    sheets apart.
    """
    index = np.arange(num, dtype=np.uint8)
    colour = np.stack([index, 255 - index, np.full_like(index, of)], axis=-1)
    return np.tile(colour[:, None, None], (1, SIDE, SIDE, 1))


def noise(num: int, of: int) -> np.ndarray:
    """As `colours`, but of pixels that no packing makes smaller."""
    return np.random.default_rng(of).integers(0, 256, (num, SIDE, SIDE, 3), dtype=np.uint8)


def write(
    workdir: Path,
    num: int = 30,
    seeds=(0, 1),
    generations=(1, 2),
    num_real: int = 60,
    name="uncertainty",
    look=colours,
    digits: int = 9,
    scores=("clip",),
) -> Path:
    """`num` pictures of each generation and seed, classes in turn; the score rises with the index.

    Two have no score. The expert "clip" scores the other way round, and all. A run with `name`
    human waits. look: of generated pictures. digits: of the filter's score; few make ties.
    scores: of which experts there are.
    """
    for folder in ("provenance", "images"):
        (workdir / folder).mkdir(parents=True)
    config = {
        "seeds": list(seeds), "loop": {"generations": 3},
        "filter": {"name": name, "drop": 0.1, "ranking": "all", "reviewed": 0.5},
    }  # fmt: skip
    (workdir / "config.json").write_text(
        json.dumps({"layout": LAYOUT, "config": config, "data": {"class_names": CLASSES}})
    )
    for generation in generations:
        for seed in seeds:
            image = look(num, 10 * generation + seed)
            lines = [
                {
                    "born": generation, "seed": seed, "index": i, "class": i % 2, "group": -1,
                    "sha256": sheets.sha256(x),
                    "score": None if i < 2 or name == "human" else round(i / 8, digits),
                    "scores": {name: -i / 4 for name in scores},
                    "kept": None if name == "human" else i > 3,
                    "reason": "waiting" if name == "human" else "best",
                }
                for i, x in enumerate(image)
            ]  # fmt: skip
            stem = store.name(generation, seed)
            store.write_lines(workdir / "provenance" / f"{stem}.jsonl", lines)
            (workdir / "images" / f"{stem}.png").write_bytes(sheets.encode(image))
    if num_real:
        image = colours(num_real, 200)
        lines = [
            {"index": i, "class": i % 2, "group": 0, "sha256": sheets.sha256(x)}
            for i, x in enumerate(image)
        ]
        store.write_lines(workdir / "images" / "real.jsonl", lines)
        (workdir / "images" / "real.png").write_bytes(sheets.encode(image))
    return workdir

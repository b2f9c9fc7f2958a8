"""A small workdir as a run leaves it, for the tests of this room."""

import json
from pathlib import Path

import numpy as np

from jaxloop.provenance import sheets, store
from jaxloop.provenance.votes import Vote

DATA = {"class_names": ["zero", "one"], "group_names": ["red", "green", "blue"]}


def pictures(num: int, seed: int = 0, h: int = 5, w: int = 4) -> np.ndarray:
    """Noise, uint8 [num h w 3]."""
    return np.random.default_rng(seed).integers(0, 256, (num, h, w, 3), dtype=np.uint8)


def write(
    workdir: Path, generation: int, seed: int, image: np.ndarray, sheet: bool = True, **fields
) -> list[dict]:
    """One generation and seed: classes 0 1 0 1 ..., groups -1 0 1 2 -1 ..., scores 0 1/8 2/8 ...;
    `fields` replace.
    """
    (workdir / "provenance").mkdir(parents=True, exist_ok=True)
    (workdir / "images").mkdir(exist_ok=True)
    lines = [
        {
            "born": generation, "seed": seed, "index": i, "class": i % 2, "group": i % 4 - 1,
            "sha256": sheets.sha256(x), "score": i / 8, "scores": {"clip": i / 3}, "kept": i > 0,
            "reason": "best",
        } | fields
        for i, x in enumerate(image)
    ]  # fmt: skip
    store.write_lines(workdir / "provenance" / f"{store.name(generation, seed)}.jsonl", lines)
    if sheet:
        (workdir / "images" / f"{store.name(generation, seed)}.png").write_bytes(
            sheets.encode(image)
        )
    return lines


def config(workdir: Path, **data) -> None:
    spec = {"filter": {"name": "clip"}, "loop": {"generations": 2}}
    content = {"layout": store.LAYOUT, "config": spec, "data": DATA | data}
    (workdir / "config.json").write_text(json.dumps(content))


def vote(
    sha256="a", verdict="keep", rater="ada", class_=0, real=False, index=0, blind=True
) -> Vote:
    born = (None, None) if real else (1, 0)
    return Vote(
        "2026-01-31T12:00:00+00:00", rater, sha256, class_, verdict, real, *born, index, blind
    )

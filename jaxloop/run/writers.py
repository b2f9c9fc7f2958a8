"""Files that a generation leaves for people: sample grids, every generated image, and what became of each."""

import math
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from jaxloop import config
from jaxloop.devices import unstack
from jaxloop.files import write_atomic
from jaxloop.loop.experiment import Parts
from jaxloop.loop.state import LoopState, Pending
from jaxloop.metrics.embedded import even
from jaxloop.provenance import sheets, store

GRID_COLUMNS = 10
GRID_SIDE = (
    28  # pixels, at least, of one picture in a grid: small ones are enlarged by a whole factor
)
REAL_IMAGES = 1000  # at most, left beside the generated ones, to be mixed among them unseen
WAITING, DIVERGED = "waits for the filter", "the generator diverged"


def write_real(parts: Parts, workdir: Path) -> None:
    """Writes images/real.png and .jsonl, an even choice of the real training images; once, and only if images are kept."""
    sheet = workdir / "images" / "real.png"
    if not parts.spec.loop.images or sheet.exists():
        return
    index = np.asarray(even(parts.train.label, REAL_IMAGES))
    image, label, group = (np.asarray(x)[index] for x in parts.train)
    named = zip(label.tolist(), group.tolist(), map(sheets.sha256, image), strict=True)
    lines = [
        {"index": i, "class": c, "group": g, "sha256": name} for i, (c, g, name) in enumerate(named)
    ]
    store.write_lines(sheet.with_suffix(".jsonl"), lines)
    write_atomic(sheet, sheets.encode(image))


def write_made(parts: Parts, state: LoopState, workdir: Path) -> None:
    """Writes what the stage "sample" gave, for every seed: images/gNN_sS.png, and provenance/gNN_sS.jsonl without a verdict
    (but of a generator that diverged, of which nothing is kept)."""
    for name, seed, pending, diverged in _by_seed(parts, state):
        if parts.spec.loop.images:
            write_atomic(workdir / "images" / f"{name}.png", sheets.encode(pending.samples.image))
        verdict = {"kept": False, "why": DIVERGED} if diverged else {"kept": None, "why": WAITING}
        lines = provenance(pending, state.cursor.generation, seed)
        store.write_lines(
            workdir / "provenance" / f"{name}.jsonl", (line | verdict for line in lines)
        )


def write_filtered(parts: Parts, state: LoopState, workdir: Path) -> None:
    """Writes what the stage "filter" gave, for every seed: samples/gNN_sS.png, and the verdicts in provenance/gNN_sS.jsonl."""
    for name, seed, pending, diverged in _by_seed(parts, state):
        write_atomic(
            workdir / "samples" / f"{name}.png", grid(shown_by_class(pending, parts.num_classes))
        )
        reasons = why(parts.spec.filter, pending, parts.num_classes, diverged)
        lines = provenance(pending, state.cursor.generation, seed)
        told = (
            {**line, "kept": kept and not diverged, "why": reason}
            for line, kept, reason in zip(lines, pending.kept.tolist(), reasons, strict=True)
        )
        store.write_lines(workdir / "provenance" / f"{name}.jsonl", told)


def _by_seed(parts: Parts, state: LoopState) -> Iterator[tuple[str, int, Pending, bool]]:
    """(name of its files, seed, Pending on the host, whether the generator diverged)."""
    pending = jax.tree.map(np.asarray, unstack(state.pending))
    for seed, one, diverged in zip(
        parts.spec.seeds, pending, np.asarray(state.generator_diverged), strict=True
    ):
        yield store.name(state.cursor.generation, seed), seed, one, bool(diverged)


def shown_by_class(pending: Pending, num_classes: int) -> np.ndarray:
    """The first kept images of every class, a class a row, black where there are no more: uint8 [num_classes columns h w c]."""
    label = pending.samples.label[pending.kept_index]
    by_class = [
        pending.kept_index[label == one_class][:GRID_COLUMNS] for one_class in range(num_classes)
    ]
    shown = np.zeros(
        (num_classes, max(map(len, by_class)), *pending.samples.image.shape[1:]), np.uint8
    )
    for row, index in zip(shown, by_class, strict=True):
        row[: len(index)] = pending.samples.image[index]
    return shown


def grid(image: np.ndarray) -> bytes:
    """PNG of uint8 [rows columns h w c], without a gap; small pictures enlarged by a whole factor."""
    rows, columns, h, w, c = image.shape
    tiles = image.transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)
    factor = -(-GRID_SIDE // h)
    return sheets.png(tiles.repeat(factor, axis=0).repeat(factor, axis=1))


def provenance(pending: Pending, generation: int, seed: int) -> Iterator[dict]:
    """One line a generated image: where it comes from and what the experts said. Host arrays in `pending`."""
    experts = {name: score.tolist() for name, score in pending.scores.items()}
    score = pending.score.tolist()
    for index, image in enumerate(pending.samples.image):
        yield {
            "born": generation,
            "seed": seed,
            "index": index,
            "class": int(pending.samples.label[index]),
            "group": int(pending.samples.group[index]),
            "sha256": sheets.sha256(image),
            "score": _number(score[index]),
            "scores": {name: _number(own[index]) for name, own in experts.items()},
            "kept": None,
        }


def why(filter_: config.Filter, pending: Pending, num_classes: int, diverged: bool) -> list[str]:
    """The reason of the verdict on each image. Host arrays in `pending`."""
    if diverged:
        return [DIVERGED] * len(pending.kept)
    if pending.lost:
        return ["a random choice: the classifier that scores diverged"] * len(pending.kept)
    groups, among = (num_classes, "of its class ") if filter_.ranking == "class" else (1, "")
    reasons = {
        (kept, tied): f"among the {word} {among}by {filter_.name}"
        + (f": of several with its score the {order}" if tied else "")
        for kept, word, order in ((True, "best", "earlier"), (False, "worst", "later"))
        for tied in (True, False)
    }
    tied = _tied(pending.score, pending.kept, groups)
    return [reasons[verdict] for verdict in zip(pending.kept.tolist(), tied.tolist(), strict=True)]


def _tied(score: np.ndarray, kept: np.ndarray, groups: int) -> np.ndarray:
    """bool [n]: images of a score of which, in their group (`select.best`), some are kept and others are not."""
    tied = np.zeros_like(kept)
    for group in range(groups):
        of_group = slice(group, None, groups)
        both = np.intersect1d(score[of_group][kept[of_group]], score[of_group][~kept[of_group]])
        tied[of_group] = np.isin(score[of_group], both)
    return tied


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

"""The files that a generation leaves: sample grids, generated images, what became of each,
predictions.

Everything with a side effect on the workdir's results goes through here; arrays come from
`devices.to_host`.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from jaxloop import filters, predictions
from jaxloop.devices import to_host
from jaxloop.files import write_atomic
from jaxloop.generators import lora
from jaxloop.loop import measuring
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState, Selection
from jaxloop.metrics.embedded import even
from jaxloop.provenance import sheets, store
from jaxloop.types import Samples

GRID_COLUMNS = 10
GRID_SIDE = 28  # pixels, at least, of an image in a grid: small ones are enlarged by a whole factor
ABLATED_IMAGES = 15
REAL_IMAGES = 1000  # at most, kept beside the generated ones, to be mixed among them unseen


def write_real(experiment: Experiment, workdir: Path) -> None:
    """Write images/real.png and .jsonl, an even choice of real training images; once, if images are
    kept."""
    sheet = workdir / "images" / "real.png"
    if not experiment.spec.loop.images or sheet.exists():
        return
    train = experiment.constants.train.in_memory
    index = np.asarray(even(train.label, REAL_IMAGES))
    image, label, group = (np.asarray(x)[index] for x in (train.image, train.label, train.group))
    named = zip(label.tolist(), group.tolist(), map(sheets.sha256, image), strict=True)
    lines = [
        {"index": i, "class": c, "group": g, "sha256": name} for i, (c, g, name) in enumerate(named)
    ]
    store.write_lines(sheet.with_suffix(".jsonl"), lines)
    write_atomic(sheet, sheets.encode(image))


def write_ablated(experiment: Experiment, workdir: Path) -> None:
    """Write samples/ablated.png, a test image a row and an ablation a column, where it is asked."""
    path = workdir / "samples" / "ablated.png"
    if measuring.ABLATION in experiment.spec.measure.evaluators and not path.exists():
        index = np.asarray(even(experiment.constants.test.label, ABLATED_IMAGES))
        write_atomic(path, grid(measuring.pictures(experiment, index[:ABLATED_IMAGES])))


def write_samples(experiment: Experiment, state: LoopState, workdir: Path) -> None:
    """Write images/gNN_sS.png, and provenance/gNN_sS.jsonl before any choice (but of a generator
    that diverged, of which nothing is kept)."""
    for name, seed, samples, diverged in _by_seed(experiment, state):
        if experiment.spec.loop.images:
            write_atomic(workdir / "images" / f"{name}.png", sheets.encode(samples.image))
        choice = (
            {"kept": False, "reason": "generator_diverged"} if diverged else {"reason": "waiting"}
        )
        score = np.full(len(samples.label), np.nan)
        by_expert = dict.fromkeys(experiment.filter.experts, score)
        unscored = Selection(score, by_expert, False, None, None)
        lines = _lines(samples, unscored, state.cursor.generation, seed)
        store.write_lines(workdir / "provenance" / f"{name}.jsonl", (x | choice for x in lines))


def write_selection(experiment: Experiment, state: LoopState, workdir: Path) -> None:
    """Write samples/gNN_sS.png, and the choices into provenance/gNN_sS.jsonl."""
    selections = to_host(state.selection)
    for (name, seed, samples, diverged), selection in zip(
        _by_seed(experiment, state), selections, strict=True
    ):
        rows = by_class(samples, selection.kept_index, experiment.num_classes)
        write_atomic(workdir / "samples" / f"{name}.png", grid(rows))
        ranked, _ = filters.ranked_together(
            experiment.filter, np.asarray(samples.label), experiment.num_classes
        )
        reasons = choice_reasons(selection, np.asarray(ranked), diverged)
        kept = selection.kept & (not diverged)
        lines = _lines(samples, selection, state.cursor.generation, seed)
        chosen = (
            {**line, "kept": one_kept, "reason": reason}
            for line, one_kept, reason in zip(lines, kept.tolist(), reasons, strict=True)
        )
        store.write_lines(workdir / "provenance" / f"{name}.jsonl", chosen)


def write_predictions(experiment: Experiment, state: LoopState, workdir: Path) -> None:
    by_name = {name: np.stack(to_host(rows)) for name, rows in state.predictions.items()}
    test, every = experiment.constants.test, experiment.spec.seeds
    path = predictions.path_of(workdir, state.cursor.generation)
    first = every.index(experiment.seeds.values[0])
    images = {"label": np.asarray(test.label), "group": np.asarray(test.group)}
    predictions.write(path, first, len(every), by_name, **images)


def write_generator(experiment: Experiment, state: LoopState, workdir: Path) -> None:
    """Write lora/gNN_sS.safetensors, what a generator exports for other programs."""
    if experiment.generator.export is None:
        return
    for seed, trained in zip(experiment.seeds.values, to_host(state.generator), strict=True):
        path = lora.path_of(workdir, state.cursor.generation, seed)
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, experiment.generator.export(trained.state))


WRITERS: dict[str, Callable[[Experiment, LoopState, Path], None]] = {
    "generator": write_generator,
    "samples": write_samples,
    "selection": write_selection,
    "predictions": write_predictions,
}


def _by_seed(experiment: Experiment, state: LoopState) -> Iterator[tuple[str, int, Samples, bool]]:
    """Yield (name of its files, seed, Samples on the host, whether the generator diverged)."""
    columns = experiment.seeds.values, to_host(state.samples), to_host(state.generator_diverged)
    for seed, samples, diverged in zip(*columns, strict=True):
        yield store.name(state.cursor.generation, seed), seed, samples, bool(diverged)


def by_class(samples: Samples, kept_index: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the first kept images of every class, a class a row: uint8 [num_classes columns h w
    c].

    Black where there are no more.
    """
    label = samples.label[kept_index]
    rows = [kept_index[label == one_class][:GRID_COLUMNS] for one_class in range(num_classes)]
    image = np.zeros((num_classes, max(map(len, rows)), *samples.image.shape[1:]), np.uint8)
    for row, index in zip(image, rows, strict=True):
        row[: len(index)] = samples.image[index]
    return image


def grid(image: np.ndarray) -> bytes:
    """Return a PNG of uint8 [rows columns h w c], without a gap; small images enlarged."""
    rows, columns, h, w, c = image.shape
    tiles = image.transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, c)
    factor = -(-GRID_SIDE // h)
    return sheets.png(tiles.repeat(factor, axis=0).repeat(factor, axis=1))


def _lines(samples: Samples, selection: Selection, generation: int, seed: int) -> Iterator[dict]:
    """Yield one line a generated image: where it comes from and what the experts said."""
    by_expert = {name: score.tolist() for name, score in selection.by_expert.items()}
    scores = selection.score.tolist()
    for index, image in enumerate(samples.image):
        yield {
            "born": generation,
            "seed": seed,
            "index": index,
            "class": int(samples.label[index]),
            "group": int(samples.group[index]),
            "sha256": sheets.sha256(image),
            "score": _number(scores[index]),
            "scores": {name: _number(score[index]) for name, score in by_expert.items()},
            "kept": None,
        }


def choice_reasons(selection: Selection, ranked: np.ndarray, diverged: bool) -> list[str]:
    """Return the code of the reason why each image was kept or dropped.

    Args:
      ranked: int [n], which images were ranked together.
    """
    if diverged or selection.unscored:
        code = "generator_diverged" if diverged else "random_choice"
        return [code] * len(selection.kept)
    tied = _tied(selection.score, selection.kept, ranked)
    word = np.where(selection.kept, "best", "worst")
    return np.where(tied, np.char.add(word, "_tie"), word).tolist()


def _tied(score: np.ndarray, kept: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Return bool [n]: images of a score of which some are kept and others not (`select.best`)."""
    tied = np.zeros_like(kept)
    for group in np.unique(ranked):
        own = ranked == group
        both = np.intersect1d(score[own & kept], score[own & ~kept])
        tied[own] = np.isin(score[own], both)
    return tied


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

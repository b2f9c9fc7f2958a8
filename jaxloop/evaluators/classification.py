"""Accuracy and fairness of the classifiers, from their predictions of the test set.

    python -m jaxloop.evaluators.classification WORKDIR

makes these records again from WORKDIR/predictions/ alone, and prints them as JSON lines.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxloop import keys, predictions
from jaxloop.devices import to_host
from jaxloop.evaluators import ablation
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState
from jaxloop.metrics import bootstrap, counts, fairness
from jaxloop.predictions import DIVERGED, PENDING
from jaxloop.records import Log


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    test = experiment.constants.test
    label, group = np.asarray(test.label), np.asarray(test.group)
    shape = experiment.num_classes, experiment.num_groups
    resamples = experiment.spec.measure.bootstrap

    def evaluate(state: LoopState) -> list[dict]:
        records = []
        generation, seeds = state.cursor.generation, experiment.seeds.values
        by_name = {name: to_host(state.predictions[name]) for name in experiment.trainers}
        for i, seed in enumerate(seeds):
            predicted = {name: by_seed[i] for name, by_seed in by_name.items()}
            records += from_predictions(seed, generation, predicted, label, group, shape, resamples)
        return records

    return evaluate


def from_predictions(
    seed: int,
    generation: int,
    predicted: dict[str, np.ndarray],
    label: np.ndarray,
    group: np.ndarray,
    shape: tuple[int, int],
    resamples: int,
) -> list[dict]:
    """Return the records of one seed and generation.

    Args:
      predicted: name of the classifier -> int [n]; DIVERGED where it did.
      label, group: int [n], of the test set.  shape: (number of classes, of groups).
      resamples: of the bootstrap; 0: no intervals.
    """
    log = Log(seed, generation)
    for name, classes in predicted.items():
        diverged = bool((classes == DIVERGED).any())
        log.add(name, "diverged", diverged)
        counted = counts.count(classes == label, label, group, *shape)
        key = keys.stage_key(keys.root_key(seed), f"bootstrap/{name}", generation)
        _add(log, name, counted, None if diverged else key, resamples)
    return log.records


def _add(log: Log, name: str, counted: counts.Counts, key, resamples: int) -> None:
    """Add every measure. key: None where the classifier diverged, and no measure exists."""
    measures = {m: np.asarray(value) for m, value in fairness.from_counts(counted).items()}
    reasons, caveats = fairness.reasons(counted), fairness.caveats(counted)
    if key is None:
        measures = {m: np.full_like(value, np.nan) for m, value in measures.items()}
        reasons, caveats = dict.fromkeys(measures, "classifier_diverged"), {}
    intervals = (
        bootstrap.intervals(key, counted, resamples) if resamples and key is not None else {}
    )
    intervals = {m: np.asarray(ends) for m, ends in intervals.items()}

    def add(metric: str, source: str, index: tuple[int, ...] = (), **parameters: Any) -> None:
        ends = intervals[source][(slice(None), *index)] if intervals else None
        value, caveat = measures[source][index], caveats.get(source)
        log.add(
            name, metric, value, reasons.get(source), caveat=caveat, interval=ends, **parameters
        )

    for metric in ("accuracy", *fairness.POOLED, *fairness.PER_CLASS):
        add(metric, metric)
    for rank in range(len(measures["acc_rank"])):
        add("accuracy", "acc_rank", (rank,), rank=rank + 1)
    for group in range(len(measures["group_accuracy"])):
        add("group_accuracy", "group_accuracy", (group,), group=group)
    for label, group in np.ndindex(measures["class_group_accuracy"].shape):
        where = {"class": label, "group": group}
        add("group_accuracy", "class_group_accuracy", (label, group), **where)


def again(workdir: Path) -> list[dict]:
    """Return the records of a run's classifiers, made from config.json and predictions/."""
    described = json.loads((workdir / "config.json").read_text())
    seeds, data = described["config"]["seeds"], described["data"]
    shape = len(data["class_names"]), len(data["group_names"])
    resamples = described["config"]["measure"]["bootstrap"]
    records = []
    for generation, arrays in predictions.read(workdir, len(seeds)).items():
        label, group = arrays.pop("label"), arrays.pop("group")
        for i, seed in enumerate(seeds):
            predicted = {name: array[i] for name, array in arrays.items()}
            if any((array == PENDING).any() for array in predicted.values()):
                continue
            whole = {name: array for name, array in predicted.items() if "/" not in name}
            records += from_predictions(seed, generation, whole, label, group, shape, resamples)
            if len(whole) < len(predicted):
                log = Log(seed, generation)
                ablation.add(log, tuple(whole), predicted, label)
                records += log.records
    return records


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for record in again(Path(argv[0])):
        print(json.dumps(record))
    return 0


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    sys.exit(main(sys.argv[1:]))

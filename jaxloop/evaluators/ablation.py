"""How much of a classifier's accuracy is left where the object cannot be seen: its spurious cues.

Accuracy that falls little says that a classifier reads the surroundings (Moayeri, Singla & Feizi
2022; the paper's figure 8). `metrics/ablations.py` says what is done to the pictures.
"""

from collections.abc import Callable

import numpy as np

from jaxloop.devices import to_host
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.measuring import ABLATIONS
from jaxloop.loop.state import LoopState
from jaxloop.predictions import DIVERGED, ablated
from jaxloop.records import Log


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    label, names = np.asarray(experiment.constants.test.label), tuple(experiment.trainers)

    def evaluate(state: LoopState) -> list[dict]:
        by_key = {key: to_host(rows) for key, rows in state.predictions.items()}
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        for i, log in enumerate(logs):
            add(log, names, {key: rows[i] for key, rows in by_key.items()}, label)
        return [record for log in logs for record in log.records]

    return evaluate


def add(
    log: Log, names: tuple[str, ...], predicted: dict[str, np.ndarray], label: np.ndarray
) -> None:
    """Add accuracy under every ablation.

    Args:
      names: of classifiers.  predicted: key in predictions -> int [n].  label: int [n].
    """
    for name in names:
        for ablation in ABLATIONS:
            classes = predicted[ablated(name, ablation)]
            diverged = bool((classes == DIVERGED).any())
            reason = "classifier_diverged" if diverged else None
            left = np.nan if diverged else (classes == label).mean()
            log.add(name, "accuracy", left, reason, ablation=ablation)

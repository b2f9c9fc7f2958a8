"""How training went: losses and gradient norms by epoch, how long classifiers trained."""

from collections.abc import Callable

import numpy as np

from jaxloop.devices import select, to_host
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState
from jaxloop.records import Log


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    def evaluate(state: LoopState) -> list[dict]:
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        if state.cursor.generation and experiment.generates:
            training = to_host(select(state.generator, lambda g: (g.signals, g.steps)))
            for log, (signals, steps) in zip(logs, training, strict=True):
                for name, sums in signals.items():
                    subject, metric = name.split("/")
                    _add_by_epoch(log, subject, metric, sums, steps, "generator_diverged")
        for name in experiment.trainers:
            scalars = to_host(select(state.classifiers[name], _scalars))
            for log, one_seed in zip(logs, scalars, strict=True):
                _add_classifier(log, name, *one_seed)
        return [record for log in logs for record in log.records]

    return evaluate


def _scalars(classifier):
    c = classifier
    return c.diverged, c.epoch, c.best_loss, c.loss, c.gradient_norm, c.validation_loss, c.steps


def _add_classifier(
    log: Log, name: str, diverged, epoch, best_loss, loss, gradient_norm, validation_loss, steps
) -> None:
    log.add(name, "epochs_trained", epoch)
    value = np.nan if diverged else best_loss
    reason, once = "classifier_diverged", np.minimum(steps, 1)
    log.add(name, "validation_loss", value, reason)
    _add_by_epoch(log, name, "loss", loss, steps, reason)
    _add_by_epoch(log, name, "loss", validation_loss, once, reason, split="validation")
    _add_by_epoch(log, name, "gradient_norm", gradient_norm, steps, reason)


def _add_by_epoch(
    log: Log, subject: str, metric: str, sums, steps, reason: str, split="training"
) -> None:
    """Add the mean over the steps of every epoch that took place."""
    for epoch in np.flatnonzero(steps):
        mean = sums[epoch] / steps[epoch]
        log.add(subject, metric, mean, reason, epoch=int(epoch) + 1, split=split)

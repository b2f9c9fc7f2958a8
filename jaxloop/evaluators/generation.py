"""The kept images of a generation: classes, diversity, memorisation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.classifiers import training
from jaxloop.devices import join, select, to_host
from jaxloop.loop.experiment import Experiment, nothing, over_seeds
from jaxloop.loop.state import LoopState
from jaxloop.metrics import generated
from jaxloop.metrics.embedded import even
from jaxloop.records import Log
from jaxloop.types import Array, Samples

NEAREST = 1000  # images, at most, whose nearest real one is looked for


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    train = jax.tree.map(np.asarray, experiment.constants.train.to_samples())
    num_classes = experiment.num_classes
    real_distance = generated.class_distance(train.image, train.label, num_classes)
    real_nearest = _median_nearest(experiment, experiment.constants.validation)
    predict = over_seeds(experiment, predict_kept)

    def evaluate(state: LoopState) -> list[dict]:
        if state.cursor.generation == 0:
            return []
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        kept_index = select(state.selection, lambda s: s.kept_index)
        inputs = join(state.reference, state.samples, kept_index)
        predicted = to_host(predict(nothing(inputs), inputs, ()))
        blind = to_host(select(state.reference, lambda r: r.diverged))
        columns = zip(logs, *kept_samples(state), blind, predicted, strict=True)
        for log, kept, diverged, reference_diverged, classes in columns:
            _add_one_seed(
                log, experiment, kept, diverged, reference_diverged, classes, real_distance
            )
            reason = "generator_diverged" if diverged else "real_copies"
            exists = real_nearest > 0 and not diverged
            nearest = _median_nearest(experiment, kept) / real_nearest if exists else np.nan
            log.add("generator", "nearest_real", nearest, reason)
        return [record for log in logs for record in log.records]

    return evaluate


def predict_kept(experiment: Experiment, state, inputs, constants) -> Array:
    """Return the class that the reference predicts of every kept image, int32 [m]."""
    reference, samples, kept_index = inputs
    trainer = experiment.trainers[experiment.reference]
    logits = training.logits(trainer, reference.variables, samples.image[kept_index])
    return logits.argmax(axis=-1)


def kept_samples(state: LoopState) -> tuple[list[Samples], list[bool]]:
    """Return (the kept images of each seed, on the host; whether each generator diverged)."""
    samples = to_host(state.samples)
    index = to_host(select(state.selection, lambda s: s.kept_index))
    kept = [Samples(*(x[i] for x in one)) for one, i in zip(samples, index, strict=True)]
    return kept, [bool(x) for x in to_host(state.generator_diverged)]


def _add_one_seed(
    log: Log, experiment: Experiment, kept, diverged, reference_diverged, predicted, real_distance
) -> None:
    """Add the measures of one seed. Those that need the reference do not exist if it diverged."""
    reason = "generator_diverged" if diverged else None
    unpredicted = reason or ("reference_diverged" if reference_diverged else None)
    log.add("generator", "diverged", diverged)
    agreement = np.nan if unpredicted else generated.label_agreement(predicted, kept.label)
    log.add("generator", "label_agreement", agreement, unpredicted)
    diversity = generated.within_class_diversity(
        kept.image, kept.label, real_distance, experiment.num_classes
    )
    diversity = np.nan if diverged else diversity
    log.add("generator", "within_class_diversity", diversity, reason or "too_few_images")


def _median_nearest(experiment: Experiment, samples) -> float:
    """Return the median distance of (at most NEAREST) images to the nearest training one."""
    index = even(samples.label, NEAREST)
    distance = generated.nearest_distance(samples.image[index], experiment.constants.train.image)
    return float(jnp.median(distance))

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
    train = jax.tree.map(np.asarray, experiment.constants.train.in_memory.to_samples())
    num_classes = experiment.num_classes
    real_distance = generated.class_distance(train.image, train.label, num_classes)
    real_cells = None
    if experiment.image_group and experiment.num_groups > 1:
        real_cells = generated.class_distance(
            train.image, _cells(train, experiment), num_classes * experiment.num_groups,
            generated.GROUP_IMAGES,
        )  # fmt: skip
    real_nearest = _median_nearest(experiment, experiment.constants.validation)
    predict = over_seeds(experiment, predict_kept)

    def evaluate(state: LoopState) -> list[dict]:
        if state.cursor.generation == 0:
            return []
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        kept_index = select(state.selection, lambda s: s.kept_index)
        inputs = join(state.label_judge, state.samples, kept_index)
        predicted = to_host(predict(nothing(inputs), inputs, ()))
        blind = to_host(select(state.label_judge, lambda judge: judge.diverged))
        columns = zip(logs, *kept_samples(state), blind, predicted, strict=True)
        for log, kept, diverged, judge_diverged, classes in columns:
            _add_one_seed(log, experiment, kept, diverged, judge_diverged, classes, real_distance)
            reason = "generator_diverged" if diverged else "real_copies"
            exists = real_nearest > 0 and not diverged
            nearest = _median_nearest(experiment, kept) / real_nearest if exists else np.nan
            log.add("generator", "nearest_real", nearest, reason)
            if real_cells is not None:
                _add_group_diversity(log, experiment, kept, diverged, real_cells)
        return [record for log in logs for record in log.records]

    return evaluate


def predict_kept(experiment: Experiment, state, inputs, constants) -> Array:
    """Return the class that the judge of labels sees in every kept image, int32 [m]."""
    judge, samples, kept_index = inputs
    trainer = experiment.trainers[experiment.reference]
    logits = training.logits(trainer, judge.best, samples.image[kept_index])
    return logits.argmax(axis=-1)


def kept_samples(state: LoopState) -> tuple[list[Samples], list[bool]]:
    """Return (the kept images of each seed, on the host; whether each generator diverged)."""
    samples = to_host(state.samples)
    index = to_host(select(state.selection, lambda s: s.kept_index))
    kept = [Samples(*(x[i] for x in one)) for one, i in zip(samples, index, strict=True)]
    return kept, [bool(x) for x in to_host(state.generator_diverged)]


def _add_one_seed(
    log: Log, experiment: Experiment, kept, diverged, judge_diverged, predicted, real_distance
) -> None:
    """Add the measures of one seed. Those that need the judge do not exist if it diverged."""
    reason = "generator_diverged" if diverged else None
    unpredicted = reason or ("judge_diverged" if judge_diverged else None)
    log.add("generator", "diverged", diverged)
    agreement = np.nan if unpredicted else generated.label_agreement(predicted, kept.label)
    log.add("generator", "label_agreement", agreement, unpredicted)
    diversity = generated.within_class_diversity(
        kept.image, kept.label, real_distance, experiment.num_classes
    )
    diversity = np.nan if diverged else diversity
    log.add("generator", "within_class_diversity", diversity, reason or "too_few_images")


def _add_group_diversity(log: Log, experiment: Experiment, kept: Samples, diverged, real) -> None:
    groups = experiment.num_groups
    value = generated.within_group_diversity(kept.image, _cells(kept, experiment), real, groups)
    reason = "generator_diverged" if diverged else "too_few_images"
    log.add("generator", "within_group_diversity", np.nan if diverged else value, reason)


def _cells(samples: Samples, experiment: Experiment) -> np.ndarray:
    """Return class x G + subgroup of each image, -1 where the subgroup is unknown: int [n]."""
    label, group = np.asarray(samples.label), np.asarray(samples.group)
    return np.where(group >= 0, label * experiment.num_groups + group, -1)


def _median_nearest(experiment: Experiment, samples) -> float:
    """Return the median distance of (at most NEAREST) images to the nearest training one."""
    index = even(samples.label, NEAREST)
    real = experiment.constants.train.in_memory
    distance = generated.nearest_distance(samples.image[index], real.image)
    return float(jnp.median(distance))

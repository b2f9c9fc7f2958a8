"""What the classifiers of a generation predict of the test images, whole and ablated."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import devices
from jaxloop.classifiers import training
from jaxloop.devices import select
from jaxloop.loop.experiment import Constants, Experiment, Stage, nothing, over_seeds
from jaxloop.loop.state import LoopState, Reference
from jaxloop.metrics import ablations
from jaxloop.predictions import DIVERGED, ablated
from jaxloop.types import Array

ABLATION, MASKS = "ablation", "masks"  # the evaluator, and what it needs of the test images
ABLATIONS = {
    "object": ablations.gray_object, "box": ablations.gray_box, "tile": ablations.tile_box,
}  # fmt: skip


def predictions_made(experiment: Experiment) -> tuple[str, ...]:
    """Return the names of a generation's predictions: classifiers, and those of ablated images."""
    names = tuple(experiment.trainers)
    if ABLATION not in experiment.spec.measure.evaluators:
        return names
    return names + tuple(ablated(name, ablation) for name in names for ablation in ABLATIONS)


def measure_stage(experiment: Experiment) -> Stage:
    predict = {name: over_seeds(experiment, predict_test, name) for name in experiment.trainers}
    named = {ablated(name, kind): (name, kind) for name in predict for kind in ABLATIONS}
    functions = {
        key: over_seeds(experiment, predict_ablated, *named[key]) if key in named else predict[key]
        for key in predictions_made(experiment)
    }

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        predictions = {}
        for key, function in functions.items():
            classifier = state.classifiers[named[key][0] if key in named else key]
            inputs = select(classifier, lambda c: (c.best, c.diverged))
            predictions[key] = function(nothing(seeds), inputs, experiment.constants)
        reference = state.reference
        if state.cursor.generation == 0:
            classifier = state.classifiers[experiment.reference]
            reference = select(classifier, lambda c: Reference(c.best, c.diverged))
        return state._replace(predictions=predictions, reference=reference)

    return Stage(
        "measure", 0, lambda state: 1, run, functions, writers=("predictions",), evaluated=True
    )


def predict_test(experiment: Experiment, name: str, state, inputs, constants: Constants) -> Array:
    """Return int32 [n], the class that a classifier predicts of each test image, or DIVERGED."""
    variables, diverged = inputs
    logits = training.logits(experiment.trainers[name], variables, constants.test.image)
    return jnp.where(diverged, DIVERGED, logits.argmax(axis=-1).astype(jnp.int32))


def predict_ablated(
    experiment: Experiment, name: str, kind: str, state, inputs, constants: Constants
) -> Array:
    """Return the same of the test images after an ablation, of ABLATIONS."""
    variables, diverged = inputs
    trainer, test = experiment.trainers[name], constants.test

    def one_batch(image: Array, mask: Array) -> Array:
        x = ABLATIONS[kind](image.astype(jnp.float32) / 255, mask)
        # Only now is it normalised: grey is half of the scale, whatever the network's mean.
        return training.logits(trainer, variables, 255 * x)

    arrays = test.image, test.annotations[MASKS]
    logits = devices.in_batches(one_batch, training.EVALUATION_BATCH, *arrays)
    return jnp.where(diverged, DIVERGED, logits.argmax(axis=-1).astype(jnp.int32))


def pictures(experiment: Experiment, index: np.ndarray) -> np.ndarray:
    """Return test images and what each ablation makes of them: uint8 [len(index) 1 + 3 h w c]."""
    test = experiment.constants.test
    image, mask = jnp.asarray(test.take(index)), jnp.asarray(test.extras(index)[MASKS])
    columns = [image]
    for ablation in ABLATIONS.values():
        x = jax.jit(ablation)(image.astype(jnp.float32) / 255, mask)
        columns.append(jnp.round(255 * x).astype(jnp.uint8))
    return np.stack([np.asarray(column) for column in columns], axis=1)

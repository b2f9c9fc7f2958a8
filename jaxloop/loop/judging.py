"""The judge: a classifier of subgroups, trained once on the real images, for data sets in which
pixels do not tell the subgroup of a generated image. It measures alone: nothing of the loop reads
it.

It is trained as every classifier is; what it learns is the cell of an image, class * G + subgroup.
"""

import jax.numpy as jnp
import numpy as np

from jaxloop import keys
from jaxloop.classifiers import training
from jaxloop.data import batches
from jaxloop.data.source import InMemory
from jaxloop.devices import join, select
from jaxloop.loop.experiment import Constants, Experiment, Stage, nothing, over_seeds
from jaxloop.loop.state import LoopState
from jaxloop.metrics.counts import cells
from jaxloop.types import Array, Samples


def judge_stage(experiment: Experiment) -> Stage:
    start, train = over_seeds(experiment, start_judge), over_seeds(experiment, train_judge)
    config, constants = experiment.spec.classifier, experiment.constants

    def steps(state: LoopState) -> int:
        total = batches.num_batches(experiment.num_real, config.batch_size) * config.epochs
        return training.steps_in_all(state.judge, state.cursor.step, total)

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        judge = state.judge
        if first == 0:
            judge = start(nothing(seeds), seeds, constants, np.int32(0))
        inputs = join(seeds, select(state.queue, lambda q: q.samples))
        judge = train(judge, inputs, constants, np.int32(first), np.int32(count))
        return state._replace(judge=judge)

    functions = {"start": start, "train": train}
    return Stage("judge", 0, steps, run, functions, last_generation=0)


def start_judge(
    experiment: Experiment, state, seed: Array, constants: Constants, generation: Array
) -> training.State:
    """Return a newly initialised judge, or one that starts from the weights of that classifier."""
    key = keys.stage_key(keys.root_key(seed), "judge/init", generation)
    weights = constants.weights.get(experiment.spec.measure.judge)
    return training.init(_trainer(experiment), key, weights)


def train_judge(
    experiment: Experiment, state: training.State, inputs, constants: Constants, first, count
) -> training.State:
    """Take steps first .. first + count - 1 of the judge's training, on the real images alone."""
    seed, queued = inputs
    real, root = _by_cell(experiment, constants.train), keys.root_key(seed)
    used = jnp.arange(len(real.label) + len(queued.label)) < len(real.label)
    data = training.Data(real, queued, used, _by_cell(experiment, constants.validation))
    by_epoch = lambda epoch: keys.stage_key(root, "judge", 0, epoch)  # noqa: E731
    return training.train(_trainer(experiment), by_epoch, state, data, first, count)


def name_generated(experiment: Experiment, state, inputs, constants: Constants) -> Array:
    """Return which subgroup of its class the judge sees in each image: int32 [n]."""
    variables, samples = inputs
    return _named(experiment, variables, samples, constants)


def name_test(experiment: Experiment, state, variables, constants: Constants) -> Array:
    """Return the same of the test images."""
    return _named(experiment, variables, constants.test.to_samples(), constants)


def _named(experiment: Experiment, variables, samples: Samples, constants: Constants) -> Array:
    shape, train = (experiment.num_classes, experiment.num_groups), constants.train
    exists = cells(train.label, train.group, *shape, jnp.ones(train.label.shape, bool)) > 0
    logits = training.logits(_trainer(experiment), variables, samples.image)
    of_class = jnp.take_along_axis(
        logits.reshape(-1, *shape), samples.label[:, None, None], axis=1
    )[:, 0]
    possible = jnp.where(exists[samples.label], of_class, -jnp.inf)
    return possible.argmax(axis=-1).astype(jnp.int32)


def _by_cell(experiment: Experiment, images: InMemory) -> InMemory:
    return images._replace(label=images.label * experiment.num_groups + images.group)


def _trainer(experiment: Experiment) -> training.Trainer:
    assert experiment.judge is not None
    return experiment.judge

"""Judges: networks that measure alone, trained once on the real images. Nothing of the loop reads
them.

SUBGROUPS is a classifier of subgroups, for data sets in which pixels do not tell the subgroup of a
generated image: what it learns is the cell of an image, class * G + subgroup.

LABELS says of a generated image which class it shows. It is a network of its own, so it is not the
one whose uncertainty filters; and where subgroups are colours it is trained on images coloured
evenly, so that it does not take a colour for a class.

Both are trained as every classifier is.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import keys
from jaxloop.classifiers import training
from jaxloop.data.source import InMemory, Streamed
from jaxloop.devices import join, select
from jaxloop.loop.experiment import Constants, Experiment, Stage, nothing, over_seeds
from jaxloop.loop.feeding import Feed, fed
from jaxloop.loop.state import LoopState
from jaxloop.metrics.counts import cells
from jaxloop.types import Array, Samples

SUBGROUPS, LABELS = "judge", "label_judge"  # also their stages, and their fields in LoopState


def kinds(experiment: Experiment) -> tuple[str, ...]:
    """Return the judges that a run has."""
    asked = experiment.generates and "generation" in experiment.spec.measure.evaluators
    labels = (LABELS,) if asked else ()
    return ((SUBGROUPS,) if experiment.judge else ()) + labels


def judge_stage(experiment: Experiment, kind: str) -> Stage:
    start = over_seeds(experiment, start_judge, kind)
    train = over_seeds(experiment, train_judge, kind)
    constants, trainer = experiment.constants, _trainer(experiment, kind)
    total, feed = training.most_steps(trainer), None
    if experiment.host:
        feed = Feed(experiment, judge_order, kind, **training.lengths(trainer))

    def steps(state: LoopState) -> int:
        return training.steps_in_all(getattr(state, kind), state.cursor.step, total)

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        judge = getattr(state, kind)
        if first == 0:
            judge = start(nothing(seeds), seeds, constants, np.int32(0))
        queued = select(state.queue, lambda q: q.samples)
        window = feed.window(join(seeds, queued), 0, first, count) if feed else None
        inputs = join(seeds, queued, window)
        judge = train(judge, inputs, constants, np.int32(first), np.int32(count))
        return state._replace(**{kind: judge})

    functions = {"start": start, "train": train}
    return Stage(kind, 0, steps, run, functions, **fed(feed), last_generation=0)


def start_judge(
    experiment: Experiment, kind: str, state, seed: Array, constants: Constants, generation: Array
) -> training.State:
    """Return a newly initialised judge, or one that starts from the weights of that classifier."""
    key = keys.stage_key(keys.root_key(seed), f"{kind}/init", generation)
    name = experiment.spec.measure.judge if kind == SUBGROUPS else experiment.reference
    return training.init(_trainer(experiment, kind), key, constants.weights.get(name))


def train_judge(
    experiment: Experiment,
    kind: str,
    state: training.State,
    inputs,
    constants: Constants,
    first,
    count,
) -> training.State:
    """Take steps first .. first + count - 1 of the judge's training, on the real images alone."""
    seed, queued, window = inputs
    color_key = _color_key(keys.root_key(seed))
    view = _by_cell if kind == SUBGROUPS else partial(_evenly_colored, key=color_key)
    real, validation = (view(experiment, part) for part in (constants.train, constants.validation))
    real = real if window is None else real.through(window)
    data = training.Data(real, queued, _real_alone(constants, queued), validation)
    by_epoch = _keys(kind, seed)
    return training.train(_trainer(experiment, kind), by_epoch, state, data, first, count)


def judge_order(
    experiment: Experiment, kind: str, state, inputs, constants: Constants, generation, epoch
) -> tuple[Array, Array]:
    """Return (indices int32 [n + K] in the order of an epoch, how many of them are used)."""
    seed, queued = inputs
    used = _real_alone(constants, queued)
    return training.epoch_order(_keys(kind, seed), epoch, used), used.sum()


def _real_alone(constants: Constants, queued: Samples) -> Array:
    num_real = len(constants.train.label)
    return jnp.arange(num_real + len(queued.label)) < num_real


def _keys(kind: str, seed: Array):
    """Return epoch -> key."""
    root = keys.root_key(seed)
    return lambda epoch: keys.stage_key(root, kind, 0, epoch)


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
    logits = training.logits(_trainer(experiment, SUBGROUPS), variables, samples.image)
    of_class = jnp.take_along_axis(
        logits.reshape(-1, *shape), samples.label[:, None, None], axis=1
    )[:, 0]
    possible = jnp.where(exists[samples.label], of_class, -jnp.inf)
    return possible.argmax(axis=-1).astype(jnp.int32)


def _by_cell(experiment: Experiment, images: InMemory | Streamed) -> Any:
    return images._replace(label=images.label * experiment.num_groups + images.group)


def _color_key(root: Array) -> Array:
    return keys.stage_key(root, f"{LABELS}/color", 0)


def _evenly_colored(experiment: Experiment, images: Any, key: Array) -> Any:
    """Draw the subgroup of every image anew, all alike, where an image can be given another."""
    if experiment.recolor is None:
        return images
    num = len(images.label)
    group = jax.random.randint(jax.random.fold_in(key, num), (num,), 0, experiment.num_groups)
    return images._replace(image=experiment.recolor(images.image, group), group=group)


def _trainer(experiment: Experiment, kind: str) -> training.Trainer:
    if kind == LABELS:
        return experiment.trainers[experiment.reference]
    assert experiment.judge is not None
    return experiment.judge

"""One generation as a tuple of stages. Every stage is made of pure functions, written for one seed
and compiled once for all generations.

A one-seed function is `f(experiment, state, inputs, constants, *scalars)`: `state` is donated,
`inputs` are read, `constants` is what all seeds share. A call takes a *chunk* of steps, first ..
first + count - 1; how a stage is cut into chunks changes no bit.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import devices, keys
from jaxloop.classifiers import training
from jaxloop.data import batches
from jaxloop.data.source import InMemory
from jaxloop.devices import join, select
from jaxloop.loop import encoding, judging, measuring, policy
from jaxloop.loop.experiment import Constants, Experiment, Stage, nothing, over_seeds
from jaxloop.loop.feeding import Feed, fed
from jaxloop.loop.sampling import filter_stage, sampling_stage
from jaxloop.loop.state import GeneratorTraining, LoopState
from jaxloop.types import Array


def build(experiment: Experiment) -> tuple[Stage, ...]:
    """Return the stages of a generation, in order."""
    return (
        *(_making(experiment) if experiment.generates else ()),
        *(classifier_stage(experiment, name) for name in experiment.trainers),
        *(judging.judge_stage(experiment, kind) for kind in judging.kinds(experiment)),
        measuring.measure_stage(experiment),
    )


def _making(experiment: Experiment) -> tuple[Stage, ...]:
    """Return the stages that make images and push them into the queue."""
    encoder = encoding.encoder(experiment)
    return (
        *([encoding.encoding_stage(encoder)] if encoder else []),
        generator_stage(experiment, encoder),
        sampling_stage(experiment),
        filter_stage(experiment),
    )


def num_traces(stages: tuple[Stage, ...]) -> int:
    """Return how often anything was traced so far: it must not grow after generation 1."""
    return sum(f._cache_size() for stage in stages for f in stage.functions.values())  # type: ignore


def _steps_per_epoch(experiment: Experiment, state: LoopState) -> int:
    """Return the steps of the generator's longest epoch of any seed: queues differ where generators
    diverged."""
    sizes = devices.to_host(select(state.queue, lambda q: q.size))
    generation, batch_size = state.cursor.generation, experiment.spec.generator.batch_size
    loop, num_real = experiment.spec.loop, experiment.num_real
    images = [policy.count(loop, "generator", generation, num_real, int(size)) for size in sizes]
    return max(batches.num_batches(count, batch_size) for count in images)


# The generator


def generator_stage(experiment: Experiment, encoder: encoding.Encoder | None) -> Stage:
    start = over_seeds(experiment, start_generator)
    train = over_seeds(experiment, train_generator)
    config, constants, feed = experiment.spec.generator, experiment.constants, None
    if experiment.host and not encoder:  # what is encoded is in memory
        sizes = {"batch_size": config.batch_size, "epochs": config.epochs}
        feed = Feed(experiment, generator_order, **sizes)

    def steps(state: LoopState) -> int:
        per_epoch = _steps_per_epoch(experiment, state)
        limit = config.max_steps or per_epoch * config.epochs
        return max(1, min(per_epoch * config.epochs, limit))

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        generation = np.int32(state.cursor.generation)
        state = encoder.whole(state) if encoder else state
        generator = state.generator
        if first == 0:
            generator = start(nothing(seeds), seeds, constants, generation)
        window = _window(feed, seeds, state, first, count)
        inputs = join(seeds, state.queue, state.encoded if encoder else None, window)
        scalars = generation, np.int32(first), np.int32(count)
        return state._replace(generator=train(generator, inputs, constants, *scalars))

    writers = ("generator",) if experiment.generator.export else ()
    functions = {"start": start, "train": train}
    return Stage("generator", 1, steps, run, functions, **fed(feed), writers=writers)


def _window(feed: Feed | None, seeds, state: LoopState, first: int, count: int) -> Any:
    """Return the real images at hand for these steps, seeded; None where all are."""
    inputs = join(seeds, state.queue)
    return feed and feed.window(inputs, state.cursor.generation, first, count)


def start_generator(
    experiment: Experiment, state, seed: Array, constants: Constants, generation: Array
) -> GeneratorTraining:
    """Return a newly initialised generator."""
    key = keys.stage_key(keys.root_key(seed), "generator/init", generation)
    initial = experiment.generator.init(key, generation)
    size, real = experiment.spec.generator.batch_size, _training_images(constants).to_samples()
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), real)
    update = experiment.generator.update
    signals = jax.eval_shape(
        lambda k, c, s, b: update(k, c, s, b)[1], key, constants.generator, initial, batch
    )
    by_epoch = jnp.zeros(experiment.spec.generator.epochs, jnp.float32)
    return GeneratorTraining(initial, dict.fromkeys(signals, by_epoch), by_epoch.astype(jnp.int32))


def _training_images(constants: Constants, window=None) -> Any:
    """Return the real images as the generator sees them, a Source.

    window: the images at hand, where the source is streamed.
    """
    train, encoded = constants.train, jax.tree.leaves(constants.encoded)
    if encoded:
        return InMemory(encoded[0], train.label, train.group)
    return train if window is None else train.through(window)  # type: ignore[union-attr]


def generator_order(
    experiment: Experiment, state, inputs, constants: Constants, generation, epoch
) -> tuple[Array, Array]:
    """Return (indices int32 [n + K] in the order of an epoch, how many of them are used)."""
    seed, stored = inputs
    used = _used(experiment, "generator", seed, generation, constants, stored.valid)
    order_key, _ = _generator_keys(keys.root_key(seed), generation, epoch)
    return batches.epoch_order(order_key, used), used.sum()


def _generator_keys(root: Array, generation, epoch) -> tuple[Array, ...]:
    return keys.parts(keys.stage_key(root, "generator", generation, epoch), "order", "step")


def _used(experiment: Experiment, stage: str, seed, generation, constants, valid: Array) -> Array:
    """Return which real and queued images a stage trains on, bool [n + K]."""
    num_real, loop = len(constants.train.label), experiment.spec.loop
    return policy.trained_on(loop, seed, stage, generation, num_real, valid)


def train_generator(
    experiment: Experiment,
    trained: GeneratorTraining,
    inputs,
    constants: Constants,
    generation,
    first,
    count,
) -> GeneratorTraining:
    """Take steps first .. first + count - 1 of all epochs over what the generator trains on.

    An epoch runs over it in random order, whole batches only; `max_steps` may end the last one
    early.
    """
    seed, stored, encoded, window = inputs
    config = experiment.spec.generator
    train, size = _training_images(constants, window), config.batch_size
    generated = stored.samples if encoded is None else stored.samples._replace(image=encoded)
    used = _used(experiment, "generator", seed, generation, constants, stored.valid)
    per_epoch = batches.num_batches(used.sum(), size)
    total = per_epoch * config.epochs
    end = jnp.minimum(first + count, jnp.minimum(total, config.max_steps or total))
    root = keys.root_key(seed)

    def one_epoch(carry):
        step, trained = carry
        epoch, begin = step // per_epoch, step % per_epoch
        stop = jnp.minimum(per_epoch, begin + end - step)
        order_key, step_key = _generator_keys(root, generation, epoch)
        order = batches.epoch_order(order_key, used)

        def body(i, carry):
            state, sums = carry
            index = jax.lax.dynamic_slice_in_dim(order, i * size, size)
            batch = batches.take(train, generated, index)
            batch = devices.split_batch(experiment.seeds.mesh, batch)
            key = jax.random.fold_in(step_key, i)
            state, signals = experiment.generator.update(key, constants.generator, state, batch)
            return state, {name: sums[name] + signals[name] for name in sums}

        sums = {name: by_epoch[epoch] for name, by_epoch in trained.signals.items()}
        state, sums = jax.lax.fori_loop(begin, stop, body, (trained.state, sums))
        signals = {name: x.at[epoch].set(sums[name]) for name, x in trained.signals.items()}
        steps = trained.steps.at[epoch].add(stop - begin)
        return step + stop - begin, GeneratorTraining(state, signals, steps)

    return jax.lax.while_loop(lambda carry: carry[0] < end, one_epoch, (first, trained))[1]


# Classifiers


def classifier_stage(experiment: Experiment, name: str) -> Stage:
    start = over_seeds(experiment, start_classifier, name)
    train = over_seeds(experiment, train_classifier, name)
    constants, trainer = experiment.constants, experiment.trainers[name]
    total, feed = training.most_steps(trainer), None
    if experiment.host:
        feed = Feed(experiment, classifier_order, name, **training.lengths(trainer))

    def steps(state: LoopState) -> int:
        return training.steps_in_all(state.classifiers[name], state.cursor.step, total)

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        generation, classifier = np.int32(state.cursor.generation), state.classifiers[name]
        if first == 0:
            classifier = start(nothing(seeds), seeds, constants, generation)
        window = _window(feed, seeds, state, first, count)
        inputs = join(seeds, state.queue, window)
        scalars = generation, np.int32(first), np.int32(count)
        classifier = train(classifier, inputs, constants, *scalars)
        return state._replace(classifiers={**state.classifiers, name: classifier})

    functions = {"start": start, "train": train}
    return Stage(f"classifier/{name}", 0, steps, run, functions, **fed(feed))


def start_classifier(
    experiment: Experiment, name: str, state, seed: Array, constants: Constants, generation: Array
) -> training.State:
    """Return a newly initialised classifier, or one that starts from pretrained weights."""
    key = keys.stage_key(keys.root_key(seed), f"classifier/{name}/init", generation)
    return training.init(experiment.trainers[name], key, constants.weights.get(name))


def train_classifier(
    experiment: Experiment,
    name: str,
    state: training.State,
    inputs,
    constants,
    generation,
    first,
    count,
) -> training.State:
    """Take steps first .. first + count - 1 of a classifier's training on real data + queue."""
    seed, stored, window = inputs
    real: Any = constants.train if window is None else constants.train.through(window)  # type: ignore[union-attr]
    used = _used(experiment, "classifier", seed, generation, constants, stored.valid)
    data = training.Data(real, stored.samples, used, constants.validation)
    by_epoch = _classifier_keys(name, seed, generation)
    return training.train(experiment.trainers[name], by_epoch, state, data, first, count)


def classifier_order(
    experiment: Experiment, name: str, state, inputs, constants: Constants, generation, epoch
) -> tuple[Array, Array]:
    """Return (indices int32 [n + K] in the order of an epoch, how many of them are used)."""
    seed, stored = inputs
    used = _used(experiment, "classifier", seed, generation, constants, stored.valid)
    return training.epoch_order(_classifier_keys(name, seed, generation), epoch, used), used.sum()


def _classifier_keys(name: str, seed: Array, generation) -> Callable:
    """Return epoch -> key."""
    root = keys.root_key(seed)
    return lambda epoch: keys.stage_key(root, f"classifier/{name}", generation, epoch)

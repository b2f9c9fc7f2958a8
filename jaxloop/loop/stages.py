"""One generation: the stages as pure functions, written for one seed and compiled once for all generations.

Generation 0 trains the classifiers on real data alone. Generation t >= 1 trains a new generator on real data + queue,
samples it, filters, pushes (filtering.py), trains new classifiers on real data + queue, and measures. policy.py says which real
and which generated images these are.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop import devices, keys
from jaxloop.classifiers import training
from jaxloop.data import batches
from jaxloop.loop import policy
from jaxloop.loop import queue as queues
from jaxloop.loop.experiment import Parts
from jaxloop.loop.filtering import filter_and_push, sample
from jaxloop.loop.state import Reference
from jaxloop.metrics import counts, embedded
from jaxloop.types import Array, Samples


class Compiled(NamedTuple):
    """The stage functions for all seeds. Each takes `own` (leading seed axis), then what all seeds share."""

    start_generator: Callable
    generator_epoch: Callable
    sample: Callable
    filter: Callable
    start_classifier: dict[str, Callable]
    classifier_epoch: dict[str, Callable]
    classify: dict[str, Callable]
    refer: Callable
    look: Callable

    def traces(self) -> int:
        """How many times anything was traced so far: must not grow after generation 1."""
        leaves = jax.tree.leaves(tuple(self), is_leaf=callable)
        return sum(f._cache_size() for f in leaves)


def compile_stages(parts: Parts, how: str | None = None) -> Compiled:
    """Wraps every one-seed function so that it runs for all seeds; `how` as in `devices.over_seeds`."""

    def all_seeds(function: Callable) -> Callable:
        return _over_seeds(parts, function, how)

    def per_classifier(make: Callable) -> dict[str, Callable]:
        return {name: all_seeds(make(name)) for name in parts.trainers}

    return Compiled(
        start_generator=all_seeds(start_generator),
        generator_epoch=all_seeds(generator_epoch),
        sample=all_seeds(sample),
        filter=all_seeds(filter_and_push),
        start_classifier=per_classifier(start_classifier),
        classifier_epoch=per_classifier(classifier_epoch),
        classify=per_classifier(classify),
        refer=all_seeds(refer),
        look=all_seeds(look),
    )


def compile_filter(parts: Parts, compiled: Compiled) -> Compiled:
    """The stages of parts that differ from those of `compiled` in the filter alone: nothing but what knows of it is new."""
    return compiled._replace(
        sample=_over_seeds(parts, sample), filter=_over_seeds(parts, filter_and_push)
    )


def _over_seeds(parts: Parts, function: Callable, how: str | None = None) -> Callable:
    return devices.over_seeds(lambda own, *shared: function(parts, *own, *shared), parts.mesh, how)


def start_generator(parts: Parts, seed: Array, generation: Array):
    """A newly initialised generator."""
    return parts.generator.init(keys.stage_key(keys.root_key(seed), "generator/init", generation))


def generator_epoch(
    parts: Parts, seed, generator, queue: queues.Queue, generation, epoch, train: Samples
):
    """Once over what the generator trains on, in random order, or up to generator.max_steps; a last incomplete batch is left out."""
    key = keys.stage_key(keys.root_key(seed), "generator", generation, epoch)
    order_key, step_key = keys.parts(key, "order", "step")
    used = policy.trained_on(
        parts.spec.loop, seed, "generator", generation, len(train.label), queue.valid
    )
    order = batches.epoch_order(order_key, used)
    size = parts.spec.generator.batch_size
    steps = batches.num_batches(used.sum(), size)
    if parts.spec.generator.max_steps:
        steps = jnp.clip(parts.spec.generator.max_steps - epoch * steps, 0, steps)

    def body(i, state):
        index = jax.lax.dynamic_slice_in_dim(order, i * size, size)
        batch = devices.split_batch(parts.mesh, batches.take(train, queue.samples, index))
        return parts.generator.update(jax.random.fold_in(step_key, i), state, batch)[0]

    return jax.lax.fori_loop(0, steps, body, generator)


def start_classifier(name: str) -> Callable:
    def start(parts: Parts, seed, generation, weights) -> training.State:
        key = keys.stage_key(keys.root_key(seed), f"classifier/{name}/init", generation)
        return parts.trainers[name].init(key, weights)

    return start


def classifier_epoch(name: str) -> Callable:
    def epoch(
        parts: Parts,
        seed,
        state: training.State,
        queue: queues.Queue,
        generation,
        step,
        train,
        validation,
    ):
        key = keys.stage_key(keys.root_key(seed), f"classifier/{name}", generation, step)
        used = policy.trained_on(
            parts.spec.loop, seed, "classifier", generation, len(train.label), queue.valid
        )
        return parts.trainers[name].epoch(key, state, train, queue.samples, used, validation)

    return epoch


def classify(name: str) -> Callable:
    def count(parts: Parts, seed, state: training.State, test: Samples) -> counts.Counts:
        predicted = parts.trainers[name].logits(state.best, test.image).argmax(axis=-1)
        return counts.count(
            predicted == test.label, test.label, test.group, parts.num_classes, parts.num_groups
        )

    return count


def refer(parts: Parts, seed, state: training.State, train: Samples) -> Reference:
    """The judge of generators, from a classifier of generation 0."""
    features = parts.trainers[parts.reference].features(state.best, train.image)
    return Reference(
        state.best,
        embedded.from_features(features, train.label, parts.spec.measure.images),
        state.diverged,
    )


def look(parts: Parts, seed, reference: Reference, samples: Samples, kept_index: Array):
    """What the reference sees in the kept samples -> (predicted int32 [m], Embedded)."""
    kept = jax.tree.map(lambda x: x[kept_index], samples)
    trainer = parts.trainers[parts.reference]
    predicted = trainer.logits(reference.variables, kept.image).argmax(axis=-1)
    features = trainer.features(reference.variables, kept.image)
    return predicted, embedded.from_features(features, kept.label, parts.spec.measure.images)

"""One generation: the stages as pure functions, written for one seed and compiled once for all generations.

Generation 0 trains the classifiers on real data alone. Generation t >= 1 trains a new generator on real data + queue,
samples it, filters, pushes, trains new classifiers on real data + queue, and measures.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxloop import config, devices, filters, keys
from jaxloop.classifiers import training
from jaxloop.data import batches
from jaxloop.features.network import Network
from jaxloop.filters import select
from jaxloop.generators.base import Generator
from jaxloop.loop import queue as queues
from jaxloop.loop.state import Pending, Reference, all_finite
from jaxloop.metrics import counts, embedded
from jaxloop.types import UNKNOWN_GROUP, Array, PyTree, Samples

SAMPLING_BATCH = 256


class Parts(NamedTuple):
    """An experiment put together: what the stages close over. `train`, `validation` and `test` are on the device."""

    spec: config.Spec
    mesh: Mesh
    train: Samples
    validation: Samples
    test: Samples
    num_classes: int
    num_groups: int
    image_group: Callable | None
    generator: Generator
    trainers: dict[str, training.Trainer]
    weights: dict[str, PyTree]  # pretrained variables on the device, of the classifiers that start from them
    filter: filters.Filter
    judge: str  # the classifier whose uncertainty filters
    reference: str  # the classifier of generation 0 that judges generators
    networks: dict[str, Network]  # that only embed: the distance of generated images is measured in their features too
    real: dict[str, embedded.Embedded]  # the real training images in them (loop/distances.py)
    made_per_class: int  # generated a generation
    kept_per_class: int  # pushed a generation

    @property
    def kept(self) -> int:
        """S: images pushed each generation."""
        return self.kept_per_class * self.num_classes

    @property
    def capacity(self) -> int:
        """The queue's capacity in images."""
        return self.kept * self.spec.loop.capacity

    def stages(self) -> tuple[str, ...]:
        """The names of a generation's stages, in order. Generation 0 begins with the first classifier."""
        return ("generator", "filter", *(f"classifier/{name}" for name in self.trainers), "measure")


class Compiled(NamedTuple):
    """The stage functions for all seeds. Each takes `own` (leading seed axis), then what all seeds share."""

    start_generator: Callable
    generator_epoch: Callable
    make: Callable
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
        return devices.over_seeds(lambda own, *shared: function(parts, *own, *shared), parts.mesh, how)

    def per_classifier(make: Callable) -> dict[str, Callable]:
        return {name: all_seeds(make(name)) for name in parts.trainers}

    return Compiled(
        start_generator=all_seeds(start_generator),
        generator_epoch=all_seeds(generator_epoch),
        make=all_seeds(make),
        start_classifier=per_classifier(start_classifier),
        classifier_epoch=per_classifier(classifier_epoch),
        classify=per_classifier(classify),
        refer=all_seeds(refer),
        look=all_seeds(look),
    )


def start_generator(parts: Parts, seed: Array, generation: Array):
    """A newly initialised generator."""
    return parts.generator.init(keys.stage_key(keys.root_key(seed), "generator/init", generation))


def generator_epoch(parts: Parts, seed, generator, queue: queues.Queue, generation, epoch, train: Samples):
    """Once over real data + queue, in random order, or up to generator.max_steps; a last incomplete batch is left out."""
    key = keys.stage_key(keys.root_key(seed), "generator", generation, epoch)
    order_key, step_key = keys.parts(key, "order", "step")
    every = jnp.concatenate([jnp.ones(train.label.shape[0], bool), queue.valid])
    order = batches.epoch_order(order_key, every)
    size = parts.spec.generator.batch_size
    steps = batches.num_batches(every.sum(), size)
    if parts.spec.generator.max_steps:
        steps = jnp.clip(parts.spec.generator.max_steps - epoch * steps, 0, steps)

    def body(i, state):
        index = jax.lax.dynamic_slice_in_dim(order, i * size, size)
        batch = devices.split_batch(parts.mesh, batches.take(train, queue.samples, index))
        return parts.generator.update(jax.random.fold_in(step_key, i), state, batch)[0]

    return jax.lax.fori_loop(0, steps, body, generator)


def make(parts: Parts, seed, generator, queue: queues.Queue, judge: training.State, generation):
    """Samples, scores, filters and pushes -> (Pending, Queue, generator_diverged).

    A generator with a weight that is not finite has diverged, and nothing of it is pushed.
    """
    key = keys.stage_key(keys.root_key(seed), "filter", generation)
    z_key, score_key, lost_key, dropout_key = keys.parts(key, "z", "score", "lost", "dropout")
    label = select.labels(parts.made_per_class, parts.num_classes)

    def sample(label, row):
        return parts.generator.sample(jax.random.fold_in(z_key, row[0]), generator, label)

    image = devices.in_batches(sample, SAMPLING_BATCH, label, jnp.arange(len(label)))
    group = parts.image_group(image) if parts.image_group else jnp.full(len(label), UNKNOWN_GROUP, jnp.int32)

    if parts.filter.with_dropout:
        asked = parts.trainers[parts.judge].dropout_logits
        logits = asked(dropout_key, judge.best, image, parts.spec.filter.passes)
    elif parts.filter.reads_classifier:
        logits = parts.trainers[parts.judge].logits(judge.best, image)
    else:
        logits = jnp.zeros((len(label), parts.num_classes))
    score = parts.filter.scores(score_key, image, label, logits)
    lost = judge.diverged & parts.filter.reads_classifier  # nobody to ask: a random choice, and the records say so
    score = jnp.where(lost, jnp.nan, score)
    ranking = jnp.where(lost, jax.random.uniform(lost_key, score.shape), jnp.nan_to_num(score, nan=-jnp.inf))

    kept_index = select.best_of_each_class(ranking, parts.kept_per_class, parts.num_classes)
    kept = jnp.zeros(len(label), bool).at[kept_index].set(True)
    samples = Samples(image, label, group)
    diverged = ~all_finite(generator)
    chosen = jax.tree.map(lambda x: x[kept_index], samples)
    pushed = queues.push(queue, chosen, score[kept_index], generation)
    queue = jax.tree.map(lambda old, new: jnp.where(diverged, old, new), queue, pushed)
    return Pending(samples, score, lost, kept, kept_index), queue, diverged


def start_classifier(name: str) -> Callable:
    def start(parts: Parts, seed, generation, weights) -> training.State:
        key = keys.stage_key(keys.root_key(seed), f"classifier/{name}/init", generation)
        return parts.trainers[name].init(key, weights)

    return start


def classifier_epoch(name: str) -> Callable:
    def epoch(parts: Parts, seed, state: training.State, queue: queues.Queue, generation, step, train, validation):
        key = keys.stage_key(keys.root_key(seed), f"classifier/{name}", generation, step)
        return parts.trainers[name].epoch(key, state, train, queue.samples, queue.valid, validation)

    return epoch


def classify(name: str) -> Callable:
    def count(parts: Parts, seed, state: training.State, test: Samples) -> counts.Counts:
        predicted = parts.trainers[name].logits(state.best, test.image).argmax(axis=-1)
        return counts.count(predicted == test.label, test.label, test.group, parts.num_classes, parts.num_groups)

    return count


def refer(parts: Parts, seed, state: training.State, train: Samples) -> Reference:
    """The judge of generators, from a classifier of generation 0."""
    features = parts.trainers[parts.reference].features(state.best, train.image)
    return Reference(
        state.best, embedded.from_features(features, train.label, parts.spec.measure.images), state.diverged
    )


def look(parts: Parts, seed, reference: Reference, pending: Pending):
    """What the reference sees in the kept samples -> (predicted int32 [m], Embedded)."""
    kept = jax.tree.map(lambda x: x[pending.kept_index], pending.samples)
    trainer = parts.trainers[parts.reference]
    predicted = trainer.logits(reference.variables, kept.image).argmax(axis=-1)
    features = trainer.features(reference.variables, kept.image)
    return predicted, embedded.from_features(features, kept.label, parts.spec.measure.images)

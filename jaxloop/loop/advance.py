"""The loop as a state machine: one step in, one step out. Everything that a step needs is in its arguments."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.data import batches
from jaxloop.devices import put_seeds
from jaxloop.loop import policy
from jaxloop.loop import queue as queues
from jaxloop.loop.experiment import Parts
from jaxloop.loop.filtering import sample
from jaxloop.loop.stages import Compiled, refer, start_classifier, start_generator
from jaxloop.loop.state import Cursor, LoopState
from jaxloop.types import Array, PyTree

FIRST_CLASSIFIER = 3  # the stage at which generation 0 begins


def seeds_of(parts: Parts) -> Array:
    """int32 [S]: the run seeds, the `own` of every stage function."""
    return put_seeds(parts.mesh, np.asarray(parts.spec.seeds, np.int32))


def initial(parts: Parts) -> LoopState:
    """The state before generation 0: an empty queue, and zeros in the shape of what the stages will put there."""
    seed = generation = jax.ShapeDtypeStruct((), jnp.int32)
    shape_of = lambda function, *args: jax.eval_shape(lambda *a: function(parts, *a), *args)  # noqa: E731
    one_queue = queues.empty(parts.capacity, parts.train.image.shape[1:])
    generator = shape_of(start_generator, seed, generation)
    classifiers = {
        name: shape_of(start_classifier(name), seed, generation, parts.weights.get(name))
        for name in parts.trainers
    }
    pending, diverged = shape_of(sample, seed, generator, one_queue, generation)
    reference = shape_of(refer, seed, classifiers[parts.reference], parts.train)
    seeds = len(parts.spec.seeds)

    def zeros(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: np.zeros((seeds, *leaf.shape), leaf.dtype), tree)

    arrays = LoopState(
        cursor=Cursor(0, 0, 0),
        queue=jax.tree.map(
            lambda leaf: np.repeat(np.asarray(leaf)[None], seeds, axis=0), one_queue
        ),
        generator=zeros(generator),
        generator_diverged=zeros(diverged),
        pending=zeros(pending),
        classifiers=zeros(classifiers),
        reference=zeros(reference),
    )
    return put_seeds(parts.mesh, arrays._replace(cursor=None))._replace(
        cursor=Cursor(0, FIRST_CLASSIFIER, 0)
    )


def finished(parts: Parts, cursor: Cursor) -> bool:
    """Whether nothing is left to do."""
    return cursor.generation > parts.spec.loop.generations


def step(
    parts: Parts, compiled: Compiled, seeds: Array, state: LoopState, votes: Array | None = None
) -> LoopState:
    """Does the step at the cursor (an epoch, or a whole short stage) and moves the cursor.

    votes: float32 [S n], for the stage "filter" where it asks people (`filters.Seen`).
    """
    generation, stage, number = state.cursor
    name = parts.stages()[stage]
    scalar = np.int32(generation), np.int32(number)
    if name == "generator":
        generator = state.generator if number else compiled.start_generator((seeds,), scalar[0])
        generator = compiled.generator_epoch((seeds, generator, state.queue), *scalar, parts.train)
        state = state._replace(generator=generator)
        done = number + 1 >= generator_epochs(parts, generation, state.queue)
    elif name == "sample":
        pending, diverged = compiled.sample((seeds, state.generator, state.queue), scalar[0])
        state = state._replace(pending=pending, generator_diverged=diverged)
        done = True
    elif name == "filter":
        own = (
            seeds,
            state.pending,
            state.generator_diverged,
            state.queue,
            state.classifiers[parts.judge],
            votes,
        )
        pending, queue = compiled.filter(own, scalar[0], parts.clip and parts.clip.variables)
        state = state._replace(pending=pending, queue=queue)
        done = True
    elif name == "measure":
        if generation == 0:
            reference = compiled.refer((seeds, state.classifiers[parts.reference]), parts.train)
            state = state._replace(reference=reference)
        done = True
    else:
        classifier = name.removeprefix("classifier/")
        trained = state.classifiers[classifier]
        if number == 0:
            weights = parts.weights.get(classifier)
            trained = compiled.start_classifier[classifier]((seeds,), scalar[0], weights)
        own = (seeds, trained, state.queue)
        trained = compiled.classifier_epoch[classifier](own, *scalar, parts.train, parts.validation)
        state = state._replace(classifiers={**state.classifiers, classifier: trained})
        done = bool(trained.stopped.all())
    return state._replace(cursor=_next(parts, state.cursor, done))


def generator_epochs(parts: Parts, generation: int, queue: queues.Queue) -> int:
    """Epochs of a generation's generator: config.generator.epochs, or as many as max_steps lasts."""
    spec, size = (
        parts.spec.generator,
        int(queue.size.min()),
    )  # the seed with the shortest epochs needs the most
    images = policy.count(parts.spec.loop, "generator", generation, len(parts.train.label), size)
    batches_ = max(
        1, batches.num_batches(images, spec.batch_size)
    )  # none: a queue that diverged generators left empty
    needed = -(-spec.max_steps // batches_) if spec.max_steps else spec.epochs
    return min(spec.epochs, needed)


def _next(parts: Parts, cursor: Cursor, done: bool) -> Cursor:
    if not done:
        return cursor._replace(step=cursor.step + 1)
    if cursor.stage + 1 < len(parts.stages()):
        return Cursor(cursor.generation, cursor.stage + 1, 0)
    return Cursor(cursor.generation + 1, 0, 0)

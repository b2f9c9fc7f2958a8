"""From a trained generator to the queue: sample, score by the experts, keep the best, push."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import devices, filters, keys
from jaxloop.classifiers import training
from jaxloop.devices import join, select
from jaxloop.filters import select as selection
from jaxloop.loop import policy, queue
from jaxloop.loop.experiment import Constants, Experiment, Stage, nothing, over_seeds
from jaxloop.loop.state import LoopState, Selection, all_finite
from jaxloop.types import UNKNOWN_GROUP, Array, Samples

CLIP_BATCH = 32  # images of 224x224 that are scored together


def sampling_stage(experiment: Experiment) -> Stage:
    sample = over_seeds(experiment, sample_images)
    blank = over_seeds(experiment, blank_samples)

    def steps(state: LoopState) -> int:
        return -(-experiment.num_generated // experiment.generator.sample_batch)

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        samples = blank(nothing(seeds), seeds, ()) if first == 0 else state.samples
        inputs = join(seeds, select(state.generator, lambda g: g.state), state.queue)
        scalars = np.int32(state.cursor.generation), np.int32(first), np.int32(count)
        out = sample(samples, inputs, experiment.constants, *scalars)
        return state._replace(
            samples=select(out, lambda o: o[0]), generator_diverged=select(out, lambda o: o[1])
        )

    functions = {"blank": blank, "sample": sample}
    return Stage("sample", 1, steps, run, functions, writers=("samples",))


def blank_samples(experiment: Experiment, state, seed, constants) -> Samples:
    """Return what is to be sampled, labels in turns, before anything is."""
    label = selection.labels(experiment.generated_by_class)
    side = experiment.spec.data.image_size
    group = jnp.full(len(label), UNKNOWN_GROUP, jnp.int32)
    return Samples(jnp.zeros((len(label), side, side, 3), jnp.uint8), label, group)


def sample_images(
    experiment: Experiment, samples: Samples, inputs, constants: Constants, generation, first, count
) -> tuple[Samples, Array]:
    """Sample batches first .. first + count - 1 -> (Samples, bool []: the generator diverged).

    It has diverged if a weight is not finite; or if it could not train, for all generators before
    it diverged and the loop has nothing else.
    """
    seed, generator, stored = inputs
    size, num = experiment.generator.sample_batch, len(samples.label)
    (sample_key,) = keys.parts(_filter_key(seed, generation), "z")

    def one_batch(i, samples: Samples) -> Samples:
        row = i * size + jnp.arange(size)
        label = jnp.take(
            samples.label, row, mode="fill", fill_value=0
        )  # rows past the end are dropped
        label = devices.split_batch(experiment.seeds.mesh, label)
        key = jax.random.fold_in(sample_key, row[0])
        image = experiment.generator.sample(key, constants.generator, generator, label)
        group = samples.group
        if experiment.image_group:
            group = group.at[row].set(experiment.image_group(image), mode="drop")
        return Samples(samples.image.at[row].set(image, mode="drop"), samples.label, group)

    end = jnp.minimum(first + count, -(-num // size))
    samples = jax.lax.fori_loop(first, end, one_batch, samples)
    config, num_real = experiment.spec, experiment.num_real
    used = policy.trained_on(config.loop, seed, "generator", generation, num_real, stored.valid)
    return samples, ~all_finite(generator) | (used.sum() < config.generator.batch_size)


# The filter


def filter_stage(experiment: Experiment) -> Stage:
    function = over_seeds(experiment, filter_and_push)

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        classifier = select(
            state.classifiers[experiment.filter_classifier], lambda c: (c.best, c.diverged)
        )
        inputs = join(seeds, state.samples, state.generator_diverged, classifier, votes)
        generation = np.int32(state.cursor.generation)
        out = function(state.queue, inputs, experiment.constants, generation)
        return state._replace(
            queue=select(out, lambda o: o[0]), selection=select(out, lambda o: o[1])
        )

    return Stage(
        "filter",
        1,
        lambda state: 1,
        run,
        {"filter": function},
        needs_votes=experiment.filter.needs(filters.PEOPLE),
        writers=("selection",),
    )


def filter_and_push(
    experiment: Experiment, stored: queue.Queue, inputs, constants: Constants, generation: Array
) -> tuple[queue.Queue, Selection]:
    """Score the samples, keep the best, exactly S of them, and push these.

    Where last generation's classifier has diverged, the filter ranks by its other experts; without
    any the kept images are a random choice. Of a generator that diverged nothing is pushed.
    """
    seed, samples, diverged, (variables, classifier_diverged), votes = inputs
    score_key, random_key, dropout_key = keys.parts(
        _filter_key(seed, generation), "score", "lost", "dropout"
    )
    evidence = filters.Evidence(
        image=samples.image,
        label=samples.label,
        logits=_logits(experiment, dropout_key, variables, samples.image),
        similarity=_similarity(experiment, constants, samples),
        votes=votes,
    )
    score, by_expert, unscored = filters.score(
        experiment.filter, score_key, evidence, experiment.num_classes, classifier_diverged
    )
    ranking = jnp.where(unscored, jax.random.uniform(random_key, score.shape), score)
    score = jnp.where(unscored, jnp.nan, score)

    group, num = filters.ranked_together(experiment.filter, samples.label, experiment.num_classes)
    keep = experiment.kept_by_class if num > 1 else (experiment.num_kept,)
    kept_index = selection.best(ranking, group, keep)
    chosen = jax.tree.map(lambda x: x[kept_index], samples)
    pushed = queue.push(stored, chosen, kept_index, score[kept_index], generation)
    stored = jax.tree.map(lambda old, new: jnp.where(diverged, old, new), stored, pushed)
    kept = jnp.zeros(len(samples.label), bool).at[kept_index].set(True)
    return stored, Selection(score, by_expert, unscored, kept, kept_index)


def _filter_key(seed: Array, generation: Array) -> Array:
    return keys.stage_key(keys.root_key(seed), "filter", generation)


def _logits(experiment: Experiment, key: Array, variables, image: Array) -> Array | None:
    trainer = experiment.trainers[experiment.filter_classifier]
    if experiment.filter.needs(filters.DROPOUT):
        passes = experiment.spec.filter.passes
        return training.dropout_logits(trainer, key, variables, image, passes)
    if experiment.filter.needs(filters.CLASSIFIER):
        return training.logits(trainer, variables, image)
    return None


def _similarity(experiment: Experiment, constants: Constants, samples: Samples) -> Array | None:
    clip = experiment.clip
    if clip is None:
        return None
    score = lambda image, label: clip(constants.clip, image, label)  # noqa: E731
    return devices.in_batches(score, CLIP_BATCH, samples.image, samples.label)

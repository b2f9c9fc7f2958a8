"""From a trained generator to the queue: sample, ask the experts, keep the best, push. Pure, for one seed."""

import jax
import jax.numpy as jnp

from jaxloop import devices, filters, keys
from jaxloop.classifiers import training
from jaxloop.filters import select
from jaxloop.loop import policy
from jaxloop.loop import queue as queues
from jaxloop.loop.experiment import Parts
from jaxloop.loop.state import Pending, all_finite
from jaxloop.types import UNKNOWN_GROUP, Array, PyTree, Samples

SAMPLING_BATCH = 256
CLIP_BATCH = 32  # images of 224x224 that are looked at together


def sample(
    parts: Parts, seed: Array, generator: PyTree, queue: queues.Queue, generation: Array
) -> tuple[Pending, Array]:
    """What the generator paints, not filtered yet -> (Pending, bool []: the generator diverged).

    It has diverged if a weight is not finite; or if it could not train, for all generators before it diverged and the loop has
    nothing else.
    """
    (z_key,) = keys.parts(_key(seed, generation), "z")
    label = select.labels(parts.made_per_class, parts.num_classes)

    def paint(label, row):
        return parts.generator.sample(jax.random.fold_in(z_key, row[0]), generator, label)

    image = devices.in_batches(paint, SAMPLING_BATCH, label, jnp.arange(len(label)))
    group = (
        parts.image_group(image)
        if parts.image_group
        else jnp.full(len(label), UNKNOWN_GROUP, jnp.int32)
    )
    nothing = jnp.full(len(label), jnp.nan, jnp.float32)
    pending = Pending(
        samples=Samples(image, label, group),
        score=nothing,
        scores=dict.fromkeys(parts.filter.experts, nothing),
        lost=jnp.bool_(False),
        kept=jnp.zeros(len(label), bool),
        kept_index=jnp.zeros(parts.kept, jnp.int32),
    )
    used = policy.trained_on(
        parts.spec.loop, seed, "generator", generation, len(parts.train.label), queue.valid
    )
    return pending, ~all_finite(generator) | (used.sum() < parts.spec.generator.batch_size)


def filter_and_push(
    parts: Parts,
    seed: Array,
    pending: Pending,
    diverged: Array,
    queue: queues.Queue,
    judge: training.State,
    votes: Array | None,
    generation: Array,
    clip: PyTree | None,
) -> tuple[Pending, queues.Queue]:
    """Scores the images of `sample`, keeps the best, exactly S of them, and pushes these -> (Pending, Queue).

    Args:
      diverged: bool []; of a generator that diverged nothing is pushed.
      judge: last generation's classifier. Where it has diverged, the filter ranks by what its other experts say; without any
        the kept images are a random choice.
      votes: float32 [n], what people said (`filters.Seen`); None where the filter does not ask them.
      clip: the variables of `parts.clip`, None where the filter does not ask it.
    """
    score_key, lost_key, dropout_key = keys.parts(
        _key(seed, generation), "score", "lost", "dropout"
    )
    image, label, _ = pending.samples
    seen = filters.Seen(
        label=label,
        logits=_logits(parts, dropout_key, judge, image),
        similarity=devices.in_batches(
            lambda *batch: parts.clip.apply(clip, *batch), CLIP_BATCH, image, label
        )
        if parts.filter.asks(filters.CLIP)
        else None,
        votes=votes,
    )
    score, scores, lost = filters.score(
        parts.filter, score_key, seen, parts.num_classes, judge.diverged
    )
    ranking = jnp.where(lost, jax.random.uniform(lost_key, score.shape), score)
    score = jnp.where(lost, jnp.nan, score)

    groups = parts.num_classes if parts.filter.ranking == "class" else 1
    kept_index = select.best(ranking, parts.kept // groups, groups)
    chosen = jax.tree.map(lambda x: x[kept_index], pending.samples)
    pushed = queues.push(queue, chosen, score[kept_index], generation)
    queue = jax.tree.map(lambda old, new: jnp.where(diverged, old, new), queue, pushed)
    kept = jnp.zeros(len(label), bool).at[kept_index].set(True)
    return Pending(pending.samples, score, scores, lost, kept, kept_index), queue


def _key(seed: Array, generation: Array) -> Array:
    return keys.stage_key(keys.root_key(seed), "filter", generation)


def _logits(parts: Parts, key: Array, judge: training.State, image: Array) -> Array | None:
    trainer = parts.trainers[parts.judge]
    if parts.filter.asks(filters.DROPOUT):
        return trainer.dropout_logits(key, judge.best, image, parts.spec.filter.passes)
    return trainer.logits(judge.best, image) if parts.filter.asks(filters.CLASSIFIER) else None

"""The loop as a state machine: a chunk of steps in, the next state out. Everything is in the
arguments."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.devices import put_seeds
from jaxloop.loop import judging, queue, stages
from jaxloop.loop.experiment import Experiment, Stage
from jaxloop.loop.measuring import predictions_made
from jaxloop.loop.sampling import blank_samples
from jaxloop.loop.state import Cursor, LoopState, Reference, Selection, zeros
from jaxloop.types import PyTree, Samples


def seeds_on_devices(experiment: Experiment) -> PyTree:
    """Return the run seeds as a seeded int32 scalar."""
    return put_seeds(experiment.seeds, np.asarray(experiment.seeds.values, np.int32))


def initial(experiment: Experiment, stages_: tuple[Stage, ...]) -> LoopState:
    """Return the state before generation 0, in NumPy with a leading seed axis.

    An empty queue, and zeros in the shape of what the stages will put there; nothing in place of
    generated images where there are none.
    """
    num_seeds, num_test = len(experiment.seeds.values), len(experiment.constants.test.label)
    scalar = jax.ShapeDtypeStruct((), jnp.int32)

    def shape(function, *static):
        one_seed = partial(function, experiment, *static, ())
        return jax.eval_shape(one_seed, scalar, experiment.constants, scalar)

    classifiers = {name: shape(stages.start_classifier, name) for name in experiment.trainers}
    reference = classifiers[experiment.reference]
    samples = jax.eval_shape(partial(blank_samples, experiment, (), (), ()))
    empty = queue.empty(experiment.capacity, samples.image.shape[1:])
    prediction = jax.ShapeDtypeStruct((num_test,), jnp.int32)
    blank, kinds = partial(zeros, num_seeds=num_seeds), judging.kinds(experiment)
    return LoopState(
        cursor=first(stages_, 0),
        queue=jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], num_seeds, axis=0), empty),
        encoded=(),
        generator=blank(shape(stages.start_generator)) if experiment.generates else (),
        generator_diverged=np.zeros(num_seeds, bool),
        samples=blank(samples) if experiment.generates else (),
        selection=blank(_selection(experiment, samples)) if experiment.generates else (),
        classifiers={name: blank(tree) for name, tree in classifiers.items()},
        reference=blank(Reference(reference.best, reference.diverged)),
        predictions={name: blank(prediction) for name in predictions_made(experiment)},
        **{
            kind: blank(shape(judging.start_judge, kind)) if kind in kinds else ()
            for kind in (judging.SUBGROUPS, judging.LABELS)
        },
    )


def _selection(experiment: Experiment, samples: Samples) -> Selection:
    """Return the shape of what the filter says of the samples."""
    score = jax.ShapeDtypeStruct(samples.label.shape, jnp.float32)
    return Selection(
        score=score,
        by_expert=dict.fromkeys(experiment.filter.experts, score),
        unscored=jax.ShapeDtypeStruct((), bool),
        kept=jax.ShapeDtypeStruct(score.shape, bool),
        kept_index=jax.ShapeDtypeStruct((experiment.num_kept,), jnp.int32),
    )


def finished(experiment: Experiment, cursor: Cursor) -> bool:
    """Return whether nothing is left to do."""
    return cursor.generation > experiment.spec.loop.generations


def step(
    stages_: tuple[Stage, ...], seeds: PyTree, state: LoopState, count: int, votes: PyTree = None
) -> LoopState:
    """Take `count` steps of the stage at the cursor (fewer, if it has fewer), and move the cursor.

    Args:
      seeds: of `seeds_on_devices`.
      votes: seeded float32 [n] (`filters.Evidence`), for a stage that needs them.
    """
    cursor = state.cursor
    stage = stages_[cursor.stage]
    count = int(max(1, min(count, stage.longest, stage.steps(state) - cursor.step)))
    state = stage.run(state, seeds, cursor.step, count, votes)
    state = state._replace(cursor=cursor._replace(step=cursor.step + count))
    if state.cursor.step < stage.steps(state):
        return state
    return state._replace(cursor=_after(stages_, cursor))


def _after(stages_: tuple[Stage, ...], cursor: Cursor) -> Cursor:
    """Return the beginning of the stage that follows."""
    later = [i for i in _places(stages_, cursor.generation) if i > cursor.stage]
    if later:
        return Cursor(cursor.generation, later[0], 0)
    return first(stages_, cursor.generation + 1)


def first(stages_: tuple[Stage, ...], generation: int) -> Cursor:
    """Return the beginning of a generation."""
    return Cursor(generation, _places(stages_, generation)[0], 0)


def _places(stages_: tuple[Stage, ...], generation: int) -> list[int]:
    """Return the numbers of the stages that take place in a generation."""
    return [
        i
        for i, stage in enumerate(stages_)
        if stage.first_generation <= generation <= stage.last_generation
    ]

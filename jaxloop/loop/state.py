"""Everything that a run remembers. All of it is saved; no random key is in it (see keys.py)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop import devices
from jaxloop.types import AnyArray, Array, PyTree


class Cursor(NamedTuple):
    """Where the run is: about to take step `step` of stage number `stage` of generation
    `generation`."""

    generation: int
    stage: int
    step: int


class GeneratorTraining(NamedTuple):
    """A generator in training.

    state: whatever the generator's `init` gives.
    signals: "subject/metric" -> float32 [E], sums over the steps of each epoch.
    steps: int32 [E], steps of each epoch; 0 where there was none.
    """

    state: PyTree
    signals: dict[str, AnyArray]
    steps: AnyArray


class Selection(NamedTuple):
    """What the filter said of the n sampled images.

    score: float32 [n]; NaN where there is none.  by_expert: the same of each of its experts.
    unscored: bool [], no expert had a score: the kept images are a random choice.
    kept: bool [n].  kept_index: int32 [m], the kept images in the order in which they were pushed.
    """

    score: AnyArray
    by_expert: dict[str, AnyArray]
    unscored: AnyArray
    kept: AnyArray
    kept_index: AnyArray


class Reference(NamedTuple):
    """The generation-0 classifier that measures generators.  diverged: bool []."""

    variables: PyTree
    diverged: AnyArray


class LoopState(NamedTuple):
    """Every field but the cursor is a seeded tree (`jaxloop.devices`), a dict of them by
    classifier.

    queue: queue.Queue.
    encoded: its images as the generator's `encode` gives them, [K ...]; () where they are not
      encoded; never saved.
    generator: GeneratorTraining.  generator_diverged: bool [].
    generator, samples, selection: () where nothing is generated.
    samples: Samples of n images, of the current generation; group read off the pixels,
      UNKNOWN_GROUP where they do not tell.
    selection: Selection.  classifiers: name -> training.State.  reference: Reference.
    predictions: name -> int32 [n], of the test set by that classifier; -1: it diverged.
    judge, label_judge: training.State; () without one (loop/judging.py).
    """

    cursor: Cursor
    queue: Any
    encoded: Any
    generator: Any
    generator_diverged: Any
    samples: Any
    selection: Any
    classifiers: dict[str, Any]
    reference: Any
    predictions: dict[str, Any]
    judge: Any
    label_judge: Any


def on_host(state: LoopState) -> LoopState:
    """Return a copy in NumPy, every leaf with a leading seed axis: what a checkpoint holds."""
    saved = state._replace(encoded=())
    return _mapped(saved, devices.stacked_on_host)._replace(
        cursor=Cursor(*(np.asarray(n, np.int32) for n in state.cursor))  # type: ignore[arg-type]
    )


def on_devices(state: LoopState, seeds: devices.Seeds) -> LoopState:
    """Return the state on the devices: the inverse of `on_host`."""
    return _mapped(state, lambda tree: devices.put_seeds(seeds, tree))._replace(
        cursor=Cursor(*(int(n) for n in state.cursor))
    )


def _mapped(state: LoopState, function) -> LoopState:
    fields = state._asdict()
    del fields["cursor"]
    return state._replace(
        **{
            name: {key: function(one) for key, one in value.items()}
            if name in ("classifiers", "predictions")
            else function(value)
            for name, value in fields.items()
        }
    )


def all_finite(tree: PyTree) -> Array:
    """Return bool []: no NaN and no infinity in any floating leaf."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all()


def zeros(shape: PyTree, num_seeds: int) -> PyTree:
    """Return zeros with a leading seed axis, in NumPy, in the shape of a one-seed tree."""
    return jax.tree.map(lambda x: np.zeros((num_seeds, *x.shape), x.dtype), shape)

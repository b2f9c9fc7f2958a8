"""Everything that a run remembers. All of it is saved; no random key is in it (see keys.py)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.classifiers import training
from jaxloop.loop.queue import Queue
from jaxloop.metrics.embedded import Embedded
from jaxloop.types import Array, PyTree, Samples


class Cursor(NamedTuple):
    """Where the run is: about to do step `step` of stage number `stage` (see generation.py) of generation `generation`."""

    generation: int
    stage: int
    step: int


class Pending(NamedTuple):
    """What the generator of this generation made, before and after the filter. Before it there are no scores and nothing is kept.

    samples: Samples of n images; group read off the pixels, UNKNOWN_GROUP where they do not tell.
    score: float32 [n], the filter's; NaN where it has none.  scores: the same of each of its experts.
    lost: bool [], the classifier that scores diverged: there is no score, and the kept ones are a random choice.
    kept: bool [n].  kept_index: int32 [m], the kept ones in the order in which they were pushed.
    """

    samples: Samples
    score: Array
    scores: dict[str, Array]
    lost: Array
    kept: Array
    kept_index: Array


class Reference(NamedTuple):
    """The generation-0 classifier that judges generators: label_agreement and fd_<its name> are measured with it.

    real: the real training images in its features.
    """

    variables: PyTree
    real: Embedded
    diverged: Array


class LoopState(NamedTuple):
    """Every leaf but the cursor has a leading *seed* axis.

    generator: opaque; whatever the generator's `init` gives.  generator_diverged: bool [S], in the current generation.
    classifiers: name -> training.State.
    """

    cursor: Cursor
    queue: Queue
    generator: PyTree
    generator_diverged: Array
    pending: Pending
    classifiers: dict[str, training.State]
    reference: Reference


def saved(state: LoopState) -> LoopState:
    """The state as arrays only, as the checkpoint wants it: the cursor becomes three int32 arrays."""
    return state._replace(cursor=Cursor(*(np.asarray(n, np.int32) for n in state.cursor)))


def loaded(state: LoopState) -> LoopState:
    """The inverse of `saved`."""
    return state._replace(cursor=Cursor(*(int(n) for n in state.cursor)))


def all_finite(tree: PyTree) -> Array:
    """bool []: no NaN and no infinity in any floating leaf."""
    leaves = [
        jnp.isfinite(x).all()
        for x in jax.tree.leaves(tree)
        if jnp.issubdtype(x.dtype, jnp.floating)
    ]
    return jnp.stack(leaves).all()

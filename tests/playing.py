"""Play the loop without the driver: nothing is written."""

import jax
import numpy as np

from jaxloop import evaluators
from jaxloop.devices import to_host
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_devices, on_host


def start(experiment, built=None):
    """Return the state before generation 0, on the devices."""
    built = built or stages.build(experiment)
    return on_devices(advance.initial(experiment, built), experiment.seeds)


def play(experiment, built=None, state=None, calls=None, count=10**6, evaluate=None):
    """Make `calls` calls of `count` steps each (all, if None) -> (state, records)."""
    built = built or stages.build(experiment)
    evaluate = evaluators.create(experiment) if evaluate is None else evaluate
    state = state or start(experiment, built)
    seeds, records, done = advance.seeds_on_devices(experiment), [], 0
    while not advance.finished(experiment, state.cursor) and done != calls:
        before, state = state.cursor, advance.step(built, seeds, state, count)
        if built[before.stage].evaluated:
            ended = state._replace(cursor=before)
            records += [record for one in evaluate for record in one(ended)]
        done += 1
    return state, records


def same(a, b) -> None:
    """Assert equality bit for bit, NaN included."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def same_state(a, b) -> None:
    assert a.cursor == b.cursor
    same(on_host(a)[1:], on_host(b)[1:])


def seed_of(state, i):
    """Return one seed of a state, on the host."""
    return jax.tree.map(lambda x: x[i], on_host(state)[1:])


__all__ = ["play", "same", "same_state", "seed_of", "start", "to_host"]

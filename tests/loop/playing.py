"""Runs the loop without the driver: nothing is written."""

from jaxloop.evaluators import measure
from jaxloop.loop import advance
from jaxloop.loop.stages import compile_stages


def play(parts, compiled=None, state=None, steps=None):
    """Runs `steps` steps (all, if None) -> (state, records)."""
    compiled = compiled or compile_stages(parts)
    state = state or advance.initial(parts)
    seeds, records, done = advance.seeds_of(parts), [], 0
    while not advance.finished(parts, state.cursor) and done != steps:
        before, state = state, advance.step(parts, compiled, seeds, state)
        if parts.stages()[before.cursor.stage] == "measure":
            records += measure.of_generation(
                parts, compiled, state._replace(cursor=before.cursor), seeds
            )
        done += 1
    return state, records

"""The one impure loop: steps the state machine, writes what it gives, saves, and shows where it is."""

import time
from pathlib import Path

import jax

from jaxloop import config
from jaxloop.loop import advance, artifacts, distances, measure, setup, tensorboard, workdir
from jaxloop.loop.checkpoint import Checkpoints
from jaxloop.loop.generation import compile_stages
from jaxloop.loop.progress import Progress, Timing
from jaxloop.report import page, records, tables


def run(spec: config.Spec, path: Path) -> None:
    """Runs an experiment in the folder `path`, or goes on with the one that is there, to its report.

    Raises InputError before any work starts; afterwards a model that fails is recorded, and the run goes on.
    """
    parts, description = setup.build(spec)
    events = tensorboard.Writer(path) if spec.tensorboard else None
    lock = workdir.claim(path)
    workdir.describe(path, spec, description)
    parts = distances.embed_real(parts)
    log = path / "records.jsonl"
    written = records.read(log) if log.exists() else []
    timing = Timing(path / "timing.jsonl")
    compiled, seeds = compile_stages(parts), advance.seeds_of(parts)
    checkpoints = Checkpoints(path / "checkpoints")
    state = advance.initial(parts)
    state = checkpoints.latest(state) or state
    progress = Progress(parts.stages(), spec.loop.generations, state.cursor, timing.last)
    saved_at = time.monotonic()
    while not advance.finished(parts, state.cursor):
        before, state = state, advance.step(parts, compiled, seeds, state)
        stage_ended = state.cursor[:2] != before.cursor[:2]
        if stage_ended:
            jax.block_until_ready(state)  # work is dispatched ahead: a stage's seconds are its own
            new = _leave(parts, compiled, seeds, state._replace(cursor=before.cursor), path)
            if new:
                written = records.merge(written, new)
                records.write(log, written)
            if new and events:
                events.write(new)
            timing.add(before.cursor.generation, *progress.stage_done(before.cursor))
        over = advance.finished(parts, state.cursor)
        if over or time.monotonic() - saved_at >= spec.checkpoint.every_seconds:
            checkpoints.save(state)
            saved_at = time.monotonic()
        progress.show(state.cursor)
    progress.close()
    checkpoints.close()
    page.write(path)
    print(tables.summary(path))
    print(f"\nreport: {path / 'report.html'}", flush=True)
    lock.close()


def _leave(parts, compiled, seeds, state, path: Path) -> list[dict]:
    """What the stage at the cursor leaves behind: files, and records that it returns.

    All of it is written before the next checkpoint; after a kill it is written again, alike.
    """
    stage = parts.stages()[state.cursor.stage]
    if stage == "filter":
        artifacts.write(parts, state, path)
    if stage != "measure":
        return []
    of_data = measure.of_data(parts) if state.cursor.generation == 0 else []
    return of_data + measure.of_generation(parts, compiled, state, seeds)

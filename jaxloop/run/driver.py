"""The one impure loop: steps the state machine, writes what it gives, saves, and shows where it is."""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxloop import config, filters, records
from jaxloop.errors import InputError, Waiting
from jaxloop.evaluators import distances, measure
from jaxloop.loop import advance
from jaxloop.loop.experiment import Parts
from jaxloop.loop.stages import Compiled, compile_filter, compile_stages
from jaxloop.loop.state import LoopState
from jaxloop.report import page, tables
from jaxloop.run import build as setup
from jaxloop.run import tensorboard, workdir
from jaxloop.run import votes_needed as people
from jaxloop.run import writers as artifacts
from jaxloop.run.checkpoint import Checkpoints
from jaxloop.run.progress import Progress, Timing

CONTROL = "control"  # the folder of the control arm, in the workdir


class Arm(NamedTuple):
    """A run in a folder. The control arm is the same run with a random choice in the filter's place, from generation 1 on."""

    path: Path
    parts: Parts
    compiled: Compiled

    @property
    def log(self) -> Path:
        return self.path / "records.jsonl"


def run(spec: config.Spec, path: Path) -> None:
    """Runs an experiment in the folder `path`, or goes on with the one that is there, to its report.

    Raises:
      InputError: before any work starts, or where votes.jsonl cannot be read; a model that fails is recorded, and the run goes on.
      Waiting: people must vote before it can go on. All that can be done without them is done.
    """
    parts, description = setup.build(spec)
    events = tensorboard.Writer(path) if spec.tensorboard else None
    locks = [workdir.claim(path)]
    workdir.describe(path, spec, description)
    parts = distances.embed_real(parts)
    arm, control = Arm(path, parts, compile_stages(parts)), None
    if spec.filter.control:
        chance, told = setup.control(parts, description)
        control = Arm(path / CONTROL, chance, compile_filter(chance, arm.compiled))
        locks.append(workdir.claim(control.path))
        workdir.describe(control.path, chance.spec, told)
    artifacts.write_real(parts, path)
    waits = _play(arm, events, control)
    if control:
        if waits:  # people may vote in the meantime
            print(
                f"jaxloop: {waits}\nThe control arm goes on now; the run can be started again when it is through.",
                file=sys.stderr,
            )
        _play(control, name=CONTROL)
        page.write(control.path)
    page.write(path)
    print(tables.summary(path))
    print(f"\nreport: {path / 'report.html'}", flush=True)
    for lock in locks:
        lock.close()
    if waits:
        raise waits


def _play(arm: Arm, events=None, control: Arm | None = None, name: str = "") -> Waiting | None:
    """Plays an arm to its end, or to where it waits for people. After generation 0 `control` is given the state to start from."""
    path, parts, compiled = arm.path, arm.parts, arm.compiled
    written = records.read(arm.log) if arm.log.exists() else []
    timing = Timing(path / "timing.jsonl")
    seeds, checkpoints, waits = advance.seeds_of(parts), Checkpoints(path / "checkpoints"), None
    state = advance.initial(parts)
    state = checkpoints.latest(state) or state
    progress = Progress(
        parts.stages(), parts.spec.loop.generations, state.cursor, timing.last, name
    )
    saved_at = time.monotonic()
    while not advance.finished(parts, state.cursor):
        try:
            votes = _votes(parts, state, path)
        except InputError:  # a file of votes that cannot be read: nothing that was done is lost
            checkpoints.save(state)
            raise
        except Waiting as reason:
            checkpoints.save(state)
            waits = reason.with_traceback(
                None
            )  # which would keep the state on the device while the other arm plays
            break
        before, state = state, advance.step(parts, compiled, seeds, state, votes)
        if state.cursor[:2] != before.cursor[:2]:
            jax.block_until_ready(state)  # work is dispatched ahead: a stage's seconds are its own
            new = _leave(arm, seeds, state._replace(cursor=before.cursor))
            if new:
                written = records.merge(written, new)
                records.write(arm.log, written)
            if new and events:
                events.write(new)
            if new and control and before.cursor.generation == 0:
                _fork(state, written, control)
            timing.add(before.cursor.generation, *progress.stage_done(before.cursor))
        # Votes may change later, and so may the device that a run goes on with: what was made of the former, and what both arms
        # start from, is done once.
        once = votes is not None or (control and state.cursor == (1, 0, 0))
        over = advance.finished(parts, state.cursor)
        if over or once or time.monotonic() - saved_at >= parts.spec.checkpoint.every_seconds:
            checkpoints.save(state)
            saved_at = time.monotonic()
        progress.show(state.cursor)
    progress.close()
    checkpoints.close()
    return waits


def _votes(parts: Parts, state: LoopState, path: Path) -> np.ndarray | None:
    """What people said, where the step at the cursor asks them. Raises Waiting."""
    if parts.filter.asks(filters.PEOPLE) and parts.stages()[state.cursor.stage] == "filter":
        return people.asked(parts, state, path)
    return None


def _fork(state: LoopState, written: list[dict], control: Arm) -> None:
    """Leaves the control arm generation 0: its records, and the state after it. Before the filtered arm's own next checkpoint, so
    that wherever a kill comes, an arm past generation 0 has left it; one that is killed in between leaves it anew."""
    checkpoints = Checkpoints(control.path / "checkpoints")
    records.write(control.log, [record for record in written if record["generation"] == 0])
    shared = {name: getattr(state, name) for name in ("cursor", "classifiers", "reference")}
    checkpoints.save(advance.initial(control.parts)._replace(**shared))
    checkpoints.close()


def _leave(arm: Arm, seeds, state: LoopState) -> list[dict]:
    """What the stage at the cursor leaves behind: files, and records that it returns.

    All of it is written before the next checkpoint; after a kill it is written again, alike.
    """
    parts, stage = arm.parts, arm.parts.stages()[state.cursor.stage]
    if stage == "sample":
        artifacts.write_made(parts, state, arm.path)
    if stage == "filter":
        artifacts.write_filtered(parts, state, arm.path)
    if stage != "measure":
        return []
    of_data = measure.of_data(parts) if state.cursor.generation == 0 else []
    new = of_data + measure.of_generation(parts, arm.compiled, state, seeds)
    _warn_of_deleted(new, arm.path)
    return new


def _warn_of_deleted(new: list[dict], path: Path) -> None:
    for record in new:
        if record["metric"] == "deleted_classes" and record["value"]:
            print(
                f"jaxloop: warning: {path}: generation {record['generation']}, seed {record['seed']}: the filter kept no image of "
                f"{record['value']:.0f} classes (filter.ranking is all)",
                file=sys.stderr,
            )

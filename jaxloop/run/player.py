"""Plays an experiment in a folder in chunks: writes what stages leave, saves, shows progress."""

import contextlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax

from jaxloop import evaluators, records
from jaxloop.devices import put_seeds
from jaxloop.errors import InputError, Interrupted, Waiting
from jaxloop.loop import advance, judging
from jaxloop.loop.experiment import Experiment, Stage
from jaxloop.loop.state import LoopState, on_devices
from jaxloop.run import people, writers
from jaxloop.run.checkpoint import Checkpoints
from jaxloop.run.interruption import SignalFlag
from jaxloop.run.progress import Progress, Timing

CHUNK_SECONDS = (
    2.0  # that a call of a stage should last: how often progress moves and signals are heard
)
LOG = "records"  # of a checkpoint: the stamp of the log
FIRST_CHUNK = 8  # steps, of a stage whose speed is not known


class Run(NamedTuple):
    """An experiment that is played in a folder: the configuration's own, or an arm of it.

    name: of the arm; "" of the configuration's own.
    """

    path: Path
    experiment: Experiment
    stages: tuple[Stage, ...]
    evaluators: list[evaluators.Evaluate]
    name: str = ""

    @property
    def log(self) -> Path:
        return self.path / "records.jsonl"

    @property
    def label(self) -> str:
        """What progress calls it: its arm, and its seeds where it has not all of the run's."""
        seeds = self.experiment.seeds.values
        several = "seeds" if len(seeds) > 1 else "seed"
        words = f"{several} {', '.join(map(str, seeds))}"
        parts = [self.name, words if seeds != self.experiment.spec.seeds else ""]
        return ", ".join(filter(None, parts))


class Player:
    """Plays an arm to its end, or to where it waits for people.

    events: TensorBoard.  others: arms that are given the state after generation 0 to start from.
    """

    def __init__(
        self, arm: Run, flag: SignalFlag, events=None, others: tuple[Run, ...] = (), profile=False
    ):
        self.arm, self.flag, self.events, self.others = arm, flag, events, others
        self.records = records.read(arm.log) if arm.log.exists() else []
        self.timing = Timing(arm.path / "timing.jsonl")
        self.checkpoints = _checkpoints(arm)
        self.seeds = advance.seeds_on_devices(arm.experiment)
        self.chunks: dict[str, int] = {}  # stage -> steps of its next call
        self.waited: dict[str, float] = {}  # stage -> seconds waited for images before it began
        self.unprofiled = {stage.name for stage in arm.stages} if profile else set()

    def play(self) -> Waiting | None:
        arm, experiment = self.arm, self.arm.experiment
        start = advance.initial(experiment, arm.stages)
        saved = self.checkpoints.latest(start)
        if saved:
            records.require(self.records, saved.about[LOG], arm.log)
        state = on_devices(saved.state if saved else start, experiment.seeds)
        stage_names = tuple(stage.name for stage in arm.stages)
        generations = experiment.spec.loop.generations
        progress = Progress(stage_names, generations, state.cursor, self.timing.last, arm.label)
        every, saved_at = experiment.spec.checkpoint.every_seconds, time.monotonic()
        with contextlib.closing(self.checkpoints), contextlib.closing(progress):
            while not advance.finished(experiment, state.cursor):
                stage = arm.stages[state.cursor.stage]
                waited = stage.waited() - self.waited.setdefault(stage.name, stage.waited())
                progress.show(state.cursor, stage.steps(state), progress.share(waited))
                try:
                    votes = self._votes(stage, state)
                except (InputError, Waiting) as reason:
                    self._save(state, wait=True)
                    if isinstance(reason, InputError):  # votes that cannot be read: nothing is lost
                        raise
                    return reason.with_traceback(None)  # which would keep the state on the device
                before, state = state.cursor, self._chunk(stage, state, votes)
                if state.cursor[:2] != before[:2]:
                    self._leave(stage, state, before.generation)
                    waited = stage.waited() - self.waited.pop(stage.name)
                    name, seconds = progress.stage_done(before, waited)
                    self.timing.add(before.generation, name, seconds, waited)
                # Votes may change later, and so may the device that a run goes on with: what was
                # made of the former, and what all arms start from, is done once.
                once = votes is not None or (self.others and state.cursor == (1, 0, 0))
                over = advance.finished(experiment, state.cursor) or self.flag.number is not None
                if over or once or time.monotonic() - saved_at >= every:
                    self._save(state, wait=bool(over or once))
                    saved_at = time.monotonic()
                if self.flag.number is not None:
                    raise Interrupted(self.flag.number)
        return None

    def _save(self, state: LoopState, wait: bool) -> None:
        self.checkpoints.save(state, {LOG: records.stamp(self.records)}, wait)

    def _chunk(self, stage: Stage, state: LoopState, votes) -> LoopState:
        """Take about CHUNK_SECONDS of steps. The number of steps changes no bit of the result."""
        traced = sum(f._cache_size() for f in stage.functions.values())  # type: ignore[attr-defined]
        count = self.chunks.setdefault(stage.name, FIRST_CHUNK)
        profiled = contextlib.nullcontext()
        if traced and stage.name in self.unprofiled:
            self.unprofiled.remove(stage.name)
            folder = self.arm.path / "profile" / stage.name.replace("/", "_")
            profiled = jax.profiler.trace(str(folder))
        start = time.monotonic()
        with profiled:
            state = advance.step(self.arm.stages, self.seeds, state, count, votes)
            jax.block_until_ready(state)  # work is dispatched ahead: a chunk's seconds are its own
        seconds = time.monotonic() - start
        if traced:  # the first call compiles, and says nothing on speed
            faster = CHUNK_SECONDS / max(seconds, 1e-3)
            self.chunks[stage.name] = max(1, round(count * min(4.0, max(0.25, faster))))
        return state

    def _votes(self, stage: Stage, state: LoopState):
        """Return what people said, where the stage needs it. Raises Waiting."""
        if not stage.needs_votes:
            return None
        votes = people.votes_of(self.arm.experiment, state, self.arm.path)
        return put_seeds(self.arm.experiment.seeds, votes)

    def _leave(self, stage: Stage, state: LoopState, generation: int) -> None:
        """Write what a stage leaves behind: files and records.

        All of it is written before the next checkpoint; after a kill it is written again, alike.
        """
        arm = self.arm
        ended = state._replace(cursor=state.cursor._replace(generation=generation))
        for writer in stage.writers:
            writers.WRITERS[writer](arm.experiment, ended, arm.path)
        if not stage.evaluated:
            return
        new = [record for evaluate in arm.evaluators for record in evaluate(ended)]
        self.records = records.merge(self.records, new)
        records.write(arm.log, self.records)
        _warn_of_deleted(new, arm.path)
        if self.events:
            self.events.write(new)
        if generation == 0:
            for other in self.others:
                _fork(state, ended, self.records, other)


def _checkpoints(arm: Run) -> Checkpoints:
    spec, seeds = arm.experiment.spec, arm.experiment.seeds.values
    later = "" if seeds[0] == spec.seeds[0] else f"_from_seed_{seeds[0]}"
    return Checkpoints(arm.path, seeds if spec.loop.images else None, f"checkpoints{later}")


def _fork(state: LoopState, ended: LoopState, written: list[dict], other: Run) -> None:
    """Leave another arm generation 0: its records, and the state after it.

    Before the main run's own next checkpoint: wherever a kill comes, a run past generation 0 has
    left it; one that is killed in between leaves it anew.
    """
    experiment = other.experiment
    names = ("classifiers", "reference", "predictions", *judging.kinds(experiment))
    shared = {name: getattr(state, name) for name in names}
    fresh = on_devices(advance.initial(experiment, other.stages), experiment.seeds)
    fresh = fresh._replace(cursor=advance.first(other.stages, 1), **shared)
    writers.write_predictions(experiment, ended, other.path)
    before = records.read(other.log) if other.log.exists() else []  # of other cohorts
    first = [record for record in written if record["generation"] == 0]
    merged = records.merge(before, first)
    records.write(other.log, merged)
    with contextlib.closing(_checkpoints(other)) as checkpoints:
        checkpoints.save(fresh, {LOG: records.stamp(merged)}, wait=True)


def _warn_of_deleted(new: list[dict], path: Path) -> None:
    for record in new:
        if record["metric"] == "deleted_classes" and record["value"]:
            print(
                f"jaxloop: warning: {path}: generation {record['generation']}, seed "
                f"{record['seed']}: the filter kept no image of {record['value']:.0f} classes "
                "(filter.ranking is all)",
                file=sys.stderr,
            )

"""Checkpoints of the whole LoopState, through Orbax. A save is complete or absent: a kill in the middle leaves the last one."""

import sys
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxloop.errors import InputError
from jaxloop.loop.state import LoopState, loaded, saved

KEEP = 2


class Checkpoints:
    """The checkpoints in one folder, numbered by how many were made."""

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=False)
        self._folder = folder
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self, like: LoopState) -> LoopState | None:
        """The last state that can be read, or None if none was saved.

        Args:
          like: a state of its structure, shapes and shardings.

        Raises InputError if there are checkpoints and none can be read.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return loaded(
                    self._manager.restore(step, args=ocp.args.StandardRestore(saved(like)))
                )
            except Exception as error:  # whatever a disk does to a file: the one before may be whole, and nothing is hidden
                print(
                    f"jaxloop: checkpoint {step} cannot be read ({_line(error)}); trying the one before",
                    file=sys.stderr,
                )
        if self._manager.all_steps():
            allowed = "a folder whose checkpoints can be read; remove checkpoints/ to begin again from generation 0"
            raise InputError("--workdir", str(self._folder.parent), allowed)
        return None

    def save(self, state: LoopState) -> None:
        """Saves, and returns once it is on disk."""
        step = (self._manager.latest_step() or 0) + 1
        self._manager.save(step, args=ocp.args.StandardSave(saved(jax.block_until_ready(state))))

    def close(self) -> None:
        self._manager.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

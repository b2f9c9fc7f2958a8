"""Checkpoints of the whole LoopState, through Orbax. A save is complete or absent.

Saving goes on in the background; a kill in the middle of it leaves the checkpoint before.
"""

import sys
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from jaxloop.errors import InputError
from jaxloop.loop.state import LoopState, on_host

KEEP = 2


class Checkpoints:
    """The checkpoints in one folder, numbered by how many were saved."""

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=True)
        self._folder = folder
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self, like: LoopState) -> Any:
        """Return the last state that can be read, in NumPy as `on_host` gives it; None if none was
        saved.

        Args:
          like: a state of its structure and shapes, in NumPy.

        Raises:
          InputError: there are checkpoints and none can be read.
        """
        like = like._replace(cursor=on_host(like).cursor)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._manager.restore(step, args=ocp.args.StandardRestore(like))
            except (
                Exception
            ) as error:  # whatever a disk does to a file: the one before may be whole
                message = " ".join(str(error).split())[:200]
                print(
                    f"jaxloop: checkpoint {step} cannot be read ({message}); trying the one before",
                    file=sys.stderr,
                )
        if self._manager.all_steps():
            allowed = "a folder whose checkpoints can be read; remove checkpoints/ to begin again"
            raise InputError("--workdir", str(self._folder.parent), allowed)
        return None

    def save(self, state: LoopState, wait: bool = False) -> None:
        """Save a copy of the state. wait: return only once it is on disk."""
        step = (self._manager.latest_step() or 0) + 1
        self._manager.save(step, args=ocp.args.StandardSave(on_host(state)))
        if wait:
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait for the last save."""
        self._manager.close()

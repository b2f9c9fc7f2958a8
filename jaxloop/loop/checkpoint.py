"""Checkpoints of the whole LoopState, through Orbax. A save is complete or absent: a kill in the middle leaves the last one."""

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxloop.loop.state import LoopState, loaded, saved

KEEP = 2


class Checkpoints:
    """The checkpoints in one folder, numbered by how many were made."""

    def __init__(self, folder: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self, like: LoopState) -> LoopState | None:
        """The last complete state, or None. `like` has its structure, shapes and shardings (arrays or ShapeDtypeStructs)."""
        if self._manager.latest_step() is None:
            return None
        restored = self._manager.restore(self._manager.latest_step(), args=ocp.args.StandardRestore(saved(like)))
        return loaded(restored)

    def save(self, state: LoopState) -> None:
        """Saves, and returns once it is on disk."""
        step = (self._manager.latest_step() or 0) + 1
        self._manager.save(step, args=ocp.args.StandardSave(saved(jax.block_until_ready(state))))

    def close(self) -> None:
        self._manager.close()

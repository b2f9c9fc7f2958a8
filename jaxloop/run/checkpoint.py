"""Checkpoints of the whole LoopState, through Orbax. A save is complete or absent.

Saving goes on in the background; a kill in the middle of it leaves the checkpoint before. Where a
run keeps every generated image, a checkpoint has checksums in place of the queue's images, which
are read from images/ again.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from jaxloop import files
from jaxloop.errors import InputError
from jaxloop.loop.queue import Queue
from jaxloop.loop.state import LoopState, on_host
from jaxloop.provenance import sheets, store

KEEP = 2


class Checkpoints:
    """The checkpoints of a workdir, numbered by how many were saved."""

    def __init__(
        self, workdir: Path, seeds: tuple[int, ...] | None = None, folder: str = "checkpoints"
    ):
        """seeds: of the state, if images/ holds every generated image; None if it does not.

        folder: name of theirs in the workdir.
        """
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, enable_async_checkpointing=True)
        self._workdir, self._seeds = workdir, seeds
        self._folder = (workdir / folder).absolute()
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def latest(self, like: LoopState) -> Any:
        """Return the last state that can be read, in NumPy as `on_host` gives it; None if none was
        saved.

        Args:
          like: a state of its structure and shapes, in NumPy.

        Raises:
          InputError: there are checkpoints, and none can be read or has its images in images/.
        """
        like, message = like._replace(cursor=on_host(like).cursor), ""
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._restored(step, like)
            except Exception as error:  # whatever a disk does to a file: that before may be whole
                message = files.shortened(" ".join(str(error).split()), 200)
                files.warn(f"checkpoint {step} cannot be read ({message}); trying the one before")
        if message:
            remedy = f"remove {self._folder.name}/ to begin again"
            allowed = f"a folder whose checkpoints can be read ({message}); {remedy}"
            raise InputError("--workdir", str(self._workdir), allowed)
        return None

    def _restored(self, step: int, like: LoopState) -> Any:
        if self._seeds is None:
            return self._manager.restore(step, args=ocp.args.StandardRestore(like))
        empty = like.queue.samples.image
        arguments = ocp.args.StandardRestore(_with_images(like, _checksums(empty)))
        state: Any = self._manager.restore(step, args=arguments)
        return _with_images(state, self._read_images(self._seeds, np.array(empty), state.queue))

    def save(self, state: LoopState, wait: bool = False) -> None:
        """Save a copy of the state. wait: return only once it is on disk."""
        step = (self._manager.latest_step() or 0) + 1
        state = on_host(state)
        if self._seeds is not None:
            state = _with_images(state, _checksums(state.queue.samples.image))
        self._manager.save(step, args=ocp.args.StandardSave(state))
        if wait:
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait for the last save."""
        self._manager.close()

    def _read_images(self, seeds: tuple[int, ...], image: np.ndarray, queue: Queue) -> np.ndarray:
        """Fill uint8 [S K h w c] with the queue's images, from the sheets of images/."""
        for seed, one, born, index in zip(seeds, image, queue.born, queue.index, strict=True):
            for generation in np.unique(born[born >= 0]):
                slot, path = born == generation, store.sheet(self._workdir, generation, seed)
                one[slot] = sheets.decode(path.read_bytes())[index[slot]]
        if not np.array_equal(_checksums(image), queue.samples.image):
            raise ValueError("images/ does not hold the images of the queue")
        return image


def _checksums(image: np.ndarray) -> np.ndarray:
    """Return the CRC-32 of every image, uint8 [S K h w c]: uint32 [S K]."""
    image = np.ascontiguousarray(image)
    return np.array([[zlib.crc32(one) for one in row] for row in image], np.uint32)


def _with_images(state: LoopState, image: np.ndarray) -> LoopState:
    samples = state.queue.samples._replace(image=image)
    return state._replace(queue=state.queue._replace(samples=samples))

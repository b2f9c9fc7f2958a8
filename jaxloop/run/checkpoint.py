"""Checkpoints of the whole LoopState, through Orbax. A save is complete or absent.

Saving goes on in the background; a kill in the middle of it leaves the checkpoint before. Orbax's
array files carry no checksum, so a digest of every array is saved beside them and compared: what a
disk has changed is never loaded. Where a run keeps every generated image, a checkpoint has
checksums in place of the queue's images, which are read from images/ again.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import warnings
import zlib
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxloop import devices, files
from jaxloop.errors import InputError
from jaxloop.loop.queue import Queue
from jaxloop.loop.state import LoopState, on_host
from jaxloop.provenance import sheets, store

KEEP = 2
DIGESTS = "digests"


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Pass over the tracebacks of Orbax's threads and tasks: one of their errors is raised."""
    orbax = f"{os.sep}orbax{os.sep}"
    return orbax not in record.pathname and orbax not in record.getMessage()


for _name in ("absl", "asyncio"):
    logging.getLogger(_name).addFilter(_not_of_orbax)
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # likewise


class Saved(NamedTuple):
    """A state in NumPy, as `on_host` gives it, and what was said about it when it was saved."""

    state: Any
    about: dict


class Checkpoints:
    """The checkpoints of a workdir, numbered by how many were saved."""

    def __init__(
        self, workdir: Path, seeds: tuple[int, ...] | None = None, folder: str = "checkpoints"
    ):
        """seeds: of the state, if images/ holds every generated image; None if it does not.

        folder: name of theirs in the workdir.
        """
        # Else its threads wait for minutes for the folder of a disk that cannot be written.
        at_once = ocp.options.AsyncOptions(create_directories_asynchronously=False)
        options = ocp.CheckpointManagerOptions(max_to_keep=KEEP, async_options=at_once)
        self._workdir, self._seeds = workdir, seeds
        self._folder = (workdir / folder).absolute()
        with self._writing():
            # With its handler, a step that lacks something does not change how others are read.
            handler = ocp.StandardCheckpointHandler()
            self._manager = ocp.CheckpointManager(
                self._folder, options=options, item_handlers=handler
            )

    def latest(self, like: LoopState) -> Saved | None:
        """Return the last state that is whole; None if none was saved. Later ones are deleted.

        Args:
          like: a state of its structure and shapes, in NumPy.

        Raises:
          InputError: there are checkpoints, and none is whole with its images in images/.
        """
        like, message, broken = like._replace(cursor=on_host(like).cursor), "", []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                saved = self._restored(step, like)
            except Exception as error:  # whatever a disk does to a file: that before may be whole
                message = files.one_line(error, 200)
                files.warn(f"checkpoint {step} cannot be read ({message}); trying the one before")
                broken.append(step)
                continue
            for one in broken:
                self._manager.delete(one)
            return saved
        if message:
            remedy = f"remove {self._folder.name}/ to begin again"
            allowed = f"a folder whose checkpoints can be read ({message}); {remedy}"
            raise InputError("--workdir", str(self._workdir), allowed)
        return None

    def _restored(self, step: int, like: LoopState) -> Saved:
        empty = like.queue.samples.image
        if self._seeds is not None:
            like = _with_images(like, _checksums(empty))
        state: Any = self._manager.restore(step, args=ocp.args.StandardRestore(like))
        about = dict(self._manager.metadata(step).custom_metadata or {})
        digests = about.pop(DIGESTS, {})
        changed = [name for name, digest in _digests(state).items() if digests.get(name) != digest]
        if changed:
            words = "is not what was saved" if digests else "has no digest to compare with"
            raise ValueError(f"{changed[0]} {words}")
        if self._seeds is not None:
            image = self._read_images(self._seeds, np.array(empty), state.queue)
            state = _with_images(state, image)
        return Saved(state, about)

    def save(self, state: LoopState, about: dict | None = None, wait: bool = False) -> None:
        """Save a copy of the state, and what JSON holds about it.

        wait: return only once it is on disk.  Raises OSError where it cannot be saved, of this save
        or the one before; the last checkpoint that was whole still is.
        """
        state = on_host(state)
        if self._seeds is not None:
            state = _with_images(state, _checksums(state.queue.samples.image))
        step = max(self._manager.all_steps(), default=0) + 1
        arguments = ocp.args.StandardSave(state)
        metadata = {**(about or {}), DIGESTS: _digests(state)}
        with self._writing():
            self._require_room(state)
            self._manager.save(step, args=arguments, custom_metadata=metadata)
            if wait:
                self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait for the last save."""
        with self._writing():
            self._manager.close()

    def _require_room(self, state: LoopState) -> None:
        """Raise OSError on a full disk: where it is full half-way, Orbax prints tracebacks."""
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(f"No space left: it takes up to {needed:,} bytes, {free:,} are free")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what Orbax raises, of a disk that is full or cannot be written, into an OSError."""
        try:
            yield
        except Exception as error:
            words = files.one_line(error, 160)
            whole = "the last checkpoint that was whole still is"
            raise OSError(f"{self._folder} cannot be written ({words}); {whole}") from error

    def _read_images(self, seeds: tuple[int, ...], image: np.ndarray, queue: Queue) -> np.ndarray:
        """Fill uint8 [S K h w c] with the queue's images, from the sheets of images/."""
        for seed, one, born, index in zip(seeds, image, queue.born, queue.index, strict=True):
            for generation in np.unique(born[born >= 0]):
                slot, path = born == generation, store.sheet(self._workdir, generation, seed)
                one[slot] = sheets.decode(path.read_bytes())[index[slot]]
        if not np.array_equal(_checksums(image), queue.samples.image):
            raise ValueError("images/ does not hold the images of the queue")
        return image


def _digests(state: LoopState) -> dict[str, str]:
    """Return the BLAKE2 digest of every array, by its path in the state."""
    leaves = jax.tree_util.tree_leaves_with_path(state)

    def digest(leaf: np.ndarray) -> str:
        return hashlib.blake2b(np.ascontiguousarray(leaf).data, digest_size=8).hexdigest()

    with ThreadPool(devices.cores()) as pool:  # hashing goes on outside the interpreter lock
        digests = pool.map(digest, [leaf for _, leaf in leaves])
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    return dict(zip(names, digests, strict=True))


def _checksums(image: np.ndarray) -> np.ndarray:
    """Return the CRC-32 of every image, uint8 [S K h w c]: uint32 [S K]."""
    image = np.ascontiguousarray(image)
    return np.array([[zlib.crc32(one) for one in row] for row in image], np.uint32)


def _with_images(state: LoopState, image: np.ndarray) -> LoopState:
    samples = state.queue.samples._replace(image=image)
    return state._replace(queue=state.queue._replace(samples=samples))

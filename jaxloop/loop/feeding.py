"""Training on real images that are with the host: it feeds a stage those of its next steps.

The order of an epoch is a function of keys and of the images in use, so the host knows the batches
of all steps in advance, and there is no iterator to save. Grain decodes them ahead of the steps, in
threads: Pillow works outside the interpreter lock. A call of a stage gets the images of its steps
as a *window*, all of one size, so that nothing is compiled again.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grain
import numpy as np

from jaxloop import devices
from jaxloop.data import batches
from jaxloop.loop.experiment import Experiment, Host, nothing, over_seeds
from jaxloop.types import PyTree

WINDOW_BYTES = 64 * 2**20  # of the images of a call, at most, but for one step's
WINDOW_STEPS = 64
AHEAD = 2  # windows that are decoded before they are asked for


def window_images(host: Host, batch_size: int) -> int:
    """Return how many images the window of a call holds: a whole number of batches."""
    of_step = batch_size * int(np.prod(host.shape[1:]))
    return batch_size * max(1, min(WINDOW_STEPS, WINDOW_BYTES // of_step))


class Feed:
    """Feeds one stage of an experiment whose real images are with the host.

    longest: steps of a call, at most.  waited: seconds that calls have waited for images.
    """

    def __init__(
        self,
        experiment: Experiment,
        order: Callable,
        *static,
        batch_size: int,
        epochs: int,
        steps=0,
    ):
        """Args:
        order: one-seed function (experiment, *static, state, inputs, constants, generation,
          epoch) -> (indices int32 [n + slots] in the order of that epoch, how many are used).
        steps: of an epoch; 0: its whole batches.
        """
        assert experiment.host is not None
        self._experiment, self._host = experiment, experiment.host
        self._batch_size, self._epochs, self._steps = batch_size, epochs, steps
        self._order = over_seeds(experiment, order, *static)
        self.longest = window_images(self._host, batch_size) // batch_size
        self.waited = 0.0
        self._next, self._readers = -1, []

    def window(self, inputs: PyTree, generation: int, first: int, count: int) -> PyTree:
        """Return the images of steps first .. first + count - 1: seeded (row, image) of `Windowed`.

        Args:
          inputs: seeded, of the order's function.  count: at most `longest`.
        """
        order_of = partial(self._ordered, inputs, generation)
        begin = order_of(0)  # says who asks: seeds, generation, and what is trained on
        if first == 0 or first != self._next or not self._asked_by(begin):
            self._readers = [self._reader(order, used, first) for order, used in begin]
        until = first + count + (AHEAD + 1) * self.longest
        epochs = set()
        for reader in self._readers:
            epochs |= reader.missing(until)
        for epoch in sorted(epochs):
            for reader, (order, _) in zip(self._readers, order_of(epoch), strict=True):
                reader.orders[epoch] = order
        shape = len(self._readers), self.longest * self._batch_size
        row = np.full(shape, len(self._host), np.int32)
        image = np.zeros((*shape, *self._host.shape[1:]), np.uint8)
        for reader, of_row, of_image in zip(self._readers, row, image, strict=True):
            start = time.monotonic()
            batches = reader.next(count)
            self.waited += time.monotonic() - start
            _fill(of_row, of_image, batches)
        self._next = first + count
        layout = self._experiment.seeds._replace(values=tuple(range(len(row))))
        return devices.put_seeds(layout, (row, image))

    def _ordered(self, inputs: PyTree, generation: int, epoch: int) -> list:
        scalars = np.int32(generation), np.int32(epoch)
        constants = self._experiment.constants
        return devices.to_host(self._order(nothing(inputs), inputs, constants, *scalars))

    def _asked_by(self, begin: list) -> bool:
        """Return whether these orders of epoch 0 are those that the readers began with."""
        before = [reader.orders[0] for reader in self._readers]
        both = itertools.zip_longest(before, (order for order, _ in begin))
        return all(a is not None and np.array_equal(a, b) for a, b in both)

    def _reader(self, order: np.ndarray, used: np.ndarray, first: int) -> "_Reader":
        per_epoch = self._steps or batches.num_batches(int(used), self._batch_size)
        steps = _Steps(self._host, self._batch_size, int(used), per_epoch, self._epochs, {0: order})
        return _Reader(steps, first, AHEAD * self.longest)


def fed(feed: Feed | None) -> dict[str, Any]:
    """Return the fields of a stage that say how it is fed."""
    return {"longest": feed.longest, "waited": lambda: feed.waited} if feed else {}


class _Steps:
    """The images of every step of one seed's stage: step -> (row int [m], image [m h w c])."""

    def __init__(self, host: Host, batch_size: int, used: int, per_epoch: int, epochs: int, orders):
        self.host, self.batch_size, self.used = host, batch_size, used
        self.per_epoch, self.orders = per_epoch, orders
        self.total = per_epoch * epochs if used else 0

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, i = divmod(step, self.per_epoch)
        place = (i * self.batch_size + np.arange(self.batch_size)) % self.used  # as batch_of
        index = self.orders[epoch][place]
        row = np.unique(index[index < len(self.host)])  # the others are in the queue
        return row, self.host.read(row)


class _Reader:
    """Goes through the steps of one seed's stage, decoded ahead.  orders: epoch -> indices."""

    def __init__(self, steps: _Steps, first: int, ahead: int):
        self._steps, self._step, self.orders = steps, first, steps.orders
        self._options = grain.ReadOptions(devices.cores(), prefetch_buffer_size=ahead)
        self._batches: Iterator | None = None  # nothing is read before there are orders

    def missing(self, until: int) -> set[int]:
        """Return the epochs that lie before step `until` and have no order yet; forget old ones."""
        per_epoch, total = self._steps.per_epoch, len(self._steps)
        if self._step >= total:
            return set()
        now, last = self._step // per_epoch, min(until, total - 1) // per_epoch
        for epoch in [epoch for epoch in self.orders if 0 < epoch < now]:
            del self.orders[epoch]
        return set(range(now, last + 1)) - self.orders.keys()

    def next(self, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the next `count` steps, or those that are left."""
        if self._batches is None:
            self._batches = iter(())
            if self._step < len(self._steps):
                rest = grain.MapDataset.source(self._steps)[self._step :]  # type: ignore[arg-type]
                self._batches = iter(rest.to_iter_dataset(self._options))
        self._step += count
        return list(itertools.islice(self._batches, count))


def _fill(row: np.ndarray, image: np.ndarray, batches: list) -> None:
    """Write the images of steps, [(row, image)], into a window, each once and ascending."""
    if batches:
        rows = np.unique(np.concatenate([of_step for of_step, _ in batches]))
        row[: len(rows)] = rows
        for of_step, images in batches:
            image[np.searchsorted(rows, of_step)] = images

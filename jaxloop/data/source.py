"""What the loop needs of a data set: a source of labelled pictures, in memory or larger than it."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxloop.types import Samples


class Source(Protocol):
    """n labelled pictures, n = len(label); `label` and `group`, int32 [n], are in memory."""

    @property
    def label(self) -> Any: ...
    @property
    def group(self) -> Any: ...
    def take(self, index) -> Any:
        """Return the pictures of `index`, int [b]: uint8 [b h w c]."""

    def extras(self, index) -> dict[str, Any]:
        """Return what else a test set knows of them, e.g. {"mask": [b h w]}; may be empty."""
        ...


class InMemory(NamedTuple):
    """A source of NumPy or JAX arrays, and a pytree of them; its methods are pure and jit-able.

    image: uint8 [n h w c]; label, group: int32 [n]; annotations: {name: [n ...]}, for `extras`.
    """

    image: Any
    label: Any
    group: Any
    annotations: Mapping[str, Any] = {}

    @classmethod
    def from_samples(cls, samples: Samples, **annotations) -> "InMemory":
        for name, array in annotations.items():
            if len(array) != len(samples.label):
                raise ValueError(f"{name}: {len(array)} rows for {len(samples.label)} pictures")
        return cls(*samples, annotations)

    @property
    def in_memory(self) -> "InMemory":
        """Itself; of a source that is streamed, the images that stand for it in measures."""
        return self

    def to_samples(self) -> Samples:
        return Samples(self.image, self.label, self.group)

    def take(self, index):
        return _rows(self.image, index)

    def extras(self, index) -> dict[str, Any]:
        return {name: _rows(array, index) for name, array in self.annotations.items()}


class Windowed(NamedTuple):
    """A source of which some images are at hand: those of the steps of one call. A pytree.

    label, group: int32 [n], of the whole source.
    row: int32 [m], ascending, which images these are; places that are not used come last, at n.
    image: uint8 [m h w c].
    """

    label: Any
    group: Any
    row: Any
    image: Any

    def take(self, index):
        """Return the images of `index`, int [b]; of one that is not at hand it gives another."""
        place = jnp.searchsorted(self.row, index).clip(0, len(self.row) - 1)
        return self.image[place]

    def extras(self, index) -> dict[str, Any]:
        return {}


class Streamed(NamedTuple):
    """A source whose images are with the host, which feeds a stage with `Windowed` ones. A pytree.

    label, group: int32 [n].
    in_memory: some of its images, spread evenly over the classes, that stand for it in measures.
    """

    label: Any
    group: Any
    in_memory: InMemory

    def through(self, window: tuple[Any, Any]) -> Windowed:
        """Return the source with the images at hand: (row, image) of `Windowed`."""
        return Windowed(self.label, self.group, *window)

    def to_samples(self) -> Samples:
        return self.in_memory.to_samples()


def _rows(array, index):
    """Index an array; NumPy's cannot be indexed by a traced one."""
    return (jnp.asarray(array) if isinstance(index, jax.Array) else array)[index]

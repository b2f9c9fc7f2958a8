"""The queue of generated images: a ring of fixed capacity, so that nothing retraces while it fills
(data stacking, 3.2)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloop.types import UNKNOWN_GROUP, Array, Samples


class Queue(NamedTuple):
    """First in, first out.

    samples: Samples of K images, K the capacity; only the `size` youngest count.
    born: int32 [K], the generation that made the image; -1 where there is none yet.
    index: int32 [K], its place among all images of that generation.
    score: float32 [K], what the filter thought of it.
    head: int32 scalar, where the next image goes.
    size: int32 scalar, in [0, K].
    """

    samples: Samples
    born: Array
    index: Array
    score: Array
    head: Array
    size: Array

    @property
    def valid(self) -> Array:
        """bool [K]: the slots that hold an image."""
        return self.born >= 0


def empty(capacity: int, image_shape: tuple[int, int, int]) -> Queue:
    """A queue of `capacity` images of shape (h, w, c) with nothing in it."""
    return Queue(
        samples=Samples(
            image=jnp.zeros((capacity, *image_shape), jnp.uint8),
            label=jnp.zeros((capacity,), jnp.int32),
            group=jnp.full((capacity,), UNKNOWN_GROUP, jnp.int32),
        ),
        born=jnp.full((capacity,), -1, jnp.int32),
        index=jnp.zeros((capacity,), jnp.int32),
        score=jnp.zeros((capacity,), jnp.float32),
        head=jnp.int32(0),
        size=jnp.int32(0),
    )


def push(queue: Queue, samples: Samples, index: Array, score: Array, generation: Array) -> Queue:
    """Put n images in, in their order; the oldest leave when there is no room.

    index, score: of each image.  Raises ValueError where n exceeds the capacity.
    """
    capacity, n = queue.born.shape[0], samples.label.shape[0]
    if n > capacity:
        raise ValueError(f"{n} images do not fit into a queue of {capacity}")
    slot = (queue.head + jnp.arange(n)) % capacity
    return Queue(
        samples=jax.tree.map(lambda old, new: old.at[slot].set(new), queue.samples, samples),
        born=queue.born.at[slot].set(generation),
        index=queue.index.at[slot].set(index),
        score=queue.score.at[slot].set(score),
        head=(queue.head + n) % capacity,
        size=jnp.minimum(queue.size + n, capacity),
    )


def oldest_first(queue: Queue) -> Array:
    """int32 [K]: the slots in the order in which their images came; the empty ones in front."""
    return (queue.head + jnp.arange(queue.born.shape[0])) % queue.born.shape[0]

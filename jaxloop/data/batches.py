"""Batches as index vectors: an epoch runs over the real images and the valid part of the queue.

The two sets are never concatenated, which would copy the real set for every seed. Index i < n is
real image i; index n + j is slot j of the queue. A change of the valid slots traces nothing anew.
"""

import jax
import jax.numpy as jnp

from jaxloop.data.source import Source
from jaxloop.types import Array, Samples


def epoch_order(key: Array, valid: Array) -> Array:
    """Return a uniformly random order of the indices that are `valid`, bool [N]: int32 [N].

    The others follow; only the first `sum(valid)` entries are to be used.
    """
    # 32 random bits rarely tie, and a tie only orders two images; a float32 has 23 of them.
    return jnp.lexsort((jax.random.bits(key, valid.shape), ~valid)).astype(jnp.int32)


def num_batches(count, batch_size: int):
    """Return the whole batches in an epoch of `count` images (an int, or a traced int32 scalar).

    The incomplete last batch is left out, so that all have one shape; each order omits others.
    """
    return count // batch_size


def batch_of(order: Array, count: Array, i: Array, batch_size: int) -> Array:
    """Return the indices in batch `i` of an epoch: int32 [batch_size].

    The first `count` entries of `order` are gone through, and again where the epoch is longer: no
    image comes more than once oftener than another.
    """
    return order[(i * batch_size + jnp.arange(batch_size)) % jnp.maximum(count, 1)]


def take(real: Source, queue: Samples, index: Array) -> Samples:
    """Return the images of `index`, int32 [b] in [0, n + slots); n > 0, slots may be 0."""
    n, slots = len(real.label), len(queue.label)
    if slots == 0:  # nothing to gather from
        return Samples(real.take(index), real.label[index], real.group[index])
    is_real = index < n
    # Both gathers happen for every entry; what is not selected must only stay in bounds.
    row, slot = jnp.minimum(index, n - 1), jnp.maximum(index - n, 0)
    from_real = Samples(real.take(row), real.label[row], real.group[row])
    from_queue = Samples(*(field[slot] for field in queue))

    def select(a, b):
        return jnp.where(is_real.reshape(is_real.shape + (1,) * (a.ndim - 1)), a, b)

    return Samples(*(select(a, b) for a, b in zip(from_real, from_queue, strict=True)))

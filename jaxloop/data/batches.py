"""Batches as index vectors: an epoch runs over the real images and the valid part of the queue.

The two sets are never concatenated, which would copy the real set for every seed. Index i < len(real) is real image i,
index len(real) + j is slot j of the queue. How many slots are valid may change without anything being traced again.
"""

import jax
import jax.numpy as jnp

from jaxloop.types import Array, Samples


def epoch_order(key: Array, valid: Array) -> Array:
    """A uniformly random order of the valid indices, followed by the others.

    Args:
      key: of this epoch.
      valid: bool [N].

    Returns:
      int32 [N], a permutation of 0..N-1. Only its first `sum(valid)` entries are to be used.
    """
    # 32 random bits tie once in about 2 N**-2 * 2**32 epochs, and a tie only orders two images; float32 has 23 of them.
    return jnp.lexsort((jax.random.bits(key, valid.shape), ~valid)).astype(jnp.int32)


def num_batches(count, batch_size: int):
    """Whole batches in an epoch of `count` images (an int, or an int32 scalar that is traced).

    The incomplete last batch is left out, so that all batches have one shape; the next epoch's order leaves out others.
    It is 0 if `count` < `batch_size`.
    """
    return count // batch_size


def take(real: Samples, queue: Samples, index: Array) -> Samples:
    """The images of one batch.

    Args:
      real: n >= 1 images.
      queue: any number of slots (static), of pictures of the same shape.
      index: int32 [b], in [0, n + slots), e.g. a slice of `epoch_order`.

    Returns:
      Samples of b images.
    """
    n, slots = len(real.label), len(queue.label)
    if slots == 0:  # nothing to gather from
        return Samples(*(field[index] for field in real))
    is_real = index < n
    # Both gathers happen for every entry; the one that is not selected must stay in bounds, and it may read anything.
    in_real, in_queue = jnp.minimum(index, n - 1), jnp.maximum(index - n, 0)

    def select(of_real, of_queue):
        mask = is_real.reshape(is_real.shape + (1,) * (of_real.ndim - 1))
        return jnp.where(mask, of_real[in_real], of_queue[in_queue])

    return Samples(*(select(a, b) for a, b in zip(real, queue, strict=True)))

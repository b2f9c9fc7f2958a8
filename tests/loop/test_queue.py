from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.loop import queue as queues
from jaxloop.types import Samples


def batch(first: int, n: int) -> tuple[Samples, jnp.ndarray]:
    """n images that carry their own number."""
    number = np.arange(first, first + n)
    image = np.zeros((n, 2, 2, 3), np.uint8) + (number % 256).astype(np.uint8)[:, None, None, None]
    samples = Samples(
        jnp.asarray(image), jnp.asarray(number, jnp.int32), jnp.asarray(number % 3, jnp.int32)
    )
    return samples, jnp.asarray(number, jnp.float32) / 7


@pytest.mark.parametrize("seed", range(10))
def test_equals_a_deque(seed):
    draw = np.random.default_rng(seed)
    capacity = int(draw.integers(1, 20))
    queue, model, first = queues.empty(capacity, (2, 2, 3)), deque(maxlen=capacity), 0
    push = jax.jit(queues.push)
    for generation in range(1, 12):
        n = int(draw.integers(1, capacity + 1))
        samples, score = batch(first, n)
        queue = push(queue, samples, samples.label + 1, score, jnp.int32(generation))
        model.extend((i, generation) for i in range(first, first + n))
        first += n
        order = np.asarray(queues.oldest_first(queue))
        order = order[np.asarray(queue.valid)[order]]
        assert int(queue.size) == len(model) <= capacity
        assert np.asarray(queue.valid).sum() == len(model)
        assert [(int(queue.samples.label[i]), int(queue.born[i])) for i in order] == list(model)
        for i in (
            order
        ):  # the rows stayed together: picture, group, index and score are those of the label
            number = int(queue.samples.label[i])
            assert int(queue.samples.image[i, 0, 0, 0]) == number % 256
            assert int(queue.samples.group[i]) == number % 3
            assert int(queue.index[i]) == number + 1
            assert float(queue.score[i]) == pytest.approx(number / 7, rel=1e-6)


def test_more_than_the_capacity_is_refused():
    samples, score = batch(0, 3)
    with pytest.raises(ValueError, match="3 images"):
        queues.push(queues.empty(2, (2, 2, 3)), samples, samples.label, score, jnp.int32(1))

"""A source in memory: indexing on the host, inside jit, and as a pytree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.data.source import InMemory, Source
from jaxloop.types import Samples

N = 7
SAMPLES = Samples(
    np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8),
    np.arange(N, dtype=np.int32) % 2,
    np.arange(N, dtype=np.int32) % 3 - 1,
)
MASK = np.random.default_rng(1).random((N, 4, 4)) > 0.5
INDEX = np.array([4, 0, 4], np.int32)


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("index", [INDEX, jnp.asarray(INDEX)])
def test_take_and_extras(array, index):
    source: Source = jax.tree.map(array, InMemory.from_samples(SAMPLES, mask=MASK))
    assert len(source.label) == N
    np.testing.assert_array_equal(source.take(index), SAMPLES.image[INDEX])
    assert source.extras(index).keys() == {"mask"}
    np.testing.assert_array_equal(source.extras(index)["mask"], MASK[INDEX])


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_inside_jit_as_an_argument_and_as_a_constant(array):
    source = jax.tree.map(array, InMemory.from_samples(SAMPLES, mask=MASK))

    def batch(source, index):
        return source.take(index), source.extras(index)["mask"]

    for taken in (jax.jit(batch)(source, INDEX), jax.jit(lambda i: batch(source, i))(INDEX)):
        np.testing.assert_array_equal(taken[0], SAMPLES.image[INDEX])
        np.testing.assert_array_equal(taken[1], MASK[INDEX])


def test_samples_there_and_back():
    source = InMemory.from_samples(SAMPLES)
    assert source.to_samples() is not SAMPLES
    for field, expected in zip(source.to_samples(), SAMPLES, strict=True):
        assert field is expected
    assert source.extras(INDEX) == {}
    with pytest.raises(ValueError, match="mask: 6 rows for 7 pictures"):
        InMemory.from_samples(SAMPLES, mask=MASK[:6])

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from jaxloop import convolution

NHWC = ("NHWC", "HWIO", "NHWC")

# (height, width, channels in, channels out, kernel, stride, padding): what the models use, and odd shapes beside it
SHAPES = [
    (16, 16, 3, 6, (5, 5), (1, 1), "SAME"),
    (8, 8, 6, 16, (5, 5), (1, 1), "VALID"),
    (28, 28, 3, 8, (3, 3), (1, 1), "SAME"),
    (2, 2, 32, 32, (3, 3), (1, 1), "SAME"),
    (7, 9, 4, 5, (3, 3), (2, 2), "SAME"),
    (8, 8, 4, 5, (3, 3), (2, 2), ((1, 1), (1, 1))),
    (16, 16, 3, 8, (4, 4), (2, 2), ((1, 1), (1, 1))),
    (8, 6, 4, 5, (2, 4), (2, 2), "VALID"),
    (9, 8, 4, 5, (4, 4), (2, 2), ((1, 0), (1, 1))),
    (11, 6, 2, 3, (1, 3), (2, 1), "VALID"),
    (5, 5, 4, 7, (1, 1), (1, 1), "SAME"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradients_equal_lax_conv(shape):
    height, width, c, o, kernel, stride, padding = shape
    draw = np.random.default_rng(0)
    image = jnp.asarray(draw.normal(size=(4, height, width, c)), jnp.float32)
    weight = jnp.asarray(draw.normal(size=(*kernel, c, o)), jnp.float32)

    def ours(image, weight):
        return convolution.patches_matmul(image, weight, stride, padding)

    def theirs(image, weight):
        return lax.conv_general_dilated(image, weight, stride, padding, dimension_numbers=NHWC)

    def pulled_back(f):
        value, pull = jax.vjp(f, image, weight)
        return value, *pull(jnp.cos(jnp.arange(value.size, dtype=jnp.float32)).reshape(value.shape))

    for mine, other in zip(pulled_back(ours), pulled_back(theirs), strict=True):
        # float32 sums of at most a few hundred terms of order one, in another order
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-5 * float(np.abs(other).max()))


def test_groups_and_dilation_go_to_lax():
    image, weight = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 1, 4))
    got = convolution.convolve(image, weight, (1, 1), "SAME", feature_group_count=4, dimension_numbers=NHWC)
    assert got.shape == (1, 8, 8, 4) and float(got[0, 4, 4, 0]) == 9.0
    got = convolution.convolve(
        image, jnp.ones((3, 3, 4, 1)), (1, 1), "VALID", rhs_dilation=(2, 2), dimension_numbers=NHWC
    )
    assert got.shape == (1, 4, 4, 1)


@pytest.mark.parametrize("side", [8, 7])
def test_max_pool_equals_linen(side):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, side, side, 5)), jnp.float32)
    np.testing.assert_array_equal(convolution.max_pool_2x2(x), nn.max_pool(x, (2, 2), (2, 2)))


def test_space_to_depth():
    x = jnp.arange(2 * 4 * 6 * 3, dtype=jnp.float32).reshape(2, 4, 6, 3)
    deep = convolution.space_to_depth(x)
    assert deep.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(deep[0, 0, 0], jnp.concatenate([x[0, 0, 0], x[0, 0, 1], x[0, 1, 0], x[0, 1, 1]]))

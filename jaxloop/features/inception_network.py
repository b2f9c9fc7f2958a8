"""Inception-V3 as TensorFlow published it in 2015, which is the network of the FID (Heusel et al. 2017, arXiv:1706.08500).

Szegedy et al. (2016, arXiv:1512.00567), with what is peculiar to these weights and not in torchvision's network: an average
pool does not count padding, and the last block pools by maximum. Layers bear their published names. Inference only.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.types import Array

SIDE, DIM = 299, 2048  # of the images that the network sees, in pixels; of its features
EPSILON = 1e-3


class Unit(nn.Module):
    """Convolution, batch norm by its running statistics, ReLU: [n h w c] -> [n h' w' features]."""

    features: int
    kernel: tuple[int, int]
    stride: int
    padding: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        strides = (self.stride, self.stride)
        # Accelerators would round the factors to fewer than float32's digits, and the distance is one of record.
        conv = partial(Conv, use_bias=False, precision="highest", name="conv")
        return nn.relu(Scale(name="bn")(conv(self.features, self.kernel, strides, self.padding)(x)))


class Scale(nn.Module):
    """Batch norm that has been trained: scale and shift of the channels of [n h w c], from running statistics."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape).value
        var = self.variable("batch_stats", "var", jnp.ones, shape).value
        factor = scale * lax.rsqrt(var + EPSILON)
        return x * factor[None, None, None] + (bias - mean * factor)[None, None, None]


def unit(
    name: str,
    features: int,
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    padding: str = "SAME",
) -> Unit:
    """A `Unit` of this name; 1x1, stride 1 and padded to the same size unless said otherwise."""
    return Unit(features, kernel, stride, padding, name=name)


def average_pool(x: Array) -> Array:
    """Mean over 3x3, stride 1, of the pixels that are there: padding is not counted."""
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


class MixedA(nn.Module):
    """Mixed_5: [n 35 35 c] -> [n 35 35 224+pool]."""

    pool: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = unit("branch1x1", 64)(x)
        five = unit("branch5x5_1", 48)(x)
        five = unit("branch5x5_2", 64, (5, 5))(five)
        double = unit("branch3x3dbl_1", 64)(x)
        double = unit("branch3x3dbl_2", 96, (3, 3))(double)
        double = unit("branch3x3dbl_3", 96, (3, 3))(double)
        pooled = unit("branch_pool", self.pool)(average_pool(x))
        return jnp.concatenate([one, five, double, pooled], axis=-1)


class MixedB(nn.Module):
    """Mixed_6a: [n 35 35 c] -> [n 17 17 480+c]."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = unit("branch3x3", 384, (3, 3), 2, "VALID")(x)
        double = unit("branch3x3dbl_1", 64)(x)
        double = unit("branch3x3dbl_2", 96, (3, 3))(double)
        double = unit("branch3x3dbl_3", 96, (3, 3), 2, "VALID")(double)
        return jnp.concatenate([three, double, max_pool(x, 3, 2)], axis=-1)


class MixedC(nn.Module):
    """Mixed_6b to 6e: [n 17 17 c] -> [n 17 17 768]."""

    inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = unit("branch1x1", 192)(x)
        seven = unit("branch7x7_1", self.inner)(x)
        seven = unit("branch7x7_2", self.inner, (1, 7))(seven)
        seven = unit("branch7x7_3", 192, (7, 1))(seven)
        double = unit("branch7x7dbl_1", self.inner)(x)
        double = unit("branch7x7dbl_2", self.inner, (7, 1))(double)
        double = unit("branch7x7dbl_3", self.inner, (1, 7))(double)
        double = unit("branch7x7dbl_4", self.inner, (7, 1))(double)
        double = unit("branch7x7dbl_5", 192, (1, 7))(double)
        pooled = unit("branch_pool", 192)(average_pool(x))
        return jnp.concatenate([one, seven, double, pooled], axis=-1)


class MixedD(nn.Module):
    """Mixed_7a: [n 17 17 c] -> [n 8 8 512+c]."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = unit("branch3x3_1", 192)(x)
        three = unit("branch3x3_2", 320, (3, 3), 2, "VALID")(three)
        seven = unit("branch7x7x3_1", 192)(x)
        seven = unit("branch7x7x3_2", 192, (1, 7))(seven)
        seven = unit("branch7x7x3_3", 192, (7, 1))(seven)
        seven = unit("branch7x7x3_4", 192, (3, 3), 2, "VALID")(seven)
        return jnp.concatenate([three, seven, max_pool(x, 3, 2)], axis=-1)


class MixedE(nn.Module):
    """Mixed_7b and 7c: [n 8 8 c] -> [n 8 8 2048]. `pool`: what the last branch sees."""

    pool: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = unit("branch1x1", 320)(x)
        three = unit("branch3x3_1", 384)(x)
        wide = unit("branch3x3_2a", 384, (1, 3))(three)
        high = unit("branch3x3_2b", 384, (3, 1))(three)
        double = unit("branch3x3dbl_1", 448)(x)
        double = unit("branch3x3dbl_2", 384, (3, 3))(double)
        double_wide = unit("branch3x3dbl_3a", 384, (1, 3))(double)
        double_high = unit("branch3x3dbl_3b", 384, (3, 1))(double)
        pooled = unit("branch_pool", 192)(self.pool(x))
        return jnp.concatenate([one, wide, high, double_wide, double_high, pooled], axis=-1)


class InceptionV3(nn.Module):
    """Pixels scaled to [-1, 1], [n 299 299 3] -> the last block's average over the picture, [n 2048]. No head."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = unit("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID")(x)
        x = unit("Conv2d_2a_3x3", 32, (3, 3), padding="VALID")(x)
        x = unit("Conv2d_2b_3x3", 64, (3, 3))(x)
        x = max_pool(x, 3, 2)
        x = unit("Conv2d_3b_1x1", 80)(x)
        x = unit("Conv2d_4a_3x3", 192, (3, 3), padding="VALID")(x)
        x = max_pool(x, 3, 2)
        for name, pool in {"Mixed_5b": 32, "Mixed_5c": 64, "Mixed_5d": 64}.items():
            x = MixedA(pool, name=name)(x)
        x = MixedB(name="Mixed_6a")(x)
        for name, inner in {
            "Mixed_6b": 128,
            "Mixed_6c": 160,
            "Mixed_6d": 160,
            "Mixed_6e": 192,
        }.items():
            x = MixedC(inner, name=name)(x)
        x = MixedD(name="Mixed_7a")(x)
        x = MixedE(average_pool, name="Mixed_7b")(x)
        x = MixedE(partial(max_pool, window=3, stride=1, padding=1), name="Mixed_7c")(x)
        return x.mean(axis=(1, 2))

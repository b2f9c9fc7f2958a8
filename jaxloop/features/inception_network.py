"""Inception-V3 as TensorFlow published it in 2015: the network of the FID (arXiv:1706.08500).

Szegedy et al. (2016, arXiv:1512.00567), with what is peculiar to these weights and not in
torchvision's network: an average pool does not count padding, and the last block pools by maximum.
Layers have their published names. Inference only.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn

from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.ops.layers import BatchNorm
from jaxloop.types import Array

SIDE, DIM = 299, 2048  # of the images that the network sees, in pixels; of its features


class Unit(nn.Module):
    """Convolution, batch norm by its running statistics, ReLU: [n h w c] -> [n h' w' features]."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        # The FID is of record, and accelerators would round to fewer than float32's digits.
        conv = partial(Conv, use_bias=False, precision="highest", name="conv")
        x = conv(self.features, self.kernel, self.stride, self.padding)(x)
        return nn.relu(BatchNorm(train=False, epsilon=1e-3, name="bn")(x))


def branch(x: Array, name: str, *layers: tuple) -> Array:
    """Chain units called name_1, name_2, ..., whose other arguments are `layers`."""
    for i, layer in enumerate(layers, start=1):
        x = Unit(*layer, name=f"{name}_{i}")(x)
    return x


def average_pool(x: Array) -> Array:
    """Average 3x3 pixels, stride 1, without counting the padding."""
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


class MixedA(nn.Module):
    """Mixed_5: [n 35 35 c] -> [n 35 35 224+pool]."""

    pool: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = Unit(64, name="branch1x1")(x)
        five = branch(x, "branch5x5", (48,), (64, (5, 5)))
        double = branch(x, "branch3x3dbl", (64,), (96, (3, 3)), (96, (3, 3)))
        pooled = Unit(self.pool, name="branch_pool")(average_pool(x))
        return jnp.concatenate([one, five, double, pooled], axis=-1)


class MixedB(nn.Module):
    """Mixed_6a: [n 35 35 c] -> [n 17 17 480+c]."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = Unit(384, (3, 3), 2, "VALID", name="branch3x3")(x)
        double = branch(x, "branch3x3dbl", (64,), (96, (3, 3)), (96, (3, 3), 2, "VALID"))
        return jnp.concatenate([three, double, max_pool(x, 3, 2)], axis=-1)


class MixedC(nn.Module):
    """Mixed_6b to 6e: [n 17 17 c] -> [n 17 17 768]."""

    inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        first, wide, high = (self.inner,), (self.inner, (1, 7)), (self.inner, (7, 1))
        one = Unit(192, name="branch1x1")(x)
        seven = branch(x, "branch7x7", first, wide, (192, (7, 1)))
        double = branch(x, "branch7x7dbl", first, high, wide, high, (192, (1, 7)))
        pooled = Unit(192, name="branch_pool")(average_pool(x))
        return jnp.concatenate([one, seven, double, pooled], axis=-1)


class MixedD(nn.Module):
    """Mixed_7a: [n 17 17 c] -> [n 8 8 512+c]."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        last = ((3, 3), 2, "VALID")
        three = branch(x, "branch3x3", (192,), (320, *last))
        seven = branch(x, "branch7x7x3", (192,), (192, (1, 7)), (192, (7, 1)), (192, *last))
        return jnp.concatenate([three, seven, max_pool(x, 3, 2)], axis=-1)


class MixedE(nn.Module):
    """Mixed_7b and 7c: [n 8 8 c] -> [n 8 8 2048]. `pool`: of the last branch."""

    pool: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        wide, high = partial(Unit, 384, (1, 3)), partial(Unit, 384, (3, 1))
        outputs = [Unit(320, name="branch1x1")(x)]
        three = branch(x, "branch3x3", (384,))
        outputs += [wide(name="branch3x3_2a")(three), high(name="branch3x3_2b")(three)]
        double = branch(x, "branch3x3dbl", (448,), (384, (3, 3)))
        outputs += [wide(name="branch3x3dbl_3a")(double), high(name="branch3x3dbl_3b")(double)]
        outputs += [Unit(192, name="branch_pool")(self.pool(x))]
        return jnp.concatenate(outputs, axis=-1)


class InceptionV3(nn.Module):
    """Pixels scaled to [-1, 1], [n 299 299 3] -> the last block's average, [n 2048]. No head."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Unit(32, (3, 3), 2, "VALID", name="Conv2d_1a_3x3")(x)
        x = Unit(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
        x = Unit(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = max_pool(x, 3, 2)
        x = Unit(80, name="Conv2d_3b_1x1")(x)
        x = Unit(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
        x = max_pool(x, 3, 2)
        for letter, pool in zip("bcd", (32, 64, 64), strict=True):
            x = MixedA(pool, name=f"Mixed_5{letter}")(x)
        x = MixedB(name="Mixed_6a")(x)
        for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
            x = MixedC(inner, name=f"Mixed_6{letter}")(x)
        x = MixedD(name="Mixed_7a")(x)
        x = MixedE(average_pool, name="Mixed_7b")(x)
        x = MixedE(partial(max_pool, window=3, stride=1, padding=1), name="Mixed_7c")(x)
        return x.mean(axis=(1, 2))

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
HALVE = ((3, 3), 2, "VALID")  # kernel, stride and padding of a unit that halves the side

average_pool = partial(nn.avg_pool, window_shape=(3, 3), padding="SAME", count_include_pad=False)


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


class Mixed(nn.Module):
    """A block: the outputs of `branches`, one of the functions below, concatenated."""

    branches: Callable[[Array], list[Array]]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return jnp.concatenate(self.branches(x), axis=-1)


def mixed_5(x: Array, pool: int) -> list[Array]:
    """Mixed_5b to 5d: [n 35 35 c] -> [n 35 35 224+pool]."""
    one = Unit(64, name="branch1x1")(x)
    five = branch(x, "branch5x5", (48,), (64, (5, 5)))
    double = branch(x, "branch3x3dbl", (64,), (96, (3, 3)), (96, (3, 3)))
    return [one, five, double, Unit(pool, name="branch_pool")(average_pool(x))]


def mixed_6a(x: Array) -> list[Array]:
    """[n 35 35 c] -> [n 17 17 480+c]."""
    three = Unit(384, *HALVE, name="branch3x3")(x)
    double = branch(x, "branch3x3dbl", (64,), (96, (3, 3)), (96, *HALVE))
    return [three, double, max_pool(x, 3, 2)]


def mixed_6(x: Array, inner: int) -> list[Array]:
    """Mixed_6b to 6e: [n 17 17 c] -> [n 17 17 768]."""
    first, wide, high = (inner,), (inner, (1, 7)), (inner, (7, 1))
    one = Unit(192, name="branch1x1")(x)
    seven = branch(x, "branch7x7", first, wide, (192, (7, 1)))
    double = branch(x, "branch7x7dbl", first, high, wide, high, (192, (1, 7)))
    return [one, seven, double, Unit(192, name="branch_pool")(average_pool(x))]


def mixed_7a(x: Array) -> list[Array]:
    """[n 17 17 c] -> [n 8 8 512+c]."""
    three = branch(x, "branch3x3", (192,), (320, *HALVE))
    seven = branch(x, "branch7x7x3", (192,), (192, (1, 7)), (192, (7, 1)), (192, *HALVE))
    return [three, seven, max_pool(x, 3, 2)]


def mixed_7(x: Array, pool: Callable[[Array], Array]) -> list[Array]:
    """Mixed_7b and 7c: [n 8 8 c] -> [n 8 8 2048]."""
    wide, high = partial(Unit, 384, (1, 3)), partial(Unit, 384, (3, 1))
    outputs = [Unit(320, name="branch1x1")(x)]
    three = branch(x, "branch3x3", (384,))
    outputs += [wide(name="branch3x3_2a")(three), high(name="branch3x3_2b")(three)]
    double = branch(x, "branch3x3dbl", (448,), (384, (3, 3)))
    outputs += [wide(name="branch3x3dbl_3a")(double), high(name="branch3x3dbl_3b")(double)]
    return [*outputs, Unit(192, name="branch_pool")(pool(x))]


class InceptionV3(nn.Module):
    """Pixels scaled to [-1, 1], [n 299 299 3] -> the last block's average, [n 2048]. No head."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Unit(32, *HALVE, name="Conv2d_1a_3x3")(x)
        x = Unit(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
        x = Unit(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = max_pool(x, 3, 2)
        x = Unit(80, name="Conv2d_3b_1x1")(x)
        x = Unit(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
        x = max_pool(x, 3, 2)
        for letter, pool in zip("bcd", (32, 64, 64), strict=True):
            x = Mixed(partial(mixed_5, pool=pool), name=f"Mixed_5{letter}")(x)
        x = Mixed(mixed_6a, name="Mixed_6a")(x)
        for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
            x = Mixed(partial(mixed_6, inner=inner), name=f"Mixed_6{letter}")(x)
        x = Mixed(mixed_7a, name="Mixed_7a")(x)
        maximum = partial(max_pool, window=3, stride=1, padding=1)
        for letter, pool in (("b", average_pool), ("c", maximum)):
            x = Mixed(partial(mixed_7, pool=pool), name=f"Mixed_7{letter}")(x)
        return x.mean(axis=(1, 2))

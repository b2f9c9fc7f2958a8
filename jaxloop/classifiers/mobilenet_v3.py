"""MobileNetV3, large and small (Howard et al. 2019, arXiv:1905.02244)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv
from jaxloop.ops.layers import BatchNorm, he_fan_out
from jaxloop.types import Array

Activation = Callable[[Array], Array]
RE, HS = nn.relu, nn.hard_swish  # the paper's names in Tables 1 and 2


class Row(NamedTuple):
    """A row of the paper's Tables 1 and 2: one block."""

    kernel: int
    expanded: int  # channels between the block's 1x1 convolutions
    out: int  # channels of its output
    squeeze: bool  # with squeeze-and-excite
    activation: Activation
    stride: int


STEM = 16  # channels
# Rows of the tables, grouped by resolution and number of channels.
LARGE = (
    Row(3, 16, 16, False, RE, 1),
    Row(3, 64, 24, False, RE, 2), Row(3, 72, 24, False, RE, 1),
    Row(5, 72, 40, True, RE, 2), Row(5, 120, 40, True, RE, 1), Row(5, 120, 40, True, RE, 1),
    Row(3, 240, 80, False, HS, 2), Row(3, 200, 80, False, HS, 1),
    Row(3, 184, 80, False, HS, 1), Row(3, 184, 80, False, HS, 1),
    Row(3, 480, 112, True, HS, 1), Row(3, 672, 112, True, HS, 1),
    Row(5, 672, 160, True, HS, 2), Row(5, 960, 160, True, HS, 1), Row(5, 960, 160, True, HS, 1),
)  # fmt: skip
SMALL = (
    Row(3, 16, 16, True, RE, 2),
    Row(3, 72, 24, False, RE, 2), Row(3, 88, 24, False, RE, 1),
    Row(5, 96, 40, True, HS, 2), Row(5, 240, 40, True, HS, 1), Row(5, 240, 40, True, HS, 1),
    Row(5, 120, 48, True, HS, 1), Row(5, 144, 48, True, HS, 1),
    Row(5, 288, 96, True, HS, 2), Row(5, 576, 96, True, HS, 1), Row(5, 576, 96, True, HS, 1),
)  # fmt: skip
VARIANTS = {"large": (LARGE, 1280), "small": (SMALL, 1024)}  # rows, units of the hidden dense layer


def divisible(channels: float) -> int:
    """Return the nearest multiple of 8 that is at least nine tenths of `channels`, as the paper."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class ConvNorm(nn.Module):
    """A convolution padded by half its kernel, batch normalisation, and an activation."""

    channels: int
    kernel: int
    activation: Activation | None
    stride: int = 1
    groups: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        size, how = (self.kernel, self.kernel), {"use_bias": False, "kernel_init": he_fan_out}
        how |= {"padding": self.kernel // 2, "feature_group_count": self.groups}
        x = Conv(self.channels, size, self.stride, **how, dtype=self.dtype, name="conv")(x)
        x = BatchNorm(train, momentum=0.01, epsilon=0.001, dtype=self.dtype, name="bn")(x)
        return x if self.activation is None else self.activation(x)


class SqueezeExcite(nn.Module):
    """Scale the channels of [n h w c] by a network of their averages (Hu et al. 2018, CVPR)."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        conv = partial(Conv, kernel_size=(1, 1), kernel_init=he_fan_out, dtype=self.dtype)
        y = x.mean(axis=(1, 2), keepdims=True)
        y = nn.relu(conv(divisible(x.shape[-1] // 4), name="squeeze")(y))
        return x * nn.hard_sigmoid(conv(x.shape[-1], name="excite")(y))


class InvertedResidual(nn.Module):
    """Expand the channels, filter each, project: [n h w c] -> [n ceil(h/s) ceil(w/s) row.out]."""

    row: Row  # its channels already scaled by the width
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        kernel, expanded, out, squeeze, activation, stride = self.row
        unit = partial(ConvNorm, dtype=self.dtype)
        y = x
        if expanded != x.shape[-1]:
            y = unit(expanded, 1, activation, name="expand")(y, train=train)
        depthwise = unit(expanded, kernel, activation, stride, groups=expanded, name="depthwise")
        y = depthwise(y, train=train)
        if squeeze:
            y = SqueezeExcite(self.dtype, name="attention")(y)
        y = unit(out, 1, None, name="project")(y, train=train)
        return x + y if stride == 1 and out == x.shape[-1] else y


class MobileNetV3(Classifier):
    """Stem "imagenet" is torchvision's network: any h and w, features [n 1280] or [n 1024].

    In the small one the first convolution and the first block of stride 2 have stride 1: an eighth
    of the resolution is left at the end, not a thirty-second. All channels are multiples of 8.

    variant: "large" or "small", the network's size.
    """

    variant: str = "large"

    def wide(self, channels: int) -> int:
        return divisible(channels * self.width)

    def rows(self) -> list[Row]:
        """Return the blocks of this width and stem."""
        rows = [
            row._replace(expanded=self.wide(row.expanded), out=self.wide(row.out))
            for row in VARIANTS[self.variant][0]
        ]
        if self.small:
            first = [row.stride for row in rows].index(2)
            rows[first] = rows[first]._replace(stride=1)
        return rows

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, f"mobilenet_v3_{self.variant}", 1)
        unit = partial(ConvNorm, activation=HS, dtype=self.dtype)
        stem = unit(self.wide(STEM), 3, stride=1 if self.small else 2, name="stem")
        x = stem(x, train=train)
        for i, row in enumerate(self.rows()):
            x = InvertedResidual(row, self.dtype, name=f"block{i}")(x, train=train)
        x = unit(6 * x.shape[-1], 1, name="last")(x, train=train)
        normal, hidden = nn.initializers.normal(0.01), self.wide(VARIANTS[self.variant][1])
        dense = nn.Dense(hidden, kernel_init=normal, dtype=self.dtype, name="hidden")
        x = HS(dense(x.mean(axis=(1, 2))))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return self.output(x, features, kernel_init=normal, name="head")

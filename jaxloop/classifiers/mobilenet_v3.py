"""MobileNetV3, large and small (Howard et al. 2019, arXiv:1905.02244)."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flax import linen as nn

from jaxloop.classifiers.batch_norm import BatchNorm
from jaxloop.classifiers.layers import he_fan_out
from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv
from jaxloop.types import Array

Activation = Callable[[Array], Array]
RE, HS = nn.relu, nn.hard_swish  # the paper's names in Tables 1 and 2


class Row(NamedTuple):
    """A row of the paper's Tables 1 and 2: one block."""

    kernel: int
    expanded: int  # channels between the block's 1x1 convolutions
    out: int  # channels that it gives
    squeeze: bool  # with squeeze-and-excite
    activation: Activation
    stride: int


STEM = 16  # channels
LARGE = (
    Row(3, 16, 16, False, RE, 1),
    Row(3, 64, 24, False, RE, 2),
    Row(3, 72, 24, False, RE, 1),
    Row(5, 72, 40, True, RE, 2),
    Row(5, 120, 40, True, RE, 1),
    Row(5, 120, 40, True, RE, 1),
    Row(3, 240, 80, False, HS, 2),
    Row(3, 200, 80, False, HS, 1),
    Row(3, 184, 80, False, HS, 1),
    Row(3, 184, 80, False, HS, 1),
    Row(3, 480, 112, True, HS, 1),
    Row(3, 672, 112, True, HS, 1),
    Row(5, 672, 160, True, HS, 2),
    Row(5, 960, 160, True, HS, 1),
    Row(5, 960, 160, True, HS, 1),
)
SMALL = (
    Row(3, 16, 16, True, RE, 2),
    Row(3, 72, 24, False, RE, 2),
    Row(3, 88, 24, False, RE, 1),
    Row(5, 96, 40, True, HS, 2),
    Row(5, 240, 40, True, HS, 1),
    Row(5, 240, 40, True, HS, 1),
    Row(5, 120, 48, True, HS, 1),
    Row(5, 144, 48, True, HS, 1),
    Row(5, 288, 96, True, HS, 2),
    Row(5, 576, 96, True, HS, 1),
    Row(5, 576, 96, True, HS, 1),
)
VARIANTS = {"large": (LARGE, 1280), "small": (SMALL, 1024)}  # rows, units of the hidden dense layer


def divisible(channels: float) -> int:
    """The nearest multiple of 8, but never less than nine tenths of `channels`: the authors' rule."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class ConvNorm(nn.Module):
    """A convolution padded by half its kernel, batch normalisation, and an activation."""

    channels: int
    kernel: int
    activation: Activation | None
    stride: int = 1
    groups: int = 1

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        half = self.kernel // 2
        x = Conv(
            self.channels,
            (self.kernel, self.kernel),
            strides=(self.stride, self.stride),
            padding=((half, half), (half, half)),
            feature_group_count=self.groups,
            use_bias=False,
            kernel_init=he_fan_out,
            name="conv",
        )(x)
        x = BatchNorm(train, momentum=0.01, epsilon=0.001, name="bn")(x)
        return x if self.activation is None else self.activation(x)


class SqueezeExcite(nn.Module):
    """Scales the channels of [n h w c] by a small network of their averages (Hu et al. 2018, arXiv:1709.01507)."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        y = x.mean(axis=(1, 2), keepdims=True)
        y = nn.relu(
            Conv(divisible(channels // 4), (1, 1), kernel_init=he_fan_out, name="squeeze")(y)
        )
        y = Conv(channels, (1, 1), kernel_init=he_fan_out, name="excite")(y)
        return x * nn.hard_sigmoid(y)


class InvertedResidual(nn.Module):
    """Expands the channels, filters each by itself, and projects back: [n h w c] -> [n ceil(h/s) ceil(w/s) row.out]."""

    row: Row  # its channels already scaled by the width

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        kernel, expanded, out, squeeze, activation, stride = self.row
        y = x
        if expanded != x.shape[-1]:
            y = ConvNorm(expanded, 1, activation, name="expand")(y, train=train)
        y = ConvNorm(expanded, kernel, activation, stride, groups=expanded, name="depthwise")(
            y, train=train
        )
        if squeeze:
            y = SqueezeExcite(name="attention")(y)
        y = ConvNorm(out, 1, None, name="project")(y, train=train)
        return x + y if stride == 1 and out == x.shape[-1] else y


class MobileNetV3(nn.Module):
    """[n h w 3] of any size -> logits [n num_classes]; with `features=True` the last hidden layer, [n 1280] or [n 1024].

    Stem "imagenet" is torchvision's network. In the small one the first convolution and the first block of stride 2 have
    stride 1: an eighth of the resolution is left at the end, not a thirty-second. All channels are multiples of 8.

    variant: "large" or "small", the network's own size.
    """

    variant: str
    num_classes: int
    small: bool = False
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, f"mobilenet_v3_{self.variant}", 1)
        rows, hidden = VARIANTS[self.variant]
        x = ConvNorm(self._wide(STEM), 3, HS, stride=1 if self.small else 2, name="stem")(
            x, train=train
        )
        for i, row in enumerate(self._rows(rows)):
            x = InvertedResidual(row, name=f"block{i}")(x, train=train)
        x = ConvNorm(6 * x.shape[-1], 1, HS, name="last")(x, train=train)
        x = x.mean(axis=(1, 2))
        dense = partial(nn.Dense, kernel_init=nn.initializers.normal(0.01))
        x = HS(dense(self._wide(hidden), name="hidden")(x))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return x if features else dense(self.num_classes, name="head")(x)

    def _wide(self, channels: int) -> int:
        return divisible(channels * self.width)

    def _rows(self, rows: tuple[Row, ...]) -> list[Row]:
        """The blocks of this width and stem."""
        made = [
            row._replace(expanded=self._wide(row.expanded), out=self._wide(row.out)) for row in rows
        ]
        if self.small:
            first = next(i for i, row in enumerate(made) if row.stride == 2)
            made[first] = made[first]._replace(stride=1)
        return made

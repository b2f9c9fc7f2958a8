"""ResNet-50 (He et al. 2016, arXiv:1512.03385), version 1.5: strides are of the 3x3 layers."""

from functools import partial
from typing import Any

from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.ops.layers import BatchNorm, at_least_float32, he_fan_out
from jaxloop.types import Array

# Channels inside a block, which gives four times as many, and blocks.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut: [n h w c] -> [n ceil(h/s) ceil(w/s) outer]."""

    inner: int
    outer: int
    stride: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        conv = partial(Conv, use_bias=False, kernel_init=he_fan_out, dtype=self.dtype)
        norm = partial(BatchNorm, train, dtype=self.dtype)
        y = conv(self.inner, (1, 1), name="conv1")(x)
        y = nn.relu(norm(name="bn1")(y))
        y = conv(self.inner, (3, 3), self.stride, padding=1, name="conv2")(y)
        y = nn.relu(norm(name="bn2")(y))
        y = conv(self.outer, (1, 1), name="conv3")(y)
        y = norm(name="bn3")(y)
        if x.shape != y.shape:
            x = conv(self.outer, (1, 1), self.stride, padding="VALID", name="shortcut_conv")(x)
            x = norm(name="shortcut_bn")(x)
        return nn.relu(x + y)


class ResNet50(Classifier):
    """Stem "imagenet" is torchvision's network: any h and w, features [n 2048].

    The small one has a 3x3 convolution of stride 1 in place of the 7x7 of stride 2, and no maximum
    pooling after it: four times the resolution.
    """

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "resnet50", 1)
        kernel, stride, padding = ((3, 3), 1, 1) if self.small else ((7, 7), 2, 3)
        conv = partial(Conv, use_bias=False, kernel_init=he_fan_out, dtype=self.dtype)
        x = conv(self.wide(64), kernel, stride, padding=padding, name="conv1")(x)
        x = nn.relu(BatchNorm(train, dtype=self.dtype, name="bn1")(x))
        if not self.small:
            x = max_pool(x, window=3, stride=2, padding=1)
        for stage, (channels, blocks) in enumerate(STAGES, start=1):
            inner, outer = self.wide(channels), self.wide(4 * channels)
            for i in range(blocks):
                stride = 2 if stage > 1 and i == 0 else 1
                block = Bottleneck(inner, outer, stride, self.dtype, name=f"layer{stage}_{i}")
                x = block(x, train=train)
        return self.output(at_least_float32(x).mean(axis=(1, 2)), features, name="fc")

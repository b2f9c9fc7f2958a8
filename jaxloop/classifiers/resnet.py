"""ResNet-50 (He et al. 2016, arXiv:1512.03385), version 1.5: a stage's stride is in the 3x3 convolution of its first block."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.batch_norm import BatchNorm
from jaxloop.classifiers.layers import he_fan_out, scaled
from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.types import Array

STAGES = (
    (64, 3),
    (128, 4),
    (256, 6),
    (512, 3),
)  # channels inside a block, blocks; a block gives four times as many channels


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut: [n h w c] -> [n ceil(h/stride) ceil(w/stride) outer]."""

    inner: int
    outer: int
    stride: int

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        conv = partial(Conv, use_bias=False, kernel_init=he_fan_out)
        norm = partial(BatchNorm, train)
        strides = (self.stride, self.stride)
        y = conv(self.inner, (1, 1), name="conv1")(x)
        y = nn.relu(norm(name="bn1")(y))
        y = conv(self.inner, (3, 3), strides, padding=((1, 1), (1, 1)), name="conv2")(y)
        y = nn.relu(norm(name="bn2")(y))
        y = conv(self.outer, (1, 1), name="conv3")(y)
        y = norm(name="bn3")(y)
        if x.shape != y.shape:
            x = conv(self.outer, (1, 1), strides, padding="VALID", name="shortcut_conv")(x)
            x = norm(name="shortcut_bn")(x)
        return nn.relu(x + y)


class ResNet50(nn.Module):
    """[n h w 3] of any size -> logits [n num_classes]; with `features=True` the averages that they are read off, [n 2048].

    Stem "imagenet" is torchvision's network. The small one has a 3x3 convolution of stride 1 in place of the 7x7 of stride 2,
    and no maximum pooling after it: four times the resolution everywhere.
    """

    num_classes: int
    small: bool = False
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "resnet50", 1)
        wide = partial(scaled, width=self.width)
        conv = partial(Conv, use_bias=False, kernel_init=he_fan_out, name="conv1")
        if self.small:
            x = conv(wide(64), (3, 3), padding=((1, 1), (1, 1)))(x)
        else:
            x = conv(wide(64), (7, 7), (2, 2), padding=((3, 3), (3, 3)))(x)
        x = nn.relu(BatchNorm(train, name="bn1")(x))
        if not self.small:
            x = max_pool(x, window=3, stride=2, padding=1)
        for stage, (channels, blocks) in enumerate(STAGES, start=1):
            for i in range(blocks):
                stride = 2 if stage > 1 and i == 0 else 1
                block = Bottleneck(
                    wide(channels), wide(4 * channels), stride, name=f"layer{stage}_{i}"
                )
                x = block(x, train=train)
        x = x.mean(axis=(1, 2))
        return x if features else nn.Dense(self.num_classes, name="fc")(x)

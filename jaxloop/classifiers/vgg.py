"""VGG-19 without batch normalisation (Simonyan & Zisserman 2015, arXiv:1409.1556)."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.ops.layers import adaptive_average_pool, he_fan_out
from jaxloop.types import Array

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions


class VGG19(Classifier):
    """Stem "imagenet" is torchvision's network: h, w >= 32, features [n 4096].

    The small one, h, w >= 16, features [n 512], has the same convolutions; one maximum over all
    that is left (at 32x32: the same 2x2 pixels) in place of the fifth pooling and the 7x7 average;
    and dropout before its dense layers and not after, as VGG is trained on CIFAR.
    """

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "vgg19", 16 if self.small else 32)
        conv = partial(Conv, kernel_size=(3, 3), padding=1, kernel_init=he_fan_out)
        normal = nn.initializers.normal(0.01)
        drop = partial(nn.Dropout, 0.5, deterministic=not train)
        for stage, (channels, convolutions) in enumerate(STAGES):
            if stage > 0:
                x = max_pool(x)
            for _ in range(convolutions):
                x = nn.relu(conv(self.wide(channels), dtype=self.dtype)(x))
        if self.small:
            x, units = x.max(axis=(1, 2)), self.wide(512)
        else:
            x, units = adaptive_average_pool(max_pool(x), 7), self.wide(4096)
            x = x.reshape(x.shape[0], -1)
        for _ in range(2):
            x = drop()(x) if self.small else x
            x = nn.relu(nn.Dense(units, kernel_init=normal, dtype=self.dtype)(x))
            x = x if self.small else drop()(x)
        return self.output(x, features, kernel_init=normal)

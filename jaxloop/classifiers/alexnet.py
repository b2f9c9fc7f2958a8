"""AlexNet, of one column (Krizhevsky 2014, arXiv:1404.5997)."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.ops.layers import adaptive_average_pool
from jaxloop.types import Array


class AlexNet(Classifier):
    """Stem "imagenet" is torchvision's network: h, w >= 63, features [n 4096].

    The small one, h, w >= 8, has 3x3 convolutions of stride 1 in place of the 11x11 of stride 4 and
    the 5x5, 2x2 pooling in place of 3x3, and no average pooling before the dense layers.
    """

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "alexnet", 8 if self.small else 63)
        wide, conv = self.wide, partial(Conv, dtype=self.dtype)
        conv_3x3 = partial(conv, kernel_size=(3, 3), padding=1)
        if self.small:
            first, second, pool = conv_3x3, conv_3x3, max_pool
        else:
            first = partial(conv, kernel_size=(11, 11), strides=4, padding=2)
            second = partial(conv, kernel_size=(5, 5), padding=2)
            pool = partial(max_pool, window=3, stride=2)
        x = pool(nn.relu(first(wide(64))(x)))
        x = pool(nn.relu(second(wide(192))(x)))
        for channels in (384, 256, 256):
            x = nn.relu(conv_3x3(wide(channels))(x))
        x = pool(x) if self.small else adaptive_average_pool(pool(x), 6)
        x = x.reshape(x.shape[0], -1)
        for _ in range(2):
            x = nn.Dropout(0.5, deterministic=not train)(x)
            x = nn.relu(nn.Dense(wide(4096), dtype=self.dtype)(x))
        return self.output(x, features)

"""AlexNet (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997)."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.layers import adaptive_average_pool, scaled
from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv, max_pool, max_pool_2x2
from jaxloop.types import Array


class AlexNet(nn.Module):
    """[n h w 3] -> logits [n num_classes]; with `features=True` the last hidden layer, [n 4096].

    Stem "imagenet" is torchvision's network: h, w >= 63. The small one, h, w >= 8, has 3x3 convolutions of stride 1 in place
    of the 11x11 of stride 4 and the 5x5, 2x2 pooling in place of 3x3, and no average pooling before the dense layers.
    """

    num_classes: int
    small: bool = False
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "alexnet", 8 if self.small else 63)
        wide = partial(scaled, width=self.width)
        conv_3x3 = partial(Conv, kernel_size=(3, 3), padding=((1, 1), (1, 1)))
        if self.small:
            first, second, pool = conv_3x3, conv_3x3, max_pool_2x2
        else:
            first = partial(Conv, kernel_size=(11, 11), strides=(4, 4), padding=((2, 2), (2, 2)))
            second = partial(Conv, kernel_size=(5, 5), padding=((2, 2), (2, 2)))
            pool = partial(max_pool, window=3, stride=2)
        x = pool(nn.relu(first(wide(64))(x)))
        x = pool(nn.relu(second(wide(192))(x)))
        x = nn.relu(conv_3x3(wide(384))(x))
        x = nn.relu(conv_3x3(wide(256))(x))
        x = pool(nn.relu(conv_3x3(wide(256))(x)))
        if not self.small:
            x = adaptive_average_pool(x, 6)
        x = x.reshape(x.shape[0], -1)
        for _ in range(2):
            x = nn.Dropout(0.5, deterministic=not train)(x)
            x = nn.relu(nn.Dense(wide(4096))(x))
        return x if features else nn.Dense(self.num_classes)(x)

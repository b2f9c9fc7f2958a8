"""AlexNet (Krizhevsky et al. 2012) with a stem for small images."""

from flax import linen as nn

from jaxloop.convolution import Conv, max_pool_2x2
from jaxloop.types import Array


class AlexNet(nn.Module):
    """[n h w 3] in [-1, 1] -> logits [n num_classes]; h, w >= 8. With `features=True`: the last hidden layer.

    The small-image stem: 3x3 convolutions of stride 1 where the original has 11x11 of stride 4 and 5x5, and 2x2 pooling.
    `width` scales every hidden layer: at 1.0 the two dense layers have 4,096 units.
    """

    num_classes: int
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        def wide(channels: int) -> int:
            return max(1, round(channels * self.width))

        x = max_pool_2x2(nn.relu(Conv(wide(64), (3, 3))(x)))
        x = max_pool_2x2(nn.relu(Conv(wide(192), (3, 3))(x)))
        x = nn.relu(Conv(wide(384), (3, 3))(x))
        x = nn.relu(Conv(wide(256), (3, 3))(x))
        x = max_pool_2x2(nn.relu(Conv(wide(256), (3, 3))(x)))
        x = x.reshape(x.shape[0], -1)
        for _ in range(2):
            x = nn.Dropout(0.5, deterministic=not train)(x)
            x = nn.relu(nn.Dense(wide(4096))(x))
        return x if features else nn.Dense(self.num_classes)(x)

"""VGG-19 without batch normalisation (Simonyan & Zisserman 2015, arXiv:1409.1556)."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.layers import adaptive_average_pool, he_fan_out, scaled
from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv, max_pool_2x2
from jaxloop.types import Array

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions


class VGG19(nn.Module):
    """[n h w 3] -> logits [n num_classes]; with `features=True` the last hidden layer, [n 4096], or [n 512] of the small one.

    Stem "imagenet" is torchvision's network: h, w >= 32. The small one, h, w >= 16, has the same convolutions; one maximum
    over all that is left (at 32x32: the same 2x2 pixels) in place of the fifth pooling and the 7x7 average; and dense layers
    of 512 units, with dropout before each and not after, as VGG is trained on CIFAR.
    """

    num_classes: int
    small: bool = False
    width: float = 1.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "vgg19", 16 if self.small else 32)
        wide = partial(scaled, width=self.width)
        conv = partial(Conv, kernel_size=(3, 3), padding=((1, 1), (1, 1)), kernel_init=he_fan_out)
        dense = partial(nn.Dense, kernel_init=nn.initializers.normal(0.01))
        for stage, (channels, convolutions) in enumerate(STAGES):
            if stage > 0:
                x = max_pool_2x2(x)
            for _ in range(convolutions):
                x = nn.relu(conv(wide(channels))(x))
        if self.small:
            x = x.max(axis=(1, 2))
            for _ in range(2):
                x = nn.Dropout(0.5, deterministic=not train)(x)
                x = nn.relu(dense(wide(512))(x))
        else:
            x = adaptive_average_pool(max_pool_2x2(x), 7)
            x = x.reshape(x.shape[0], -1)
            for _ in range(2):
                x = nn.relu(dense(wide(4096))(x))
                x = nn.Dropout(0.5, deterministic=not train)(x)
        return x if features else dense(self.num_classes)(x)

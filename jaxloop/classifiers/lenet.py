"""LeNet-5 (LeCun et al. 1998), with ReLU and maximum pooling as it is trained today."""

from flax import linen as nn

from jaxloop.classifiers.sizes import admit
from jaxloop.ops.convolution import Conv, max_pool_2x2
from jaxloop.types import Array


class LeNet(nn.Module):
    """[n h w 3] in [-1, 1] -> logits [n num_classes]; h, w >= 12, one network for both stems. With `features=True`: the last hidden layer, [n 84]."""

    num_classes: int

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "lenet", 12)
        x = max_pool_2x2(nn.relu(Conv(6, (5, 5), padding="SAME")(x)))
        x = max_pool_2x2(nn.relu(Conv(16, (5, 5), padding="VALID")(x)))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(120)(x))
        x = nn.relu(nn.Dense(84)(x))
        return x if features else nn.Dense(self.num_classes)(x)

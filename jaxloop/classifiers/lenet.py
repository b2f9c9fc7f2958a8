"""LeNet-5 (LeCun et al. 1998), with ReLU and maximum pooling as it is trained today."""

from functools import partial

from flax import linen as nn

from jaxloop.classifiers.classifier import Classifier, admit
from jaxloop.ops.convolution import Conv, max_pool
from jaxloop.types import Array


class LeNet(Classifier):
    """h, w >= 12, features [n 84]; one network for both stems and every width."""

    @nn.compact
    def __call__(self, x: Array, *, train: bool, features: bool = False) -> Array:
        admit(x, "lenet", 12)
        conv = partial(Conv, kernel_size=(5, 5), dtype=self.dtype)
        x = max_pool(nn.relu(conv(6, padding="SAME")(x)))
        x = max_pool(nn.relu(conv(16, padding="VALID")(x)))
        x = x.reshape(x.shape[0], -1)
        for units in (120, 84):
            x = nn.relu(nn.Dense(units, dtype=self.dtype)(x))
        return self.output(x, features)

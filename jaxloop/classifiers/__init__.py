"""The classifiers, one file an architecture. A new one is a Linen module and one line in `MODULES`.

A module is called as `module.apply(variables, images, train=bool, features=bool)` with float images [n h w 3] in [-1, 1]
and gives logits [n L], or its last hidden layer [n d] with `features=True`.
"""

from collections.abc import Callable

from flax import linen as nn

from jaxloop.classifiers.alexnet import AlexNet
from jaxloop.classifiers.lenet import LeNet
from jaxloop.errors import InputError

# name -> (module of (num_classes, width), smallest image side that it admits)
MODULES: dict[str, tuple[Callable[[int, float], nn.Module], int]] = {
    "lenet": (lambda num_classes, width: LeNet(num_classes), 12),
    "alexnet": (lambda num_classes, width: AlexNet(num_classes, width), 8),
}
NAMES = tuple(MODULES)


def create(name: str, num_classes: int, image_size: int, width: float = 1.0) -> nn.Module:
    """The Linen module called `name`.

    Args:
      width: scales the hidden channels of every network but LeNet, which is small already.

    Raises:
      InputError: no such name, or images smaller than the network admits.
    """
    if name not in MODULES:
        raise InputError("config.classifiers", name, NAMES)
    make, smallest = MODULES[name]
    if image_size < smallest:
        raise InputError("config.data.image_size", image_size, f"at least {smallest} for {name}")
    return make(num_classes, width)

"""The classifiers, one file an architecture. A new one is a Linen module and a line in `MODULES`.

A module is called as `module.apply(variables, images, train=bool, features=bool)` with float images
[n h w 3] and gives logits [n L], or with `features=True` its last hidden layer [n d], in float32.
It has two stems: "imagenet" is torchvision's network to the number, "small" its usual variant for
images of 28 to 32 pixels. Images smaller than it admits raise InputError when it is traced.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxloop import keys
from jaxloop.classifiers.alexnet import AlexNet
from jaxloop.classifiers.deit import DeiTSmall
from jaxloop.classifiers.lenet import LeNet
from jaxloop.classifiers.mobilenet_v3 import MobileNetV3
from jaxloop.classifiers.resnet import ResNet50
from jaxloop.classifiers.vgg import VGG19
from jaxloop.errors import InputError
from jaxloop.types import PyTree

STEMS = ("imagenet", "small")
# name -> module of (num_classes, small: bool, width, dtype)
MODULES: dict[str, Callable[[int, bool, float, Any], nn.Module]] = {
    "lenet": LeNet,
    "alexnet": AlexNet,
    "vgg19": VGG19,
    "resnet50": ResNet50,
    "mobilenet_v3_large": partial(MobileNetV3, variant="large"),
    "mobilenet_v3_small": partial(MobileNetV3, variant="small"),
    "deit_small": DeiTSmall,
}
NAMES = tuple(MODULES)


def create(
    name: str, num_classes=1000, stem="imagenet", width: float = 1.0, dtype: Any = jnp.float32
) -> nn.Module:
    """Return the Linen module called `name`, of a stem, width and dtype as in `Classifier`.

    Raises InputError: no such name or stem.
    """
    if name not in MODULES:
        raise InputError("config.classifiers", name, NAMES)
    if stem not in STEMS:
        raise InputError("config.classifier.stem", stem, STEMS)
    return MODULES[name](num_classes, stem == "small", width, dtype)


def shapes(module: nn.Module, image_size: int) -> PyTree:
    """Return the shapes of the module's variables for images of this side; computes nothing."""
    image = jnp.zeros((1, image_size, image_size, 3))
    return jax.eval_shape(lambda: module.init(keys.root_key(0), image, train=False))

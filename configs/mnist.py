"""Colorized MNIST: 28x28 digits in three colours, ten generations.

    python -m jaxloop.main --config=configs/mnist.py:unbiased
    python -m jaxloop.main --config=configs/mnist.py:biased --config.data.path=FOLDER_OF_IDX_FILES

Without data.path, tensorflow-datasets downloads and prepares MNIST (pip install '.[prepare]').
"""

from jaxloop import config
from jaxloop.data.colorize import colors_of


def get_config(variant: str = "unbiased"):
    c = config.default()
    c.data.name = "mnist"
    c.data.image_size = 28  # pixels
    c.loop.generations = 10
    c.filter.drop = 0.1  # the paper's appendix C
    c.classifier.width = 0.25  # AlexNet with a quarter of its channels
    c.data.color = colors_of(variant, num_classes=10)
    return c

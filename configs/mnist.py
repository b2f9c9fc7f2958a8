"""Colorized MNIST: 28x28 digits in three colours, ten generations.

    python -m jaxloop.main --config=configs/mnist.py:unbiased
    python -m jaxloop.main --config=configs/mnist.py:biased --config.data.path=FOLDER_OF_IDX_FILES

Without data.path, tensorflow-datasets downloads and prepares MNIST
(.venv/bin/python -m pip install -e '.[prepare]'). A folder with only the t10k files is split
8,000 / 2,000; there, three seeds should give LeNet 0.97 at generation 0 and, at generation 1,
label_agreement 0.98 and within_class_diversity 1.0. This is a job for an accelerator: on two CPU
cores LeNet alone takes three to four minutes a generation there (three seeds), AlexNet several
times that.
"""

from jaxloop import config
from jaxloop.data.colorize import colors_of


def get_config(variant: str = "unbiased"):
    c = config.default()
    c.data.name = "mnist"
    c.data.image_size = 28  # pixels
    c.loop.generations = 10
    c.filter.drop = 0.1  # the paper's appendix C
    c.generator.max_steps = (
        2500  # measured on 7,200 images; on all 54,000 that is three epochs, and more may help
    )
    c.classifier.width = 0.25  # AlexNet with a quarter of its channels
    c.data.color = colors_of(variant, num_classes=10)
    return c

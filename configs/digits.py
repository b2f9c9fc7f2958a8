"""Colorized Digits: the 1,797 real 8x8 digits that scikit-learn carries, in three colours.

    python -m jaxloop.main --config=configs/digits.py           (configs/digits.py:biased)
    python -m jaxloop.main --config=configs/digits.py:unbiased

`biased`: every class prefers a colour, 0.8 of its training images. Nothing is downloaded. About
four minutes on two CPU cores. Six seeds and a queue of one generation, full from generation 1 on,
so that a change of bias of 0.04 can be told (docs/verdicts.md, "The default run").

Controls of the verdict "does bias grow?", all with biased colours and without a filter
(docs/experiments.md):

    python -m jaxloop.main --config=configs/digits.py:collapse  (accuracy must fall)
    python -m jaxloop.main --config=configs/digits.py:ideal     (nothing must change)
    python -m jaxloop.main --config=configs/digits.py:planted   (bias must grow)

Should give, from generation 0 to 3: accuracy of LeNet 0.89 to 0.59 (collapse), 0.84 to 0.82
(ideal), 0.84 to 0.58 (planted), where the gap in accuracy between the commonest colour of a class
and the others grows from 0.19 to 0.60. One to three minutes each on two idle cores.
"""

from jaxloop import config
from jaxloop.data.colorize import colors_of
from jaxloop.errors import InputError

VARIANTS = ("biased", "unbiased", "collapse", "ideal", "planted")


def get_config(variant: str = "biased"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    c = config.default()
    c.seeds = (0, 1, 2, 3, 4, 5)
    c.data.name = "digits"
    c.data.image_size = 16  # pixels; the originals are 8
    c.data.color = colors_of("unbiased" if variant == "unbiased" else "biased", num_classes=10)
    c.loop.generations, c.loop.capacity = 3, 1
    c.classifiers = ("lenet",)
    c.classifier.patience = 8
    c.classifier.width = 0.125  # of AlexNet's channels, if it is asked for: a laptop's minutes
    # Adam. At 1e-3 LeNet stops at 0.94; at 3e-3 the narrow AlexNet now and then loses a colour.
    c.classifier.learning_rate = 2e-3
    if variant in VARIANTS[2:]:
        _control(c, variant)
    else:
        c.generator.max_steps = 1000  # of the DCGAN or a diffusion
    return c


def _control(c, variant: str) -> None:
    """Train on generated images of the last generation alone: no real ones cover what they do."""
    c.filter.name = "none"
    c.loop.real, c.loop.policy = "none", "replace"
    c.loop.capacity = config.default().loop.capacity  # not read
    c.classifier.epochs, c.seeds = 30, (0, 1, 2, 3, 4)
    if variant == "collapse":
        c.loop.mix = 1.0
        c.generator.max_steps = 400  # fewer than the DCGAN is given elsewhere
    else:
        # Draws with replacement repeat themselves. So more images are set aside (861) than
        # generation 0 trains on (518), and a generation draws 1,550 of them: 719 different ones.
        c.data.held_out, c.loop.mix = 0.6, 3.0
        c.generator.name = "resample"
        c.generator.minority = {"ideal": 1.0, "planted": 0.6}[variant]

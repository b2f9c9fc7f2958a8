"""Colorized Digits: the 1,797 real 8x8 digits that scikit-learn carries, in three colours.

    python -m jaxloop.main --config=configs/digits.py           (configs/digits.py:unbiased)
    python -m jaxloop.main --config=configs/digits.py:biased    (every class prefers a colour)

Nothing is downloaded. Costs about 3.5 minutes on two CPU cores (5 generations, 2 classifiers, 3
seeds). Should give, unbiased: accuracy of LeNet 0.96 and AlexNet 0.97 at generation 0,
label_agreement 0.93 and within_class_diversity 0.97 at generation 1.

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

VARIANTS = ("unbiased", "biased", "collapse", "ideal", "planted")


def get_config(variant: str = "unbiased"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    c = config.default()
    c.data.name = "digits"
    c.data.image_size = 16  # pixels; the originals are 8
    c.loop.generations = 5
    c.classifier.patience = 8
    c.classifier.width = 0.125  # AlexNet with an eighth of its channels: a laptop's minutes
    # Adam. At 1e-3 LeNet stops at 0.94; at 3e-3 the narrow AlexNet now and then loses a colour.
    c.classifier.learning_rate = 2e-3
    c.data.color = colors_of("unbiased" if variant == "unbiased" else "biased", num_classes=10)
    if variant in VARIANTS[2:]:
        _control(c, variant)
    return c


def _control(c, variant: str) -> None:
    """Train on generated images of the last generation alone: no real ones cover what they do."""
    c.filter.name = "none"
    c.loop.real, c.loop.policy, c.loop.generations = "none", "replace", 3
    c.classifiers, c.classifier.epochs = ("lenet",), 30
    c.seeds = (0, 1, 2, 3, 4)
    if variant == "collapse":
        c.loop.mix = 1.0
        c.generator.max_steps = 400  # a quarter of what the DCGAN is given elsewhere
    else:
        # Draws with replacement repeat themselves. So more images are set aside (861) than
        # generation 0 trains on (518), and a generation draws 1,550 of them: 719 different ones.
        c.data.held_out, c.loop.mix = 0.6, 3.0
        c.generator.name = "resample"
        c.generator.minority = {"ideal": 1.0, "planted": 0.6}[variant]

"""Real small photographs on two cores: a part of BREEDS' Entity-13, five generations.

    python -m jaxloop.main --config=configs/tiny_breeds.py --config.data.path=FOLDER

FOLDER is an ImageNet folder of small pictures, {train,val}/WNID/FILE, as Tiny ImageNet's in that
layout: six classes of four subclasses with 80 training pictures each are enough. Classes of which
it has two subclasses or more are taken. Pictures are shown at 32x32 to networks for small ones.
About an hour on two cores. The generator makes textures in the colours of its classes, and the page
says that it shows other classes than it is asked for (docs/photographs.md).
"""

from jaxloop import config
from jaxloop.errors import InputError


def get_config(variant: str = ""):
    if variant:
        words = "nothing: this file has no variants"
        raise InputError("the variant after --config=FILE.py:", variant, words)
    c = config.default()
    c.data.name, c.data.partial = "entity13", True
    c.data.path = ""  # give it on the command line: --config.data.path=FOLDER
    c.data.image_size = 32  # pixels
    c.loop.generations = 5
    c.generator.name = "edm"
    c.generator.max_steps, c.generator.guidance = 1500, 1.5
    c.classifiers, c.classifier.width = ("lenet", "alexnet"), 0.1
    c.classifier.augment = "crop_flip"
    c.classifier.learning_rate = 3e-4
    c.answer.min_agreement = 0.5  # textures give 0.35; of test pictures the judge gets 0.41
    return c

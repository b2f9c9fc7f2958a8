"""Hard ImageNet: 15 classes with spurious cues at 224x224, Stable Diffusion with LoRA, accuracy
under three ablations. A job for an accelerator.

    python -m jaxloop.data.hard_imagenet prepare IMAGENET MASKS hard_imagenet.json       (once)
    python -m jaxloop.main --config=configs/hard_imagenet.py:finetuned \
        --config.data.path=hard_imagenet.json

IMAGENET is an ordinary ImageNet folder, {train,val}/WNID/FILE, MASKS the authors' masks.
`finetuned` (the same as configs/hard_imagenet.py) is the paper's: classifiers start from ImageNet
weights, which are downloaded once. `head` trains the last layer alone, as the data set's authors
did: Adam 5e-4, weight decay 1e-4, 15 epochs. `scratch` starts from nothing.

The paper's "5 generations of mixed datasets" we take for the original data and the mixes of four
generations.

Estimates, from counted operations at 35 % of the published peak (docs/photographs.md), of a
generation and seed, finetuned, 19,097 pictures: 0.7 hours on one H100, 0.5 on a TPU v5e-8, most of
it the generator at 512x512. Memory of each device: 3 GB for the generator's weights, 2.5 GiB for
the pictures (on smaller devices they stay with the host: data.memory), 4.2 GiB a seed for queue and
generated images, 4 to 9 GiB for a step of the classifiers. On a CPU: no. Not run at this size.
"""

from jaxloop import recipes
from jaxloop.errors import InputError

VARIANTS = ("finetuned", "head", "scratch")


def get_config(variant: str = "finetuned"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    c = recipes.photographs()
    c.data.name = "hard_imagenet"
    c.measure.evaluators = (*c.measure.evaluators, "ablation")
    recipes.classifiers(c, variant)
    return c

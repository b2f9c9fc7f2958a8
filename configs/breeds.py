"""BREEDS: superclasses of ImageNet with its classes as subgroups, at 224x224, Stable Diffusion with
LoRA. A job for an accelerator.

    python -m jaxloop.main --config=configs/breeds.py:living17 --config.data.path=IMAGENET
    python -m jaxloop.main --config=configs/breeds.py:entity13_scratch --config.data.path=IMAGENET

Variants: living17 (the same as configs/breeds.py), nonliving26 (both of four subclasses each, as
the paper's appendix A has them), entity13, entity30; each alone or with _finetuned (the default) or
_scratch. IMAGENET is an ordinary ImageNet folder, {train,val}/WNID/FILE. Where it has only some
classes, --config.data.partial=True takes those with two subclasses or more.

Pictures that do not fit into a fourth of the device's memory stay with the host, and are decoded
ahead of the steps (data.memory): living17 has 88,000 (13 GB decoded), entity13 334,000 (50 GB).
Estimates as in configs/hard_imagenet.py. Not run at this size; configs/tiny_breeds.py is for
a laptop.
"""

from jaxloop import recipes
from jaxloop.data import breeds_table
from jaxloop.errors import InputError

STARTS = ("finetuned", "scratch")
VARIANTS = (
    *breeds_table.NAMES,
    *STARTS,
    *(f"{name}_{start}" for name in breeds_table.NAMES for start in STARTS),
)


def get_config(variant: str = "living17"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    words = variant.split("_")
    c = recipes.photographs()
    c.data.name = next((word for word in words if word in breeds_table.NAMES), "living17")
    recipes.classifiers(c, next((word for word in words if word in STARTS), "finetuned"))
    return c

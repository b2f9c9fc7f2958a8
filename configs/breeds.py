"""BREEDS: superclasses of ImageNet with its classes as subgroups, at 224x224, Stable Diffusion with
LoRA. A job for an accelerator.

    python -m jaxloop.main --config=configs/breeds.py:living17 --config.data.path=IMAGENET
    python -m jaxloop.main --config=configs/breeds.py:entity13_scratch --config.data.path=IMAGENET

Variants: living17 (the same as configs/breeds.py), nonliving26 (both of four subclasses each, as
the paper's appendix A has them), entity13, entity30; each alone or with _finetuned (the default) or
_scratch. IMAGENET is an ordinary ImageNet folder, {train,val}/WNID/FILE. Where it has only some
classes, --config.data.partial=True takes those with two subclasses or more.

Pictures that do not fit into a fourth of the device's memory stay with the host, and are decoded
ahead of the steps (data.memory). Queue and generated images are on the device: 19 GiB a seed for
living17, 30 for nonliving26, 74 and 69 for entity13 and entity30, in proportion to loop.mix (0.3).
Where three seeds do not fit, play them one by one (--config.seeds="(0,)", then "(0, 1)" ...), and
choose loop.mix=0.1 for the Entity sets.

Hours of a generation and seed, finetuned, an estimate from counted operations: living17 2.9 on one
H100 and 1.8 on a TPU v5e-8, nonliving26 4.3 and 2.6, entity13 10 and 6.5, entity30 10 and 6
(docs/photographs.md). On a CPU: no; configs/tiny_breeds.py is for a laptop. Not run at this size.
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

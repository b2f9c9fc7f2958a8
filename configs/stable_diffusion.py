"""Stable Diffusion 1.5 with LoRA, the paper's second generator, on an accelerator.

    python -m jaxloop.main --config=configs/stable_diffusion.py:cifar --config.data.path=FOLDER
    python -m jaxloop.main --config=configs/stable_diffusion.py:folder --config.data.path=ROOT
    add --dry_run for the plan and the memory that it needs of each device

`cifar`: FOLDER holds cifar-100-python; pictures of 32x32 are enlarged to 512x512 for the generator
and its samples made small again. `folder`: ROOT/{train,test}/CLASS/SUBGROUP/PICTURE as in
configs/folder.py, at 224x224. The generator is downloaded once from the hub; a folder in
diffusers' layout (a copy of it, Stable Diffusion 2.x, another fine-tuned one) goes into
--config.generator.path. No safety checker looks at what is generated.

Not run at this size: nobody here has an accelerator. Estimates by counted operations are in
docs/stable_diffusion.md, from `python -m benchmarks.stable_diffusion --parts flops`.
"""

from jaxloop import config, recipes
from jaxloop.errors import InputError

VARIANTS = ("cifar", "folder")


def get_config(variant: str = "cifar"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    c = config.default()
    c.loop.generations = 5  # the paper's, with Stable Diffusion
    c.filter.drop = 0.3  # the paper's appendix C
    c.classifier.augment = "crop_flip"
    c.classifier.learning_rate = 1e-4  # as in configs/cifar.py
    recipes.stable_diffusion(c)
    if variant == "cifar":
        c.data.name, c.data.image_size = "cifar", 32
        c.classifier.stem = "small"
        c.classifiers = ("lenet", "alexnet", "vgg19", "resnet50", "mobilenet_v3_large")
    else:
        c.data.name, c.data.image_size = "folder", 224
        c.data.path = ""  # give it on the command line: --config.data.path=ROOT
        c.classifier.stem = "imagenet"
        c.classifiers = ("alexnet", "vgg19", "resnet50", "mobilenet_v3_large", "deit_small")
        c.loop.images = False  # 150 KB each
    return c

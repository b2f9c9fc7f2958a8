"""What the paper's experiments on photographs share; `configs/` builds on it."""

from typing import Any

from jaxloop import config

PUBLISHED = {  # classifier -> weights.  AlexNet's are converted once: see configs/cifar.py
    "vgg19": "timm/vgg19.tv_in1k",
    "resnet50": "timm/resnet50.tv_in1k",
    "mobilenet_v3_large": "timm/mobilenetv3_large_100.ra_in1k",
    "deit_small": "timm/deit_small_patch16_224.fb_in1k",
}


def photographs() -> Any:
    """Return what all experiments of the paper on photographs share."""
    c = config.default()
    c.data.image_size = 224  # pixels
    c.data.path = ""  # give it on the command line: --config.data.path=...
    c.loop.generations = 4
    c.loop.images = False  # 150 KB each
    c.filter.drop = 0.6  # the paper's appendix C
    c.measure.images = 2000  # real ones that measures compare with, 300 MB
    c.data.validation = 0.05
    stable_diffusion(c)
    return c


def stable_diffusion(c: Any) -> None:
    """Choose Stable Diffusion 1.5 with a LoRA, downloaded once from the hub."""
    generator = c.generator
    generator.name = "stable_diffusion"
    generator.path = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    generator.resolution = 512  # pixels, of the pre-training
    generator.batch_size, generator.max_steps = 16, 5000
    generator.guidance = 7.5  # usual for this model, and a sampling bias: the page says so
    generator.min_snr = 5.0
    generator.sample_batch = 16


def classifiers(c: Any, start: str) -> None:
    """Choose the paper's classifiers. start: "finetuned", "head" or "scratch"."""
    c.classifier.stem = "imagenet"
    c.classifier.augment = "resized_crop_flip"
    c.classifier.schedule = "cosine"
    c.classifier.learning_rate = 1e-4  # the paper's 1e-1 diverges (docs/paper.md)
    if start == "scratch":
        c.classifiers = ("alexnet", *PUBLISHED)
        return
    c.classifiers, c.classifier.pretrained = tuple(PUBLISHED), tuple(PUBLISHED.values())
    if start == "head":
        c.classifier.trained = "head"
        c.classifier.learning_rate, c.classifier.weight_decay = 5e-4, 1e-4
        c.classifier.schedule, c.classifier.epochs = "constant", 15

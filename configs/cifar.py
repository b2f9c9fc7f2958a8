"""CIFAR-20/100: 20 classes of 5 subclasses each, 32x32 pictures, ten generations.

    python -m jaxloop.main --config=configs/cifar.py:scratch      (the same as configs/cifar.py)
    python -m jaxloop.main --config=configs/cifar.py:edm          (the same with a diffusion)
    python -m jaxloop.main --config=configs/cifar.py:pretrained --config.data.path=FOLDER

FOLDER holds cifar-100-python. Without data.path, tensorflow-datasets downloads and prepares
CIFAR-100 (.venv/bin/python -m pip install -e '.[prepare]'). This is a job for an accelerator.
`scratch` has the paper's five classifiers, in their variants for small pictures. `edm` is meant for
an hour of one GPU a generator: 60,000 steps of 6.3 TFLOP (counted), at 105 TFLOP/s. It was not run
at that size; only its parts were tried, on CPUs, at smaller ones (docs/generators.md). `pretrained`
starts from ImageNet weights, which are downloaded once, and shows the classifiers the pictures at
224x224.
"""

from jaxloop import config
from jaxloop.errors import InputError

VARIANTS = ("scratch", "edm", "pretrained")


def get_config(variant: str = "scratch"):
    if variant not in VARIANTS:
        raise InputError("the variant after --config=FILE.py:", variant, VARIANTS)
    c = config.default()
    c.data.name = "cifar"
    c.data.image_size = 32  # pixels
    c.loop.generations = 10
    c.filter.drop = 0.3  # the paper's appendix C
    if variant == "edm":
        _diffusion(c.generator)
    else:
        # DCGAN's own; 16 channels and 1,600 steps, right for digits, give blobs here
        c.generator.width = 64
        c.generator.max_steps = 20_000  # not measured: hours on two CPU cores
    c.classifier.augment = "crop_flip"
    # of 1e-1 ... 1e-4 the one at which VGG-19 and AlexNet both learn (docs/paper.md)
    c.classifier.learning_rate = 1e-4
    if variant != "pretrained":
        c.classifier.stem = "small"
        c.classifiers = ("lenet", "alexnet", "vgg19", "resnet50", "mobilenet_v3_large")
    else:
        c.classifier.stem = "imagenet"
        c.classifier.image_size = 224  # pixels, as in the pre-training
        c.classifiers = ("vgg19", "resnet50", "mobilenet_v3_large")
        # One for each of `classifiers`. AlexNet's are not on the hub: convert torchvision's once by
        #     python -m jaxloop.classifiers.pretrained convert alexnet FILE.pth alexnet.safetensors
        # and add "alexnet" above and the path of the result below. For LeNet nobody
        # publishes ImageNet weights.
        c.classifier.pretrained = (
            "timm/vgg19.tv_in1k",
            "timm/resnet50.tv_in1k",
            "timm/mobilenetv3_large_100.ra_in1k",
        )
    return c


def _diffusion(generator) -> None:
    """Not measured at this size. Networks compute in bfloat16 on accelerators by themselves."""
    generator.name = "edm"
    generator.width, generator.mults, generator.blocks = 128, (1, 2, 2), 2  # 21 M parameters
    generator.attention, generator.patch = (16, 8), 1
    generator.batch_size, generator.max_steps, generator.epochs = 256, 60_000, 1000
    generator.learning_rate, generator.average = 3e-3, 0.9995
    generator.sampling_steps = 18

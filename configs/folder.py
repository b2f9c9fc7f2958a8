"""Your own images, 32x32, four generations.

    python -m jaxloop.main --config=configs/folder.py --config.data.path=ROOT --workdir=runs/mine
    python -m jaxloop.main --config=configs/folder.py --config.data.path=F.npz --workdir=runs/mine

ROOT is a folder of pictures of any size, two or more classes, each with one or more subgroups:

    ROOT/train/pets/cat/0001.jpg       {train,test}/CLASS/SUBGROUP/PICTURE.{png,jpg,jpeg}
    ROOT/train/pets/dog/0001.jpg
    ROOT/test/pets/cat/0002.jpg        every subgroup has training and test pictures
    ...

A .npz file has the arrays image (uint8 [n h w 3], or [n h w] if grey), label and group (integers
[n], from 0), split ("train" or "test" [n]), and, if you like, class_names and group_names. Models
are trained on the classes; the subgroups are what is measured. Pictures of another size are
cropped at the centre and resized to data.image_size.
"""

from jaxloop import config
from jaxloop.errors import InputError


def get_config(variant: str = ""):
    if variant:
        raise InputError(
            "the variant after --config=FILE.py:", variant, "nothing: this file has no variants"
        )
    c = config.default()
    c.data.name = "folder"
    c.data.path = ""  # give it on the command line: --config.data.path=ROOT
    c.data.image_size = 32  # pixels
    c.loop.generations = 4
    c.classifiers = ("lenet", "alexnet", "resnet50")
    c.classifier.augment = (
        "crop_flip"  # "crop" where left and right mean something, "none" where the place does
    )
    return c

"""CIFAR-20/100: the 20 coarse classes of CIFAR-100 as classes, and the 5 fine classes of each as its subgroups.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009), https://www.cs.toronto.edu/~kriz/cifar.html
"""

from pathlib import Path

import numpy as np

from jaxloop import config
from jaxloop.data import augment, cifar_archive, pictures, prepared
from jaxloop.data.cifar_archive import CLASSES, FINE, GROUPS, SIZE, Part, refused
from jaxloop.types import Dataset, Samples

# In the order of the published labels. The archive has them in `meta`; a prepared data set is read without its own.
_COARSE_NAMES = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""
_FINE_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


def load(data: config.Data) -> Dataset:
    """The published split: 50,000 training and 10,000 test images, uint8 [n s s 3] with s = `data.image_size`.

    The group of an image is the rank of its fine label among the five of its coarse class, ascending. With `data.path`,
    from the published Python archive, unpacked (see `cifar_archive.read`); else through tensorflow-datasets.

    Raises:
      InputError: no such folder, a missing or broken file (named), or a data set that cannot be downloaded.
    """
    train, test, fine_names, coarse_names = (
        cifar_archive.read(Path(data.path)) if data.path else _from_prepared()
    )
    subclasses = _subclasses(train)
    if not np.array_equal(_subclasses(test), subclasses):
        raise refused(test.where, f"the same coarse class for each fine label as in {train.where}")
    notes = (
        f"CIFAR-20/100, the published split: {len(train.fine):,} training and {len(test.fine):,} test images.",
        "Subgroup k is the k-th fine label of its class in ascending order; pooled over classes it has no meaning, so "
        "read the per-class measures.",
    )
    size = data.image_size
    if size != SIZE:
        notes += (f"The {SIZE}x{SIZE} source is resized to {size}x{size} by cubic interpolation.",)
    return Dataset(
        train=_samples(train, subclasses, size),
        test=_samples(test, subclasses, size),
        class_names=coarse_names,
        group_names=tuple(f"subclass {k + 1}" for k in range(GROUPS)),
        image_group=None,
        notes=notes,
        subgroup_names=tuple(tuple(fine_names[fine] for fine in row) for row in subclasses),
        augmentations=augment.NAMES,
    )


def _from_prepared() -> tuple[Part, Part, tuple[str, ...], tuple[str, ...]]:
    train, test = (
        Part(
            split["image"],
            split["label"],
            split["coarse_label"],
            where=f"the split {name!r} of cifar100",
        )
        for name, split in prepared.read("cifar100", ("train", "test")).items()
    )
    return train, test, tuple(_FINE_NAMES.split()), tuple(_COARSE_NAMES.split())


def _subclasses(part: Part) -> np.ndarray:
    """int [20 5]: the fine labels of each coarse class, ascending, as the images have them."""
    coarse, fine = np.unique(
        np.stack([part.coarse, part.fine], axis=1), axis=0
    ).T  # sorted by coarse, then by fine label
    for label, count in enumerate(np.bincount(coarse, minlength=CLASSES)):
        if count != GROUPS:
            raise refused(
                part.where,
                f"{GROUPS} fine labels in each coarse class; coarse class {label} has {count}",
            )
    if len(np.unique(fine)) != FINE:
        raise refused(part.where, "each fine label in one coarse class; there is one in two")
    return fine.reshape(CLASSES, GROUPS)


def _samples(part: Part, subclasses: np.ndarray, size: int) -> Samples:
    image = part.image if size == SIZE else pictures.fit(part.image, size).image
    group = np.argmax(subclasses[part.coarse] == part.fine[:, None], axis=1)
    return Samples(image, part.coarse.astype(np.int32), group.astype(np.int32))

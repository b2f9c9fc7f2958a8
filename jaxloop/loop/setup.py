"""Spec -> Parts: loads the data, makes the models, and refuses what cannot work before any work starts."""

import zlib

import numpy as np

from jaxloop import classifiers, config, data, filters, generators
from jaxloop.classifiers import training
from jaxloop.data.split import validation_split
from jaxloop.devices import make_mesh, put
from jaxloop.errors import InputError
from jaxloop.filters import select
from jaxloop.loop.generation import Parts
from jaxloop.types import Dataset


def build(spec: config.Spec, devices=None) -> tuple[Parts, dict]:
    """The experiment put together, and what config.json tells of it beside the configuration.

    Args:
      devices: on which to run; None: all there are.

    Raises:
      InputError: a name that no registry has, data that cannot be read, fewer images than a batch, an image size that a
        network does not admit, a filter that asks a classifier that is not trained.
    """
    filter_ = filters.create(spec.filter.name)
    for name in spec.classifiers:  # before the data is loaded
        if name not in classifiers.NAMES:
            raise InputError("config.classifiers", name, classifiers.NAMES)
    judge = spec.filter.classifier or spec.classifiers[0]
    if judge not in spec.classifiers:
        raise InputError("config.filter.classifier", judge, spec.classifiers)
    dataset = data.load(spec.data)
    num_classes, num_groups = len(dataset.class_names), len(dataset.group_names)
    train, validation = validation_split(dataset.train, spec.data.validation, spec.data.seed)
    _refuse_small(spec, len(train.label))

    mesh = make_mesh(len(spec.seeds), devices)
    size = spec.data.image_size
    trainers = {
        name: training.create(
            classifiers.create(name, num_classes, size, spec.classifier.width), spec.classifier, size, mesh
        )
        for name in spec.classifiers
    }
    drop = spec.filter.drop if filter_.drops else 0.0
    made, kept = select.quota(round(spec.loop.mix * len(train.label)), drop, num_classes)
    train, validation, test = put(mesh, (train, validation, dataset.test))
    parts = Parts(
        spec=spec,
        mesh=mesh,
        train=train,
        validation=validation,
        test=test,
        num_classes=num_classes,
        num_groups=num_groups,
        image_group=dataset.image_group,
        generator=generators.create(spec.generator, num_classes, size),
        trainers=trainers,
        filter=filter_,
        judge=judge,
        reference="lenet" if "lenet" in trainers else spec.classifiers[0],
        made_per_class=made,
        kept_per_class=kept,
    )
    return parts, _description(parts, dataset)


def _fingerprint(dataset: Dataset) -> str:
    """Tells whether two runs saw the same images, labels and groups in the same order."""
    code = 0
    for array in (*dataset.train, *dataset.test):
        code = zlib.crc32(np.ascontiguousarray(array), code)
    return f"{code:08x}"


def _refuse_small(spec: config.Spec, images: int) -> None:
    for kind in ("generator", "classifier"):
        size = getattr(spec, kind).batch_size
        if size > images:
            raise InputError(f"config.{kind}.batch_size", size, f"at most the {images} training images")


def _description(parts: Parts, dataset: Dataset) -> dict:
    return {
        "data": {
            "class_names": list(dataset.class_names),
            "group_names": list(dataset.group_names),
            "notes": list(dataset.notes),
            "num_train": len(parts.train.label),
            "num_validation": len(parts.validation.label),
            "num_test": len(parts.test.label),
            "crc32": _fingerprint(dataset),
        },
        "reference": parts.reference,
        "notes": _notes(parts),
        "samples_per_generation": parts.kept,
    }


def _notes(parts: Parts) -> list[str]:
    """What a reader of the report must know about how this run leaves the paper."""
    spec = parts.spec
    notes = [
        f"Each generation {parts.made_per_class * parts.num_classes} images are generated and {parts.kept} kept "
        f"(mixing ratio {spec.loop.mix:g} of {len(parts.train.label)} real training images, rounded to whole classes); "
        f"the queue holds {parts.capacity}.",
        "Filtering ranks within each class, so that no filter can delete a class.",
    ]
    if spec.classifier.width != 1.0 and set(parts.trainers) - {"lenet"}:
        names = ", ".join(sorted(set(parts.trainers) - {"lenet"}))
        notes.append(f"{names}: channels scaled by classifier.width = {spec.classifier.width:g}; the original is 1.")
    if parts.filter.reads_classifier:
        notes.append(f"The filter's uncertainty is that of last generation's {parts.judge}.")
    return notes

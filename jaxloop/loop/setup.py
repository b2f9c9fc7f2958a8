"""Spec -> Parts: loads the data, makes the models, and refuses what cannot work before any work starts."""

import zlib

import jax
import numpy as np

from jaxloop import classifiers, config, data, filters, generators, keys
from jaxloop.classifiers import dropout, pretrained, sizes, training
from jaxloop.data.split import validation_split
from jaxloop.devices import make_mesh, put
from jaxloop.errors import InputError
from jaxloop.features import clip, inception
from jaxloop.features.network import Network
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
    if filter_.with_dropout:
        _refuse_without_dropout(spec, judge)
    networks = _networks(spec.measure)
    weights = pretrained.for_classifiers(
        spec.classifier.pretrained, spec.classifiers, spec.classifier.stem, spec.classifier.width
    )
    dataset = data.load(spec.data)
    if spec.classifier.augment not in dataset.augmentations:
        allowed = f"one of {', '.join(dataset.augmentations)} for the data set {spec.data.name}"
        raise InputError("config.classifier.augment", spec.classifier.augment, allowed)
    num_classes, num_groups = len(dataset.class_names), len(dataset.group_names)
    train, validation = validation_split(dataset.train, spec.data.validation, spec.data.seed)
    _refuse_small(spec, len(train.label))

    mesh = make_mesh(len(spec.seeds), devices)
    size = spec.data.image_size
    trainers = {name: _trainer(name, spec, num_classes, mesh, weights.get(name)) for name in spec.classifiers}
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
        weights=put(mesh, {name: found.variables for name, found in weights.items()}),
        filter=filter_,
        judge=judge,
        reference="lenet" if "lenet" in trainers else spec.classifiers[0],
        networks=networks,
        real={},
        made_per_class=made,
        kept_per_class=kept,
    )
    return parts, _description(parts, dataset, weights)


def _trainer(name: str, spec: config.Spec, num_classes: int, mesh, weights: pretrained.Weights | None):
    """The Trainer of a classifier that has been tried, without computing anything, on images of the run's size."""
    kind = spec.classifier
    module = classifiers.create(name, num_classes, kind.stem, kind.width)
    trainer = training.create(module, kind, spec.data.image_size, mesh, weights)
    try:
        jax.eval_shape(lambda seed, given: trainer.init(keys.root_key(seed), given), 0, weights and weights.variables)
    except InputError as error:
        if error.field != sizes.FIELD:
            raise
        field = "config.classifier.image_size" if kind.image_size else "config.data.image_size"
        raise InputError(field, error.value, error.allowed) from None
    return trainer


def _networks(measure: config.Measure) -> dict[str, Network]:
    """The networks that only embed, by name. A run that asks for FID without weights ends here, before any work."""
    found = {}
    if measure.inception and not measure.fid:
        raise InputError(
            "config.measure.fid", measure.fid, "True where measure.inception is given, which is for it alone"
        )
    if measure.fid:
        found["inception"] = inception.load(measure.inception, measure.resize)
    if measure.clip:
        found["clip"] = clip.load(measure.clip)
    return found


def _refuse_without_dropout(spec: config.Spec, judge: str) -> None:
    """mc_dropout asks a classifier with dropout on: it must have some."""

    def has(name: str) -> bool:
        return dropout.has_dropout(classifiers.create(name, 2, spec.classifier.stem, spec.classifier.width), 224)

    if not has(judge):
        have = ", ".join(name for name in classifiers.NAMES if has(name))
        raise InputError(
            "config.filter.name",
            spec.filter.name,
            f"another filter where {judge} is asked, which has no dropout; {have} have (config.filter.classifier)",
        )


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


def _description(parts: Parts, dataset: Dataset, weights: dict[str, pretrained.Weights]) -> dict:
    return {
        "data": {
            "class_names": list(dataset.class_names),
            "group_names": list(dataset.group_names),
            "subgroup_names": [list(row) for row in dataset.subgroup_names],
            "notes": list(dataset.notes),
            "num_train": len(parts.train.label),
            "num_validation": len(parts.validation.label),
            "num_test": len(parts.test.label),
            "crc32": _fingerprint(dataset),
        },
        "reference": parts.reference,
        "pretrained": {
            name: {"source": found.source, "sha256": found.sha256, "num_classes": found.num_classes}
            for name, found in weights.items()
        },
        "networks": {
            name: {"resize": n.resize, "sha256": n.sha256, "settings": n.settings} for name, n in parts.networks.items()
        },
        "notes": _notes(parts, weights),
        "samples_per_generation": parts.kept,
    }


def _notes(parts: Parts, weights: dict[str, pretrained.Weights]) -> list[str]:
    """What a reader of the report must know about how this run leaves the paper."""
    spec, kind = parts.spec, parts.spec.classifier
    notes = [
        f"Each generation {parts.made_per_class * parts.num_classes} images are generated and {parts.kept} kept "
        f"(mixing ratio {spec.loop.mix:g} of {len(parts.train.label)} real training images, rounded to whole classes); "
        f"the queue holds {parts.capacity}.",
        "Filtering ranks within each class, so that no filter can delete a class.",
    ]
    if kind.width != 1.0 and set(parts.trainers) - {"lenet"}:
        names = ", ".join(sorted(set(parts.trainers) - {"lenet"}))
        notes.append(f"{names}: channels scaled by classifier.width = {kind.width:g}; the original is 1.")
    if kind.stem == "small" and (changed := sorted(set(parts.trainers) - {"lenet"})):
        notes.append(f"{', '.join(changed)}: the variant for small images, not torchvision's own (classifier.stem).")
    if kind.image_size:
        notes.append(f"Classifiers see the images resized to {kind.image_size}x{kind.image_size} (bilinear).")
    if kind.augment != "none":
        mirrored = " and mirrored" if kind.augment == "crop_flip" else ""
        notes.append(f"Training images, real and generated, are shifted at random{mirrored} for the classifiers.")
    for name, found in weights.items():
        notes.append(f"{name} starts from {found.source} (sha256 {found.sha256[:12]}...), all but its last layer.")
    if parts.filter.reads_classifier:
        passes = f", over {spec.filter.passes} passes with dropout on" if parts.filter.with_dropout else ""
        notes.append(f"The filter's uncertainty is that of last generation's {parts.judge}{passes}.")
    return notes

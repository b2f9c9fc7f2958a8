"""Spec -> Parts: loads the data, makes the models, and refuses what cannot work before any work starts."""

import dataclasses
import zlib
from collections.abc import Sequence

import jax
import numpy as np

from jaxloop import classifiers, config, data, filters, generators, keys
from jaxloop.classifiers import dropout, pretrained, sizes, training
from jaxloop.data.split import validation_split
from jaxloop.devices import make_mesh, put
from jaxloop.errors import InputError
from jaxloop.features import clip, clip_score, inception
from jaxloop.features.clip_score import ClipScore
from jaxloop.features.network import Network
from jaxloop.filters import select
from jaxloop.loop import policy
from jaxloop.loop.experiment import Parts
from jaxloop.run import notes
from jaxloop.types import Dataset


def build(spec: config.Spec, devices=None) -> tuple[Parts, dict]:
    """The experiment put together, and what config.json tells of it beside the configuration.

    Args:
      devices: on which to run; None: all there are.

    Raises:
      InputError: a name that no registry has, data that cannot be read, fewer images than a batch, an image size that a
        network does not admit, a filter that asks a classifier that is not trained.
    """
    filter_ = _filter(spec)
    for name in spec.classifiers:  # before the data is loaded
        if name not in classifiers.NAMES:
            raise InputError("config.classifiers", name, classifiers.NAMES)
    judge = spec.filter.classifier or spec.classifiers[0]
    if judge not in spec.classifiers:
        raise InputError("config.filter.classifier", judge, spec.classifiers)
    if filter_.asks(filters.DROPOUT):
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
    judged_by = (
        _clip_score(spec.filter, dataset.class_names) if filter_.asks(filters.CLIP) else None
    )
    drop = spec.filter.drop if filter_.drops else 0.0
    made, kept = select.quota(round(spec.loop.mix * len(train.label)), drop, num_classes)
    _refuse_small(spec, len(train.label), kept * num_classes)

    mesh = make_mesh(len(spec.seeds), devices)
    size = spec.data.image_size
    trainers = {
        name: _trainer(name, spec, num_classes, mesh, weights.get(name))
        for name in spec.classifiers
    }
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
        clip=judged_by and dataclasses.replace(judged_by, variables=put(mesh, judged_by.variables)),
        judge=judge,
        reference="lenet" if "lenet" in trainers else spec.classifiers[0],
        networks=networks,
        real={},
        made_per_class=made,
        kept_per_class=kept,
    )
    return parts, _description(parts, dataset, weights)


def control(parts: Parts, description: dict) -> tuple[Parts, dict]:
    """The same experiment with a random choice of the images, as many as the filter keeps: its parts, and its description."""
    spec = dataclasses.replace(
        parts.spec, filter=dataclasses.replace(parts.spec.filter, name="random", control=False)
    )
    chance = parts._replace(spec=spec, filter=filters.create(spec.filter), clip=None)
    shared = [note for note in description["notes"] if note not in notes.of_filter(parts)]
    arm = "This is the control arm: what is kept is a random choice, and generation 0 is the filtered arm's."
    return chance, {**description, "notes": [arm, *shared, *notes.of_filter(chance)]}


def _filter(spec: config.Spec) -> filters.Filter:
    """The filter that `spec` names. Raises InputError where there is none, or where it cannot do what is asked of it."""
    chosen, name = filters.create(spec.filter), spec.filter.name
    if spec.filter.control and set(chosen.experts) <= {"random"}:
        raise InputError(
            "config.filter.control",
            True,
            f"False where filter.name is {name}, which is no expert's choice",
        )
    if spec.filter.control and spec.filter.drop == 0:
        raise InputError(
            "config.filter.drop",
            0.0,
            "more than 0 where filter.control is True: else both arms keep everything",
        )
    if chosen.asks(filters.PEOPLE) and not spec.loop.images:
        raise InputError(
            "config.loop.images",
            False,
            f"True where filter.name is {name}: people must see the images",
        )
    return chosen


def _clip_score(spec: config.Filter, class_names: Sequence[str]) -> ClipScore:
    return clip_score.load(spec.clip, [spec.template.format(name) for name in class_names])


def _trainer(
    name: str, spec: config.Spec, num_classes: int, mesh, weights: pretrained.Weights | None
):
    """The Trainer of a classifier that has been tried, without computing anything, on images of the run's size."""
    kind = spec.classifier
    module = classifiers.create(name, num_classes, kind.stem, kind.width)
    trainer = training.create(module, kind, spec.data.image_size, mesh, weights)
    try:
        jax.eval_shape(
            lambda seed, given: trainer.init(keys.root_key(seed), given),
            0,
            weights and weights.variables,
        )
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
            "config.measure.fid",
            measure.fid,
            "True where measure.inception is given, which is for it alone",
        )
    if measure.fid:
        found["inception"] = inception.load(measure.inception, measure.resize)
    if measure.clip:
        found["clip"] = clip.load(measure.clip)
    return found


def _refuse_without_dropout(spec: config.Spec, judge: str) -> None:
    """mc_dropout asks a classifier with dropout on: it must have some."""

    def has(name: str) -> bool:
        return dropout.has_dropout(
            classifiers.create(name, 2, spec.classifier.stem, spec.classifier.width), 224
        )

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


def _refuse_small(spec: config.Spec, num_real: int, kept: int) -> None:
    images = policy.smallest(spec.loop, num_real, kept)
    if images < 2 and spec.loop.real == "fresh":
        raise InputError(
            "config.loop.fresh",
            spec.loop.fresh,
            f"a share that gives 2 or more of {num_real} images",
        )
    for kind in ("generator", "classifier"):
        size = getattr(spec, kind).batch_size
        if size > images:
            allowed = f"at most the {images} images that a generation trains on (loop.real is {spec.loop.real})"
            raise InputError(f"config.{kind}.batch_size", size, allowed)


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
            name: {"sha256": n.sha256, "settings": n.settings}
            | ({"resize": n.resize} if name in parts.networks else {})
            for name, n in (parts.networks | ({"filter": parts.clip} if parts.clip else {})).items()
        },
        "notes": notes.of_run(parts, weights) + notes.of_filter(parts),
        "samples_per_generation": parts.kept,
    }

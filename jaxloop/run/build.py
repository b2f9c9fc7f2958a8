"""Spec -> Experiment: loads the data, makes the models, and refuses what cannot work before it
starts."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxloop import classifiers, data, evaluators, files, filters, generators, keys
from jaxloop.classifiers import dropout, pretrained, training
from jaxloop.classifiers.classifier import SIDE_FIELD
from jaxloop.data import batches, memory
from jaxloop.data.source import InMemory, Streamed
from jaxloop.data.split import held_out_split, validation_split
from jaxloop.devices import Seeds, compute_dtype, lay_out, put
from jaxloop.errors import InputError
from jaxloop.features import clip, clip_score, inception
from jaxloop.features.clip_score import ClipScore
from jaxloop.features.network import Network
from jaxloop.filters import select
from jaxloop.loop import arms, policy
from jaxloop.loop.encoding import encode_real, encoded_shape
from jaxloop.loop.experiment import SAMPLES, Constants, Experiment, Host
from jaxloop.metrics.embedded import even
from jaxloop.run import description, plan
from jaxloop.spec import Filter, Measure, Spec
from jaxloop.types import Dataset, Samples


def build(spec: Spec, devices=None, dry: bool = False) -> tuple[Experiment, dict]:
    """Return the experiment on `devices` (None: all), and what config.json says beside the Spec.

    dry: it is not to be run; where a generator would encode the real images, there are shapes.
    Raises InputError on whatever cannot work, before any work starts.
    """
    arms.check(spec)
    chosen, classifier = filters.create(spec.filter), spec.filter.classifier or spec.classifiers[0]
    if chosen.needs(filters.DROPOUT):
        _refuse_without_dropout(spec, classifier)
    seeds = lay_out(spec.seeds, spec.devices.seeds, devices)
    networks = _networks(spec.measure)
    weights = pretrained.for_classifiers(
        spec.classifier.pretrained, spec.classifiers, spec.classifier.stem, spec.classifier.width
    )
    dataset = _dataset(spec)
    provides = {SAMPLES, *networks, *dataset.test_extras}
    provides |= {"image_group"} if dataset.image_group else set()
    evaluators.check(spec.measure.evaluators, frozenset(provides))
    rest, held_out = held_out_split(dataset.train, spec.data.held_out, spec.data.seed)
    train, validation = validation_split(rest, spec.data.validation, spec.data.seed)
    train, host, note = _placed(spec, train, seeds.mesh.devices.flat[0])
    validation, held_out = map(_in_memory, (validation, held_out))
    dataset = dataset._replace(notes=(*dataset.notes, *note))
    dataset = _noted_cells(spec, dataset, train)
    scorer = _clip_score(spec.filter, dataset.class_names) if chosen.needs(filters.CLIP) else None
    num_classes, num_real = len(dataset.class_names), len(train.label)
    drop = spec.filter.drop if chosen.drops else 0.0
    shares = _class_shares(spec, train.label, num_classes)
    generated, kept = select.quota(round(spec.loop.mix * num_real), drop, shares)
    _refuse_small(spec, num_real, sum(kept))
    capacity = sum(kept) * policy.generations_held(spec.loop)
    beside = {"held_out": held_out, "class_names": dataset.class_names}
    generator = _generator(spec, seeds, num_classes, num_real + capacity, beside)
    parts = spec, seeds, num_classes, num_real
    constants = _constants(train, validation, dataset, weights, generator, scorer)
    constants = put(seeds.mesh, constants)
    if generator.encode:
        given = constants, generator
        encoded = encoded_shape(*given) if dry else encode_real(seeds.mesh, *given, host)
        constants = constants._replace(encoded=encoded)
    experiment = Experiment(
        spec=spec,
        seeds=seeds,
        constants=constants,
        host=host,
        num_classes=num_classes,
        num_groups=len(dataset.group_names),
        image_group=dataset.image_group,
        recolor=dataset.recolor,
        generator=generator._replace(constants=()),
        trainers={name: _trainer(name, *parts, weights.get(name)) for name in spec.classifiers},
        filter=chosen,
        clip=scorer.apply if scorer else None,
        judge=_judge(spec, seeds, dataset, num_real, weights),
        filter_classifier=classifier,
        reference="lenet" if "lenet" in spec.classifiers else spec.classifiers[0],
        networks=networks,
        generated_by_class=generated,
        kept_by_class=kept,
        provides=frozenset(provides),
    )
    return experiment, description.of(experiment, dataset, weights, scorer)


def _noted_cells(spec: Spec, dataset: Dataset, train: Samples | Streamed) -> Dataset:
    """Return the data set with a note on subgroups of a class that are tested and not trained on.

    Raises InputError unless `data.empty_cells` allows them.
    """
    tested, trained = (set(zip(x.label, x.group, strict=True)) for x in (dataset.test, train))
    unknown = {label for label, group in trained if group < 0}
    empty = sorted((c, g) for c, g in tested - trained if g >= 0 and c not in unknown)
    if not empty:
        return dataset
    names = dataset.subgroup_names or [dataset.group_names] * len(dataset.class_names)
    listed = (
        f"{names[label][group]} of class {dataset.class_names[label]}" for label, group in empty
    )
    words = files.shortened(", ".join(listed), 200)
    if spec.data.empty_cells == "refuse":
        allowed = f"allow, where subgroups have test images and no training image: {words}"
        raise InputError("config.data.empty_cells", "refuse", allowed)
    note = f"Subgroups with test images and no training image ({len(empty)}): {words}."
    return dataset._replace(notes=(*dataset.notes, note))


def _class_shares(spec: Spec, label: np.ndarray, num_classes: int) -> list[float]:
    """Return the shares of the classes among the images that a generation keeps, [L]."""
    if spec.loop.classes == "even":
        return [1 / num_classes] * num_classes
    return (np.bincount(label, minlength=num_classes) / len(label)).tolist()


def of_seeds(experiment: Experiment, values: Sequence[int], devices=None) -> Experiment:
    """Return the experiment of other seeds, laid out over `devices` (None: all) for as many."""
    seeds = lay_out(tuple(values), experiment.spec.devices.seeds, devices)
    if seeds.mesh == experiment.seeds.mesh:
        return experiment._replace(seeds=seeds)
    trainers = {n: t._replace(mesh=seeds.mesh) for n, t in experiment.trainers.items()}
    judge = experiment.judge and experiment.judge._replace(mesh=seeds.mesh)
    constants = put(seeds.mesh, experiment.constants)
    return experiment._replace(seeds=seeds, constants=constants, trainers=trainers, judge=judge)


def _placed(
    spec: Spec, train: Samples, device
) -> tuple[Samples | Streamed, Host | None, tuple[str, ...]]:
    """Return the training images as they go to the devices, those that stay behind, and a note."""
    how, size = memory.chosen(spec.data.memory, train.image, device), plan.gib(train.image.nbytes)
    if how == "device":
        return _in_memory(train), None, ()
    host = memory.with_host(how, train.image)
    index = np.asarray(even(train.label, spec.measure.images))
    some = Samples(host.read(index), train.label[index], train.group[index])
    note = (
        f"The training images, {size}, stay {memory.WORDS[how]}; measures compare with "
        f"{len(index):,} of {len(train.label):,}, evenly of each class."
    )
    streamed = Streamed(train.label, train.group, InMemory.from_samples(some))
    return streamed, host, (note,)  # type: ignore[return-value]


def _in_memory(samples: Samples) -> Samples:
    return samples._replace(image=np.asarray(samples.image))


def _constants(train, validation, dataset: Dataset, weights, generator, scorer) -> Constants:
    return Constants(
        train=train if isinstance(train, Streamed) else InMemory.from_samples(train),
        validation=InMemory.from_samples(validation),
        test=InMemory.from_samples(dataset.test, **dataset.test_extras),
        weights={name: one.variables for name, one in weights.items()},
        generator=generator.constants,
        encoded=(),
        clip=scorer.variables if scorer else None,
    )


def _dataset(spec: Spec) -> Dataset:
    dataset = data.load(spec.data)
    if spec.classifier.augment not in dataset.augmentations:
        allowed = f"one of {', '.join(dataset.augmentations)} for the data set {spec.data.name}"
        raise InputError("config.classifier.augment", spec.classifier.augment, allowed)
    return dataset


def arm(name: str, experiment: Experiment, described: dict) -> tuple[Experiment, dict]:
    """Return the experiment of an arm, with the evaluators that it admits, and its description."""
    changed = arms.create(name, experiment)
    measure = changed.spec.measure
    names = evaluators.possible(measure.evaluators, changed.provides)
    measure = dataclasses.replace(measure, evaluators=names)
    changed = changed._replace(spec=dataclasses.replace(changed.spec, measure=measure))
    shared = {k: v for k, v in described.items() if k not in ("generation", "filter")}
    return changed, {**shared, "arm": name, **description.of_loop(changed)}


def _clip_score(spec: Filter, class_names: Sequence[str]) -> ClipScore:
    return clip_score.load(spec.clip, [spec.template.format(name) for name in class_names])


def _generator(spec: Spec, seeds: Seeds, num_classes: int, num_images: int, given: dict):
    config = spec.generator
    num_steps = config.epochs * batches.num_batches(num_images, config.batch_size)
    num_steps = min(num_steps, config.max_steps or num_steps)
    dtype = compute_dtype(spec.devices.dtype, seeds.mesh)
    size = spec.data.image_size
    return generators.create(config, num_classes, size, num_steps, dtype, **given)


def _trainer(
    name: str, spec: Spec, seeds: Seeds, num_classes: int, num_real: int, weights
) -> training.Trainer:
    """Return the Trainer of a classifier, tried on the run's image size without computing
    anything."""
    config, size = spec.classifier, spec.data.image_size
    dtype = compute_dtype(spec.devices.dtype, seeds.mesh)
    module = classifiers.create(name, num_classes, config.stem, config.width, dtype)
    steps_per_epoch = batches.num_batches(num_real, config.batch_size)
    trainer = training.create(module, config, size, seeds.mesh, steps_per_epoch, weights)
    variables = weights.variables if weights else None
    try:
        jax.eval_shape(lambda s, v: training.init(trainer, keys.root_key(s), v), 0, variables)
    except InputError as error:
        if error.field != SIDE_FIELD:
            raise
        field = "config.classifier.image_size" if config.image_size else "config.data.image_size"
        raise InputError(field, error.value, error.allowed) from None
    return trainer


def _judge(
    spec: Spec, seeds: Seeds, dataset: Dataset, num_real: int, weights
) -> training.Trainer | None:
    """Return the judge of subgroups, or None. Raises InputError where there is nothing to judge, or
    where its errors cannot be measured."""
    name = spec.measure.judge
    if not name:
        return None
    real, tested = (set(zip(x.label.tolist(), x.group.tolist(), strict=True)) for x in dataset[:2])
    first = sorted(real ^ tested)[:1]
    one_sided = "".join(dataset.class_names[label] for label, _ in first)
    side = "test" if set(first) <= real else "training"
    known = [
        (dataset.image_group, "pixels tell the subgroup"),
        (len(dataset.group_names) == 1, "there is one subgroup"),
        (any(group < 0 for _, group in real | tested), "an image has no subgroup"),
        (first, f"class {one_sided} has a subgroup without {side} images"),
    ]
    if reasons := [reason for holds, reason in known if holds]:
        words = f"empty for the data set {spec.data.name}: {reasons[0]}"
        raise InputError("config.measure.judge", name, words)
    num_cells = len(dataset.class_names) * len(dataset.group_names)
    return _trainer(name, spec, seeds, num_cells, num_real, weights.get(name))


def _networks(measure: Measure) -> dict[str, Network]:
    """Return the networks that only embed, by name. FID without weights ends here, before any
    work."""
    networks = {}
    if measure.fid:
        networks["inception"] = inception.load(measure.inception, measure.resize)
    if measure.clip:
        networks["clip"] = clip.load(measure.clip)
    return networks


def _refuse_without_dropout(spec: Spec, classifier: str) -> None:
    def has(name: str) -> bool:
        module = classifiers.create(name, 2, spec.classifier.stem, spec.classifier.width)
        return dropout.has_dropout(module, 224)

    if not has(classifier):
        have = ", ".join(name for name in classifiers.MODULES if has(name))
        words = f"another filter where {classifier} scores, which has no dropout; {have} have"
        raise InputError(
            "config.filter.name", spec.filter.name, f"{words} (config.filter.classifier)"
        )


def _refuse_small(spec: Spec, num_real: int, kept: int) -> None:
    images = policy.smallest(spec.loop, num_real, kept)
    if images < 2 and spec.loop.real == "fresh":
        words = f"a share that gives 2 or more of {num_real} images"
        raise InputError("config.loop.fresh", spec.loop.fresh, words)
    for part in ("generator", "classifier"):
        size = getattr(spec, part).batch_size
        if size > images:
            words = f"at most the {images} images that a generation trains on"
            raise InputError(
                f"config.{part}.batch_size", size, f"{words} (loop.real is {spec.loop.real})"
            )

"""What config.json says of an experiment beside its Spec."""

import zlib

import numpy as np

from jaxloop import filters
from jaxloop.data.on_disk import OnDisk
from jaxloop.data.source import InMemory, Streamed
from jaxloop.loop import advance, policy, stages
from jaxloop.loop.experiment import Experiment
from jaxloop.metrics import counts
from jaxloop.run import plan
from jaxloop.types import Dataset


def of(experiment: Experiment, dataset: Dataset, weights: dict, scorer) -> dict:
    """Return the data, weights and networks of an experiment, and of its loop."""
    constants, networks = experiment.constants, dict(experiment.networks)
    described = {
        name: {"sha256": n.sha256, "settings": n.settings, "resize": n.resize}
        for name, n in networks.items()
    }
    if scorer:
        described["filter"] = {"sha256": scorer.sha256, "settings": scorer.settings}
    return {
        "data": {
            "class_names": list(dataset.class_names),
            "group_names": list(dataset.group_names),
            "subgroup_names": [list(row) for row in dataset.subgroup_names],
            "notes": list(dataset.notes),
            "num_train": len(constants.train.label),
            "num_compared": len(constants.train.in_memory.label),
            "num_validation": len(constants.validation.label),
            "num_test": len(constants.test.label),
            "train_cells": _cells(experiment, constants.train),
            "test_cells": _cells(experiment, constants.test),
            "crc32": _fingerprint(dataset),
        },
        "reference": experiment.reference,
        "pretrained": {
            name: {"source": w.source, "sha256": w.sha256, "num_classes": w.num_classes}
            for name, w in weights.items()
        },
        "networks": described,
        **_of_generator(experiment),
        **of_loop(experiment),
    }


def _of_generator(experiment: Experiment) -> dict:
    """Return what a generator with frozen networks says of them, and the bytes of each device."""
    facts = experiment.generator.facts
    if not facts:
        return {}
    state = advance.initial(experiment, stages.build(experiment))
    return {"generator": dict(facts), "memory": plan.memory(experiment, state)}


def _cells(experiment: Experiment, images: InMemory | Streamed) -> list[list[int]]:
    """Return the number of images of each class and subgroup, [L G]."""
    shape = experiment.num_classes, experiment.num_groups
    known = counts.in_range(images.group, experiment.num_groups)
    return np.asarray(counts.cells(images.label, images.group, *shape, known)).tolist()


def of_loop(experiment: Experiment) -> dict:
    """Return what is generated and how it is filtered; nothing where nothing is."""
    if not experiment.generates:
        return {}
    return {
        "generation": {
            "generated": experiment.num_generated,
            "kept": experiment.num_kept,
            "kept_by_class": experiment.kept_by_class,
            "capacity": experiment.capacity,
            "fresh": policy.num_fresh(experiment.spec.loop, experiment.num_real),
        },
        "filter": of_filter(experiment),
    }


def of_filter(experiment: Experiment) -> dict:
    """Return which experts the filter asks, with what weight, and whose uncertainty."""
    chosen = experiment.filter
    dropout = chosen.needs(filters.DROPOUT)
    uncertain = dropout or chosen.needs(filters.CLASSIFIER)
    return {
        "experts": dict(zip(chosen.experts, chosen.weights, strict=True)),
        "ranking": chosen.ranking,
        "classifier": experiment.filter_classifier if uncertain else None,
        "passes": experiment.spec.filter.passes if dropout else None,
    }


def _fingerprint(dataset: Dataset) -> str:
    """Return a checksum of images (of files not read: their names), labels, groups, in order."""
    code = 0
    for array in (*dataset.train, *dataset.test):
        if isinstance(array, OnDisk):
            code = array.checksum(code)
        else:
            code = zlib.crc32(np.ascontiguousarray(array).data, code)
    return f"{code:08x}"

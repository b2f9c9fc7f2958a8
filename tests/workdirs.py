"""A small simulated workdir: two classifiers, two subgroups. Every value is a formula."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxloop.provenance.store import LAYOUT


class Reader(HTMLParser):
    """Collects tags with their attributes, and checks that they close in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


FILTER = {"name": "uncertainty", "drop": 0.1}
SEEDS, CLASSIFIERS, GENERATIONS, EPOCHS = (0, 1, 2), ("lenet", "alexnet"), 4, 3


def signal(seed: int, generation: int, epoch: int) -> float:
    """Return the training loss of any network: it falls with the epoch."""
    return 1 / epoch + 0.1 * generation + 0.01 * seed


def bias(subject: str, seed: int, generation: int) -> float:
    """1 - MEO. Of lenet it grows by 0.02 + 0.001 seed a generation, of alexnet in no direction."""
    if subject == "lenet":
        return 0.05 + (0.02 + 0.001 * seed) * generation
    return 0.05 + 0.002 * (seed - 1) * generation + 0.01 * (generation % 2)


def config(**changes) -> dict:
    base = {
        "config": {
            "seeds": list(SEEDS), "classifiers": list(CLASSIFIERS),
            "data": {"name": "digits", "image_size": 16},
            "loop": {"generations": GENERATIONS, "capacity": 3, "mix": 0.2},
            "generator": {"name": "dcgan"}, "filter": {"name": "uncertainty", "drop": 0.1},
        },
        "layout": LAYOUT,
        "version": "0.1.0", "git_commit": "c0ffee", "jax": "0.10.2", "device": "cpu x1",
        "data": {
            "class_names": ["zero", "one"], "group_names": ["red", "blue"],
            "notes": ["The split is <odd>."],
            "num_train": 1294, "num_validation": 143, "num_test": 360,
            "train_cells": [[517, 130], [130, 517]], "test_cells": [[3, 3], [3, 3]],
        },
        "reference": "lenet",
        "generation": {"generated": 290, "kept": 260, "capacity": 780, "fresh": 259},
    }  # fmt: skip
    base["config"] |= changes
    return base


def log(signals: bool = True) -> list[dict]:
    """Return all records; with `signals` those of training too, three epochs of each network."""
    rows = []

    def add(seed, generation, subject, metric, value, **parameters):
        row = {"seed": seed, "generation": generation, "subject": subject, "metric": metric}
        rows.append(row | {"value": value} | parameters)

    for generation in range(GENERATIONS + 1):
        for seed in SEEDS:
            for subject in CLASSIFIERS:
                _add_classifier(add, seed, generation, subject)
            if generation:
                _add_generated(add, seed, generation)
            if signals:
                _add_signals(add, seed, generation)
    return rows


def _add_classifier(add, seed: int, generation: int, subject: str) -> None:
    gap = bias(subject, seed, generation)
    values = {"accuracy": 1 - gap / 2, "meo": 1 - gap, "di": 1 - 1.1 * gap, "md": gap}
    for metric, value in values.items():
        add(seed, generation, subject, metric, value)
    for rank, value in ((1, 1 - 2 * gap), (2, 1 - gap / 3)):
        add(seed, generation, subject, "accuracy", value, rank=rank)
    for metric, value in (("epochs_trained", 20 + seed), ("diverged", 0)):
        add(seed, generation, subject, metric, value)
    for metric in ("meo", "di", "md"):
        add(seed, generation, subject, f"{metric}_per_class", values[metric] - 0.01)
    for group in range(2):
        add(seed, generation, subject, "group_accuracy", 1 - gap * group, group=group)
        add(seed, generation, subject, "group_accuracy", 0.9, group=group, **{"class": 1})


def _add_generated(add, seed: int, generation: int) -> None:
    add(
        seed, generation, "generator", "frechet_distance", 12.0 + generation + seed, network="lenet"
    )
    add(seed, generation, "generator", "label_agreement", 0.9 + 0.01 * seed)
    add(seed, generation, "generator", "within_class_diversity", 0.8 - 0.05 * generation)
    add(seed, generation, "generator", "unknown_share", 0.05)
    add(seed, generation, "generator", "diverged", 0)
    add(seed, generation, "filter", "drop_rate", 0.1)
    for group in range(2):
        add(seed, generation, "generator", "subgroup_share", 0.475, group=group)
        # Around 0.08 and 0.12: without any spread over seeds there would be no test of it.
        rate = 0.079 + 0.04 * group + 0.001 * seed
        add(seed, generation, "filter", "drop_rate", rate, group=group)


def _add_signals(add, seed: int, generation: int) -> None:
    for epoch in range(1, EPOCHS + 1):
        for subject in (*CLASSIFIERS, *(("generator", "discriminator") if generation else ())):
            value = signal(seed, generation, epoch)
            add(seed, generation, subject, "loss", value, epoch=epoch, split="training")
            add(
                seed, generation, subject, "gradient_norm", 2 * value, epoch=epoch, split="training"
            )
            if subject in CLASSIFIERS:
                add(seed, generation, subject, "loss", 1.5 * value, epoch=epoch, split="validation")


def write_workdir(folder: Path, records: list[dict] | None = None, **changes) -> Path:
    """Write a workdir of `records` (all by default) with grids of two seeds and predictions."""
    (folder / "config.json").write_text(json.dumps(config(**changes)))
    lines = [json.dumps(record) + "\n" for record in (log() if records is None else records)]
    (folder / "records.jsonl").write_text("".join(lines))
    (folder / "samples").mkdir()
    for generation in range(1, GENERATIONS + 1):
        for seed in (0, 1):
            picture = np.full((8, 12, 3), 20 * generation + seed, np.uint8)
            Image.fromarray(picture).save(folder / f"samples/g{generation:02d}_s{seed}.png")
    rows = [{"generation": 0, "stage": "classifiers", "seconds": 30.0}]
    rows += [
        {"generation": 1, "stage": "generator", "seconds": s, "peak_memory_mb": 912}
        for s in (12.25, 30.0)
    ]
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _write_predictions(folder / "predictions")
    return folder


def _write_predictions(folder: Path) -> None:
    """Twelve test images; seed s of either classifier errs on the first s + 1 of them."""
    folder.mkdir()
    label, group = np.arange(12) % 2, np.arange(12) // 2 % 2
    predicted = np.stack([np.where(np.arange(12) <= seed, 1 - label, label) for seed in SEEDS])
    for generation in range(GENERATIONS + 1):
        arrays = {"label": label, "group": group} | dict.fromkeys(CLASSIFIERS, predicted)
        np.savez(folder / f"g{generation:02d}.npz", **arrays)


@pytest.fixture(scope="session")
def make_workdir(tmp_path_factory):
    """make(records=..., **config changes) -> a new workdir."""
    return lambda records=None, **changes: write_workdir(
        tmp_path_factory.mktemp("run"), records, **changes
    )


@pytest.fixture(scope="session")
def make_arms(make_workdir):
    """make(control=..., records=..., **config changes) -> a new workdir with a control arm."""

    def make(control: list[dict], records: list[dict] | None = None, **changes) -> Path:
        folder = make_workdir(records, **{"filter": FILTER, "arms": ["random"]} | changes)
        (folder / "arms/random").mkdir(parents=True)
        write_workdir(
            folder / "arms/random", control, **changes | {"filter": FILTER | {"name": "random"}}
        )
        return folder

    return make


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The plain workdir, shared by tests that only read it."""
    return write_workdir(tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def full_log():
    return log()


@pytest.fixture
def estimated_log(full_log) -> list[dict]:
    """The same, its shares of subgroups a judge's estimates."""
    return [r | {"caveat": "estimated"} if r["metric"] == "subgroup_share" else r for r in full_log]


@pytest.fixture(scope="session")
def reader():
    return Reader


@pytest.fixture(scope="session")
def log_of():
    """The function behind `full_log`, for fixtures that outlive a test."""
    return log


@pytest.fixture
def bias_of():
    return bias

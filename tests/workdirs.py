"""A small simulated workdir: two classifiers, two subgroups, whose every value is a formula that a test can repeat."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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


SEEDS, CLASSIFIERS, GENERATIONS = (0, 1, 2), ("lenet", "alexnet"), 4


def bias(subject: str, seed: int, generation: int) -> float:
    """1 - MEO: grows by 0.02 + 0.001 seed a generation for lenet; of no common direction for alexnet."""
    if subject == "lenet":
        return 0.05 + (0.02 + 0.001 * seed) * generation
    return 0.05 + 0.002 * (seed - 1) * generation + 0.01 * (generation % 2)


def config(**changes) -> dict:
    base = {
        "config": {
            "seeds": list(SEEDS), "classifiers": list(CLASSIFIERS), "data": {"name": "digits", "image_size": 16},
            "loop": {"generations": GENERATIONS, "capacity": 3, "mix": 0.2}, "generator": {"name": "dcgan"},
            "filter": {"name": "uncertainty", "drop": 0.1},
        },
        "version": "0.1.0", "git_commit": "c0ffee", "jax": "0.10.2", "device": "cpu x1",
        "data": {"class_names": ["zero", "one"], "group_names": ["red", "blue"], "notes": ["The split is <odd>."],
                 "num_train": 1294, "num_validation": 143, "num_test": 360},
        "reference": "lenet", "notes": ["AlexNet runs at width 0.25."], "samples_per_generation": 260,
    }  # fmt: skip
    base["config"] |= changes
    return base


def log() -> list[dict]:
    rows = []

    def add(seed, generation, subject, metric, value, **of):
        rows.append(
            {
                "seed": seed,
                "generation": generation,
                "subject": subject,
                "metric": metric,
                "value": value,
            }
            | of
        )

    for generation in range(GENERATIONS + 1):
        for seed in SEEDS:
            for subject in CLASSIFIERS:
                gap = bias(subject, seed, generation)
                values = {"accuracy": 1 - gap / 2, "meo": 1 - gap, "di": 1 - 1.1 * gap, "md": gap, "acc_rank_1": 1 - 2 * gap,
                          "acc_rank_2": 1 - gap / 3, "epochs_trained": 20 + seed, "diverged": 0}  # fmt: skip
                values |= {f"{name}_per_class": values[name] - 0.01 for name in ("meo", "di", "md")}
                for metric, value in values.items():
                    add(seed, generation, subject, metric, value)
                for group in range(2):
                    add(seed, generation, subject, "group_accuracy", 1 - gap * group, group=group)
                    add(
                        seed,
                        generation,
                        subject,
                        "group_accuracy",
                        0.9,
                        group=group,
                        **{"class": 1},
                    )
            if generation:
                add(seed, generation, "generator", "fd_lenet", 12.0 + generation + seed)
                add(seed, generation, "generator", "label_agreement", 0.9 + 0.01 * seed)
                add(
                    seed, generation, "generator", "within_class_diversity", 0.8 - 0.05 * generation
                )
                add(seed, generation, "generator", "unknown_share", 0.05)
                add(seed, generation, "generator", "diverged", 0)
                add(seed, generation, "filter", "drop_rate", 0.1)
                for group in range(2):
                    add(seed, generation, "generator", "subgroup_share", 0.475, group=group)
                    # Around 0.08 and 0.12: without any spread over seeds there would be no test of it.
                    add(
                        seed,
                        generation,
                        "filter",
                        "drop_rate",
                        0.079 + 0.04 * group + 0.001 * seed,
                        group=group,
                    )
    return rows


def write_workdir(folder: Path, records: list[dict] | None = None, **changes) -> Path:
    """A workdir with `records` (all by default), sample grids of two of the three seeds, and three rows of timing."""
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
    return folder


@pytest.fixture(scope="session")
def make_workdir(tmp_path_factory):
    """make(records=..., **config changes) -> a new workdir."""
    return lambda records=None, **changes: write_workdir(
        tmp_path_factory.mktemp("run"), records, **changes
    )


@pytest.fixture(scope="session")
def make_arms(make_workdir):
    """make(records of the control arm, records=..., **config changes) -> a new workdir with a control arm."""

    def make(control: list[dict], records: list[dict] | None = None, **changes) -> Path:
        folder = make_workdir(
            records, **{"filter": {"name": "uncertainty", "drop": 0.1, "control": True}} | changes
        )
        (folder / "control").mkdir()
        write_workdir(
            folder / "control", control, **changes | {"filter": {"name": "random", "drop": 0.1}}
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


@pytest.fixture(scope="session")
def reader():
    return Reader


@pytest.fixture(scope="session")
def log_of():
    """What makes `full_log`, for fixtures that outlive a test."""
    return log


@pytest.fixture
def bias_of():
    return bias

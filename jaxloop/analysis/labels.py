"""What a run is, in few words, read off its configuration: its data set, its start, its experiment, its label among others.

Old configurations may lack any field: what they lack is not told.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.run_folder import Run

MNIST, CIFAR, HARD_IMAGENET, BREEDS = "mnist", "cifar", "hard_imagenet", "breeds"

_TITLES = {
    "digits": "Colorized Digits", MNIST: "Colorized MNIST", CIFAR: "CIFAR-20/100", HARD_IMAGENET: "Hard ImageNet",
    BREEDS: "BREEDS",
}  # fmt: skip
_COLORED = ("digits", MNIST)

BIASED, UNBIASED, NOT_APPLICABLE = "biased", "unbiased", "N/A"
PRETRAINED, SCRATCH = "pretrained", "scratch"


def data_name(run: Run) -> str:
    return run.spec.get("data", {}).get("name", "?")


def data_title(run: Run) -> str:
    """The data set as the paper calls it; own images by their folder."""
    name = data_name(run)
    path = run.spec.get("data", {}).get("path")
    return (
        f"own images ({Path(path).name})" if name == "folder" and path else _TITLES.get(name, name)
    )


def initialisation(run: Run) -> str:
    """Of a data set that is coloured here: BIASED where any class has colours of unequal probability, else UNBIASED."""
    if data_name(run) not in _COLORED:
        return NOT_APPLICABLE
    rows = run.spec["data"].get("color") or []
    return (
        BIASED
        if any(not math.isclose(p, 1 / len(row), abs_tol=1e-6) for row in rows for p in row)
        else UNBIASED
    )


def start(run: Run) -> str:
    """PRETRAINED where classifiers start from published weights, else SCRATCH."""
    return PRETRAINED if run.spec.get("classifier", {}).get("pretrained") else SCRATCH


def labels(runs: Sequence[Run]) -> list[str]:
    """One unique label a run: as little of its configuration as tells it from the others, and its folder where nothing does."""
    made = [""] * len(runs)
    for values in zip(*map(_parts, runs), strict=True):
        of = {
            label: {v for v, own in zip(values, made, strict=True) if own == label}
            for label in made
        }
        made = [
            ", ".join(filter(None, (label, value))) if len(of[label]) > 1 else label
            for value, label in zip(values, made, strict=True)
        ]
    return [
        label if label and made.count(label) == 1 else f"{label} ({folder})" if label else folder
        for label, folder in zip(made, _folders(runs), strict=True)
    ]


def differences(runs: Sequence[Run]) -> list[str]:
    """What each run and the first do not share: configuration, classifiers, seeds, generations; a sentence a pair."""
    first, *others = runs
    names = labels(runs)
    sentences = []
    for other, name in zip(others, names[1:], strict=True):
        parts = [
            *_fields_that_differ(first, other),
            *_only("classifier", names[0], first.classifiers, name, other.classifiers),
            *_only("seed", names[0], first.seeds, name, other.seeds),
        ]
        if first.reached != other.reached:
            parts.append(
                f"compared up to generation {min(first.reached, other.reached)}, the last that both have measured"
            )
        if parts:
            sentences.append(f"{name} against {names[0]}: {'; '.join(parts)}.")
    return sentences


def _fields_that_differ(first: Run, other: Run) -> list[str]:
    """One part of a sentence, or none. Seeds and classifiers, which are no groups of fields, are told elsewhere.

    What only one configuration has, since the other is of an older version, is not told.
    """
    groups = [
        {name: group for name, group in run.spec.items() if isinstance(group, dict)}
        for run in (first, other)
    ]
    flat = [
        {f"{name}.{field}": value for name, group in g.items() for field, value in group.items()}
        for g in groups
    ]
    names = [name for name in flat[0] if name in flat[1] and flat[0][name] != flat[1][name]]
    return [f"configurations differ in {listed_words(names)}"] if names else []


def _only(what: str, first: str, of_first: list, other: str, of_other: list) -> list[str]:
    parts = []
    for label, own, against in ((first, of_first, of_other), (other, of_other, of_first)):
        if alone := [str(item) for item in own if item not in against]:
            parts.append(f"only {label} has {what}{'s' * (len(alone) > 1)} {listed_words(alone)}")
    return parts


def _parts(run: Run) -> list[str]:
    """What may tell runs apart, in the order in which it is told."""
    spec = run.spec
    loop, filter_ = spec.get("loop", {}), spec.get("filter", {})
    color = initialisation(run)
    name = filter_.get("name", "")
    drop = f" r = {filter_['drop']:g}" if name != "none" and "drop" in filter_ else ""
    return [
        data_title(run),
        "" if color == NOT_APPLICABLE else color,
        start(run),
        f"filter {name}{drop}" if name else "",
        spec.get("generator", {}).get("name", ""),
        f"p = {loop['mix']:g}" if "mix" in loop else "",
        f"D = {loop['capacity']}" if "capacity" in loop else "",
        loop.get("policy", ""),
    ]


def _folders(runs: Sequence[Run]) -> list[str]:
    """Each run's folder by its name, or by its path where two are called alike."""
    names = [run.path.resolve().name for run in runs]
    return [
        name if names.count(name) == 1 else str(run.path)
        for name, run in zip(names, runs, strict=True)
    ]

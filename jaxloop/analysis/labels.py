"""What a run is, in few words, read off its configuration, which may lack any field."""

import math
from collections.abc import Sequence
from pathlib import Path

from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.words import listed_words

MNIST, CIFAR, HARD_IMAGENET, BREEDS = "mnist", "cifar", "hard_imagenet", "breeds"
FOLDER, NOT_MNIST = "folder", "not_mnist"

_TITLES = {
    "digits": "Colorized Digits", MNIST: "Colorized MNIST", NOT_MNIST: "colorized pictures",
    CIFAR: "CIFAR-20/100", HARD_IMAGENET: "Hard ImageNet", BREEDS: "BREEDS", FOLDER: "own images",
}  # fmt: skip
_COLORED = ("digits", MNIST, NOT_MNIST)

BIASED, UNBIASED, NOT_APPLICABLE = "biased", "unbiased", "N/A"
PRETRAINED, SCRATCH = "pretrained", "scratch"


def data_name(run: Run) -> str:
    """Return `data.name`; NOT_MNIST of other pictures in MNIST's files (see `data.mnist.load`)."""
    name = run.spec.get("data", {}).get("name", "?")
    return NOT_MNIST if name == MNIST and run.class_names[:1] == ["class 0"] else name


def data_title(run: Run) -> str:
    """Return the data set as the paper calls it; own images by their folder."""
    name, path = data_name(run), run.spec.get("data", {}).get("path")
    folder = f" ({Path(path).name})" if name in (FOLDER, NOT_MNIST) and path else ""
    return _TITLES.get(name, name) + folder


def initialisation(run: Run) -> str:
    """Return BIASED where any class is coloured with unequal probabilities, else UNBIASED.

    NOT_APPLICABLE to a data set that is not coloured here.
    """
    if data_name(run) not in _COLORED:
        return NOT_APPLICABLE
    rows = run.spec["data"].get("color") or []
    uneven = any(not math.isclose(p, 1 / len(row), abs_tol=1e-6) for row in rows for p in row)
    return BIASED if uneven else UNBIASED


def start(run: Run) -> str:
    """Return PRETRAINED where classifiers start from published weights, else SCRATCH."""
    return PRETRAINED if run.spec.get("classifier", {}).get("pretrained") else SCRATCH


def labels(runs: Sequence[Run]) -> list[str]:
    """Return one unique label a run.

    As little of its configuration as tells it from the others, and its folder where nothing does.
    """
    short = [""] * len(runs)
    for parts in zip(*map(_parts, runs), strict=True):
        alike = {s: {p for p, other in zip(parts, short, strict=True) if other == s} for s in short}
        short = [
            ", ".join(filter(None, (s, part))) if len(alike[s]) > 1 else s
            for part, s in zip(parts, short, strict=True)
        ]
    names = [run.path.resolve().name for run in runs]
    folders = [
        name if names.count(name) == 1 else str(run.path)
        for name, run in zip(names, runs, strict=True)
    ]
    return [
        label if label and short.count(label) == 1 else f"{label} ({folder})" if label else folder
        for label, folder in zip(short, folders, strict=True)
    ]


def differences(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each run that does not share all with the first.

    Told are configuration, classifiers, seeds and generations.
    """
    first, names, sentences = runs[0], labels(runs), []
    for other, name in zip(runs[1:], names[1:], strict=True):
        fields, other_fields = _fields(first), _fields(other)
        # A field of one alone is of another version, and not told.
        changed = [f for f in fields if f in other_fields and fields[f] != other_fields[f]]
        parts = [f"configurations differ in {listed_words(changed)}"] if changed else []
        for what in ("classifiers", "seeds"):
            for label, run, against in ((names[0], first, other), (name, other, first)):
                items, others = getattr(run, what), getattr(against, what)
                if alone := [str(item) for item in items if item not in others]:
                    noun = what if len(alone) > 1 else what[:-1]
                    parts.append(f"only {label} has {noun} {listed_words(alone)}")
        if first.reached != other.reached:
            last = min(first.reached, other.reached)
            parts.append(f"compared up to generation {last}, the last that both have measured")
        if parts:
            sentences.append(f"{name} against {names[0]}: {'; '.join(parts)}.")
    return sentences


def _fields(run: Run) -> dict[str, object]:
    """{"group.field": value} of a configuration, without seeds and classifiers."""
    groups = {name: group for name, group in run.spec.items() if isinstance(group, dict)}
    return {f"{name}.{field}": v for name, group in groups.items() for field, v in group.items()}


def _parts(run: Run) -> list[str]:
    """What may tell runs apart, in the order in which it is told."""
    loop, filter_ = run.spec.get("loop", {}), run.spec.get("filter", {})
    color, name = initialisation(run), filter_.get("name", "")
    drop = f" r = {filter_['drop']:g}" if name != "none" and "drop" in filter_ else ""
    return [
        data_title(run),
        "" if color == NOT_APPLICABLE else color,
        start(run),
        f"filter {name}{drop}" if name else "",
        run.spec.get("generator", {}).get("name", ""),
        f"p = {loop['mix']:g}" if "mix" in loop else "",
        f"D = {loop['capacity']}" if "capacity" in loop else "",
        loop.get("policy", ""),
    ]

"""ConfigDict -> Spec: the one place where a configuration is read, typed and checked.

Every field says what it means and what it admits, once, here; the README's table is made from the same lines
(`python -m jaxloop.config`). Names in registries (data sets, generators, filters, classifiers) are checked by their
registries, before any work starts.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ml_collections

from jaxloop.errors import InputError


def _field(default, doc: str, allowed: str, ok: Callable[[typing.Any], bool] = lambda value: True):
    return dataclasses.field(default=default, metadata={"doc": doc, "allowed": allowed, "ok": ok})


MILLION = 10**6  # more of anything that is counted here is a typing error


def _int(default: int, low: int, doc: str, high: int = MILLION):
    allowed = f"an integer >= {low}, at most a million" if high == MILLION else f"an integer in [{low}, {high}]"
    return _field(default, doc, allowed, lambda v: low <= v <= high)


def _positive(default: float, doc: str):
    return _field(default, doc, "a number > 0", lambda v: 0 < v < math.inf)


def _share(default: float, doc: str):
    return _field(default, doc, "a number in [0, 0.99]", lambda v: 0 <= v <= 0.99)


def _one_of(default: str, doc: str, *names: str):
    return _field(default, doc, "one of " + ", ".join(names), lambda v: v in names)


def _is_color(matrix) -> bool:
    return all(len(row) == 3 and min(row) >= 0 and math.isclose(sum(row), 1, abs_tol=1e-6) for row in matrix)


@dataclass(frozen=True)
class Data:
    name: str = _field("digits", "the data set", "a registered name (checked by jaxloop.data)")
    path: str = _field(
        "", "folder (or .npz file) of a source that is read from disk; empty: the source's own", "a path"
    )
    image_size: int = _int(16, 8, "side of the square images, in pixels", 1024)
    color: tuple[tuple[float, ...], ...] = _field(
        (),
        "class x colour probabilities of the training set (rows: classes; columns: red, green, blue); empty: 1/3 each",
        "one row a class of three probabilities that sum to 1",
        _is_color,
    )
    test_color: str = _one_of(
        "uniform", "colours of the test set: 1/3 each (every subgroup measured equally well), or as in training",
        "uniform", "same",
    )  # fmt: skip
    seed: int = _int(
        0, 0, "seed of the colouring and of the validation split; all run seeds share one data set", 2**31 - 1
    )
    validation: float = _field(
        0.1, "share of the real training images held out for early stopping", "a number in (0, 0.5]",
        lambda v: 0 < v <= 0.5,
    )  # fmt: skip


@dataclass(frozen=True)
class Loop:
    generations: int = _int(10, 0, "generations after generation 0 (which trains on real data alone)")
    mix: float = _field(
        0.3, "mixing ratio p: images kept each generation, as a share of the real training set", "a number in (0, 10]",
        lambda v: 0 < v <= 10,
    )  # fmt: skip
    capacity: int = _int(3, 1, "capacity D of the queue, in generations", 1000)
    policy: str = _one_of("fifo", "what leaves the queue when it is full: the oldest generation", "fifo")


@dataclass(frozen=True)
class Generator:
    name: str = _field("dcgan", "the generator", "a registered name (checked by jaxloop.generators)")
    epochs: int = _int(100, 1, "passes over real data + queue, at most, each generation, from a new initialisation")
    max_steps: int = _int(
        1600, 0, "steps at most, each generation, so that a fuller queue does not mean a longer training; 0: no limit"
    )
    batch_size: int = _int(64, 2, "images a step")
    learning_rate: float = _positive(3e-3, "Adam's step size, for both networks of the GAN")
    width: int = _int(16, 2, "channels of the last hidden feature map; each coarser one has twice as many")
    latent: int = _int(64, 1, "size of the latent vector z", 4096)


@dataclass(frozen=True)
class Filter:
    name: str = _field("uncertainty", "the expert that scores images", "a registered name (checked by jaxloop.filters)")
    drop: float = _share(0.1, "share r of the generated images of each class that is dropped")
    classifier: str = _field("", "whose uncertainty; empty: the first of `classifiers`", "one of `classifiers`")
    passes: int = _int(20, 2, "forward passes with dropout on, of the filter mc_dropout", 1000)


@dataclass(frozen=True)
class Classifier:
    epochs: int = _int(50, 1, "epochs at most")
    batch_size: int = _int(64, 2, "images a step")
    learning_rate: float = _positive(1e-3, "Adam's step size")
    patience: int = _int(10, 1, "epochs without a better validation loss before training stops")
    width: float = _field(
        1.0, "scales the channels of every network but LeNet", "a number in (0, 4]", lambda v: 0 < v <= 4
    )
    stem: str = _one_of(
        "small", "the networks' variant for images of 28 to 32 pixels, or torchvision's own", "small", "imagenet"
    )
    image_size: int = _field(
        0, "side that images are resized to (bilinear, on the device) before a classifier sees them; 0: as they are",
        "0, or an integer in [8, 1024]", lambda v: v == 0 or 8 <= v <= 1024,
    )  # fmt: skip
    augment: str = _one_of(
        "none", "of the training images, anew each step: a random crop (an eighth of the side is padded), and a mirror",
        "none", "crop", "crop_flip",
    )  # fmt: skip
    pretrained: tuple[str, ...] = _field(
        (), "weights to start from instead of random ones, one file (or hub name) for each of `classifiers`",
        "paths of .safetensors files made by jaxloop.classifiers.pretrained, or hub names", lambda v: len(set(v)) == len(v),
    )  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    every_seconds: float = _field(20.0, "seconds between checkpoints", "a number >= 0", lambda v: 0 <= v < math.inf)


@dataclass(frozen=True)
class Spec:
    """A whole experiment, resolved: what `config.json` holds."""

    seeds: tuple[int, ...] = _field(
        (0, 1, 2), "run seeds, all run together", "one or more different integers in [0, 2**31)",
        lambda v: len(set(v)) == len(v) > 0 and all(0 <= s < 2**31 for s in v),
    )  # fmt: skip
    data: Data = Data()
    loop: Loop = Loop()
    generator: Generator = Generator()
    filter: Filter = Filter()
    classifiers: tuple[str, ...] = _field(
        ("lenet", "alexnet"), "the classifiers", "one or more different registered names",
        lambda v: len(set(v)) == len(v) > 0,
    )  # fmt: skip
    classifier: Classifier = Classifier()
    checkpoint: Checkpoint = Checkpoint()
    tensorboard: bool = _field(False, "also write TensorBoard event files (needs the extra `tensorboard`)", "a boolean")


def default() -> ml_collections.ConfigDict:
    """All fields at their defaults: what a file in `configs/` starts from."""
    return ml_collections.ConfigDict(to_dict(Spec()))


def to_dict(spec) -> dict:
    """A Spec as nested dicts of plain values (tuples stay tuples)."""
    return {
        field.name: to_dict(value) if dataclasses.is_dataclass(value) else value
        for field in dataclasses.fields(spec)
        for value in [getattr(spec, field.name)]
    }


def resolve(config: ml_collections.ConfigDict | dict) -> Spec:
    """Checks every field of a configuration. Raises InputError on an unknown field, a wrong type, a value out of range."""
    if isinstance(config, ml_collections.ConfigDict):
        config = config.to_dict()
    return _build(Spec, config, prefix="")


def flat(spec: Spec | dict) -> dict[str, object]:
    """{"data.name": "digits", ...}: every leaf of a Spec, or of what `to_dict` gave, under the name that people type."""
    leaves = {}
    for name, value in (spec if isinstance(spec, dict) else to_dict(spec)).items():
        if isinstance(value, dict):
            leaves.update({f"{name}.{inner}": leaf for inner, leaf in value.items()})
        else:
            leaves[name] = value
    return leaves


def check_flags(argv: Sequence[str]) -> None:
    """Refuses `--config.FIELD` for a field that does not exist, by its whole name (the flag library tells only the last)."""
    known = sorted(flat(Spec()))
    for argument in argv:
        flag, _, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag.startswith("config."):
            name = flag.removeprefix("config.")
            if name not in known:
                raise InputError(f"config.{name}", value, _near(name, known))


def allowed(flag: str) -> str | None:
    """What a flag "config.FIELD" admits, in words; None if it is no field."""
    group, _, name = flag.removeprefix("config.").rpartition(".")
    kind = type(getattr(Spec(), group)) if group else Spec
    fields = {field.name: field for field in dataclasses.fields(kind)}
    return _allowed(fields[name], typing.get_type_hints(kind)[name]) if name in fields else None


def _allowed(field, hint) -> str:
    return f"{field.metadata['allowed']} ({_words(hint)})"


def _near(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + "the fields are " + ", ".join(known)


def _build(kind, values: dict, prefix: str):
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    for name in values:
        if name not in fields:
            raise InputError(f"config.{prefix}{name}", values[name], _near(name, list(fields)))
    arguments = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise InputError(f"config.{prefix}{name}", value, "a group of fields")
            arguments[name] = _build(hints[name], value, prefix=f"{prefix}{name}.")
            continue
        try:
            arguments[name] = _typed(value, hints[name])
            right = fields[name].metadata["ok"](arguments[name])
        except TypeError:
            right = False
        if not right:
            raise InputError(f"config.{prefix}{name}", value, _allowed(fields[name], hints[name]))
    return kind(**arguments)


def _typed(value, hint):
    """`value` as `hint`, or TypeError. Lists pass for tuples and ints for floats; nothing else is converted."""
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, (tuple, list)):
            raise TypeError
        inner = typing.get_args(hint)[0]
        if inner is str:  # the flag library gives --config.classifiers=lenet,alexnet as one string
            value = [name.strip() for item in value for name in _typed(item, str).split(",") if name.strip()]
        return tuple(_typed(item, inner) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise TypeError
    return value


def _words(hint) -> str:
    if isinstance(hint, types.GenericAlias):
        return "tuple of " + {"tuple of numbers": "tuples of numbers"}.get(
            inner := _words(typing.get_args(hint)[0]), f"{inner}s"
        )
    return {int: "integer", float: "number", str: "string", bool: "boolean"}.get(hint, str(hint))


def table() -> str:
    """The README's table of fields, in Markdown."""
    rows = ["| field | default | what it is | allowed |", "| --- | --- | --- | --- |"]
    for group in (None, *(f for f in dataclasses.fields(Spec) if dataclasses.is_dataclass(f.default))):
        for field in dataclasses.fields(group.default if group else Spec):
            if not dataclasses.is_dataclass(field.default):
                name = f"{group.name}.{field.name}" if group else field.name
                doc, allowed = field.metadata["doc"], field.metadata["allowed"]
                rows.append(f"| `{name}` | `{field.default!r}` | {doc} | {allowed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

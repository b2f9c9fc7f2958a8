"""ConfigDict -> Spec: the one place where a configuration is read, typed and checked.

`python -m jaxloop.config` prints the table of all fields (docs/fields.md).
"""

import contextlib
import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
from ml_collections import config_dict

from jaxloop import classifiers, data, filters, generators
from jaxloop.errors import InputError
from jaxloop.spec import Generator, Optimizer, Spec


def default() -> Any:
    """Return all fields at their defaults, a ConfigDict: what a file in `configs/` starts from.

    The group `generator` has the fields of every generator. None stands for the default of the
    generator that `generator.name` names.
    """
    config = ml_collections.ConfigDict(to_dict(Spec()))
    config.generator = ml_collections.ConfigDict({"name": Spec().generator.name})
    for name, _, hint, _ in _generator_fields():
        if name != "name":
            config.generator[name] = config_dict.placeholder(typing.get_origin(hint) or hint)
    return config


def to_dict(spec) -> dict:
    """Return a Spec as nested dicts of plain values (tuples stay tuples)."""
    return {
        field.name: to_dict(value) if dataclasses.is_dataclass(value) else value
        for field in dataclasses.fields(spec)
        for value in [getattr(spec, field.name)]
    }


def resolve(config: ml_collections.ConfigDict | dict) -> Spec:
    """Check a configuration: every field by itself, then all rules across fields.

    Raises:
      InputError: unknown fields, wrong types, values out of range, unread or contradictory fields.
    """
    if isinstance(config, ml_collections.ConfigDict):
        config = config.to_dict()
    spec = _build(Spec, config, prefix="")
    _refuse_unread(spec)
    _refuse_contradictions(spec)
    return spec


def flat(spec: Spec | dict) -> dict[str, object]:
    """Return every leaf under the name that people type: {"data.name": "digits", ...}."""
    leaves: dict[str, object] = {}
    for name, value in (spec if isinstance(spec, dict) else to_dict(spec)).items():
        if isinstance(value, dict):
            leaves.update({f"{name}.{inner}": leaf for inner, leaf in value.items()})
        else:
            leaves[name] = value
    return leaves


def check_flags(argv: Sequence[str]) -> None:
    """Refuse an unknown `--config.FIELD` by its whole name: absl names only its last part."""
    known = sorted({name for name, *_ in _all_fields()})
    for argument in argv:
        flag, _, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag.startswith("config."):
            name = flag.removeprefix("config.")
            if name not in known:
                words = _REMOVED.get(name) or _nearest(name, known)
                raise InputError(f"config.{name}", value, words)


def allowed(flag: str) -> str | None:
    """Return what a flag "config.FIELD" admits, in words; None if it is no field."""
    for name, field, hint, _ in _all_fields():
        if f"config.{name}" == flag:
            return _allowed(field, hint)
    return None


def table() -> str:
    """Return the table of all fields, in Markdown."""
    rows = ["| field | default | what it is | allowed |", "| --- | --- | --- | --- |"]
    for name, field, _, owners in _all_fields():
        doc = f"{owners}{field.metadata['doc']} | {field.metadata['allowed']}"
        rows.append(f"| `{name}` | `{field.default!r}` | {doc} |")
    return "\n".join(rows)


# A field of an earlier version -> what to type now.
_REMOVED = {"filter.control": "nothing: it is an arm now, --config.arms=no_loop,random"}
# Field -> (whether the chosen parts read it, when). One that they do not stays at its default.
_READ: dict[str, tuple[Callable[[Spec], bool], str]] = {
    **dict.fromkeys(
        [f"generator.{field.name}" for field in dataclasses.fields(Optimizer)],
        (lambda s: s.generator.name != "resample", "generator.name is not resample"),
    ),
    **dict.fromkeys(
        ("data.color", "data.test_color"),
        (lambda s: s.data.name in data.COLORED, f"data.name is {' or '.join(data.COLORED)}"),
    ),
    "data.partial": (lambda s: s.data.name in data.BREEDS, "data.name is one of BREEDS"),
    "data.path": (lambda s: s.data.name != "digits", "data.name is not digits"),
    "data.held_out": (lambda s: "held_out" in s.generator.reads, "generator.name is resample"),
    "loop.fresh": (lambda s: s.loop.real == "fresh", "loop.real is fresh"),
    "loop.capacity": (lambda s: s.loop.policy == "fifo", "loop.policy is fifo"),
    "filter.drop": (lambda s: _filter(s).drops, "filter.name is not none"),
    "filter.ranking": (lambda s: _filter(s).drops, "filter.name is not none"),
    "filter.classifier": (
        lambda s: _filter(s).needs(filters.CLASSIFIER, filters.DROPOUT),
        "an expert of filter.name needs a classifier",
    ),
    "filter.passes": (lambda s: _filter(s).needs(filters.DROPOUT), "filter.name is mc_dropout"),
    "filter.clip": (lambda s: _filter(s).needs(filters.CLIP), "filter.name needs CLIP"),
    "filter.template": (lambda s: _filter(s).needs(filters.CLIP), "filter.name needs CLIP"),
    "filter.weights": (lambda s: len(_filter(s).experts) > 1, "filter.name has two experts"),
    "filter.reviewed": (lambda s: _filter(s).needs(filters.PEOPLE), "filter.name is human"),
    "classifier.trained": (lambda s: bool(s.classifier.pretrained), "there are pretrained weights"),
    "answer.max_seeds": (lambda s: s.answer.width > 0, "answer.width is more than 0"),
    "measure.inception": (lambda s: s.measure.fid, "measure.fid is True"),
    "measure.resize": (lambda s: s.measure.fid, "measure.fid is True"),
}


def _refuse_unread(spec: Spec) -> None:
    if spec.data.name not in data.NAMES:
        raise InputError("config.data.name", spec.data.name, data.NAMES)
    values, defaults = flat(spec), flat(Spec())
    for name, (is_read, condition) in _READ.items():
        if values[name] != defaults[name] and not is_read(spec):
            words = f"{defaults[name]!r} here: the field is read only where {condition}"
            raise InputError(f"config.{name}", values[name], words)


def _refuse_contradictions(spec: Spec) -> None:
    for name in spec.classifiers:
        if name not in classifiers.MODULES:
            raise InputError("config.classifiers", name, classifiers.MODULES)
    if spec.measure.judge not in ("", *classifiers.MODULES):
        raise InputError("config.measure.judge", spec.measure.judge, classifiers.MODULES)
    if spec.filter.classifier and spec.filter.classifier not in spec.classifiers:
        raise InputError("config.filter.classifier", spec.filter.classifier, spec.classifiers)
    if "held_out" in spec.generator.reads and not spec.data.held_out:
        words = f"more than 0 where generator.name is {spec.generator.name}: it draws from these"
        raise InputError("config.data.held_out", 0.0, words)
    names = ("guidance", 1), ("label_dropout", 1), ("negative", "")
    guidance, dropout, negative = (getattr(spec.generator, *pair) for pair in names)
    if guidance != 1 and not dropout:
        words = "1 where generator.label_dropout is 0: guidance needs the images without a class"
        raise InputError("config.generator.guidance", guidance, words)
    if guidance == 1 and negative:
        raise InputError("config.generator.negative", negative, "empty where guidance is 1")
    name, chosen = spec.filter.name, _filter(spec)
    if chosen.needs(filters.PEOPLE) and not spec.loop.images:
        words = f"True where filter.name is {name}: people must see the images"
        raise InputError("config.loop.images", False, words)
    width, most = spec.answer.width, spec.answer.max_seeds
    if width and "no_loop" not in spec.arms:
        raise InputError("config.answer.width", width, "0 where no_loop is not one of arms")
    if width and most < len(spec.seeds):
        raise InputError("config.answer.max_seeds", most, "at least the number of config.seeds")


def _filter(spec: Spec) -> filters.Filter:
    return filters.create(spec.filter)


def _fields(kind: type) -> Iterator[tuple[str, dataclasses.Field, type, str]]:
    """Yield (name, field, type, "") of a group's own fields."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield field.name, field, hints[field.name], ""


def _generator_fields() -> Iterator[tuple[str, dataclasses.Field, type, str]]:
    """Yield the same of all generators; in "", which of them have the field, if not all.

    Generators may give one name another meaning or default: then it comes once for each.
    """
    owners: dict[tuple, tuple] = {}
    for generator, (kind, _) in generators.GENERATORS.items():
        for name, field, hint, _ in _fields(kind):
            key = name, field.metadata["doc"], field.default
            owners.setdefault(key, (field, hint, []))[2].append(generator)
    names = list(dict.fromkeys(name for name, *_ in owners))
    for (name, *_), (field, hint, having) in sorted(
        owners.items(), key=lambda item: names.index(item[0][0])
    ):
        all_have = len(having) == len(generators.GENERATORS)
        yield name, field, hint, "" if all_have else f"{', '.join(having)}: "


def _all_fields() -> Iterator[tuple[str, dataclasses.Field, type, str]]:
    """Yield (name as it is typed, field, type, which generators have it) of every field."""
    groups = []
    for name, field, hint, owners in _fields(Spec):
        if dataclasses.is_dataclass(hint):
            groups.append((name, hint))
        else:
            yield name, field, hint, owners
    for group, kind in groups:
        members = _generator_fields() if kind is Generator else _fields(kind)
        for name, field, hint, owners in members:
            yield f"{group}.{name}", field, hint, owners


def _allowed(field: dataclasses.Field, hint) -> str:
    return f"{field.metadata['allowed']} ({_words(hint)})"


def _nearest(name: str, known: Sequence[str]) -> str:
    if close := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(close)}? --help lists all fields"
    return "a field that --help lists"


def _build(kind: type, values: dict, prefix: str):
    if kind is Generator:
        kind, values = _chosen_generator(values)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    arguments = {}
    for name, value in values.items():
        if name not in fields:
            words = _REMOVED.get(f"{prefix}{name}") or _nearest(name, list(fields))
            raise InputError(f"config.{prefix}{name}", value, words)
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise InputError(f"config.{prefix}{name}", value, "a group of fields")
            arguments[name] = _build(hints[name], value, prefix=f"{prefix}{name}.")
            continue
        arguments[name] = _checked(fields[name], hints[name], value, f"config.{prefix}{name}")
    if kind is Spec and "generator" not in arguments:
        arguments["generator"] = _build(Generator, {}, "generator.")
    return kind(**arguments)


def _chosen_generator(values: dict) -> tuple[type, dict]:
    """Return the Config of the generator that `values` names, and the values given (not None)."""
    given = {name: value for name, value in values.items() if value is not None}
    name = given.get("name", Spec().generator.name)
    if name not in generators.GENERATORS:
        raise InputError("config.generator.name", name, generators.GENERATORS)
    kind, _ = generators.GENERATORS[name]
    own = {field.name for field in dataclasses.fields(kind)}
    for field in ({name for name, *_ in _generator_fields()} - own) & given.keys():
        words = f"nothing here: it is no field of the generator {name}"
        raise InputError(f"config.generator.{field}", given[field], words)
    return kind, given


def _checked(field: dataclasses.Field, hint, value, name: str):
    typed, valid = None, False
    with contextlib.suppress(TypeError):
        valid = field.metadata["ok"](typed := _typed(value, hint))
    if not valid:
        raise InputError(name, value, _allowed(field, hint))
    return os.path.expanduser(str(typed)) if field.metadata.get("path") else typed


def _typed(value, hint):
    """Return `value` as `hint`, or raise TypeError.

    Lists pass for tuples and integers for floats. Nothing else is converted.
    """
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, (tuple, list)):
            raise TypeError
        inner = typing.get_args(hint)[0]
        if inner is str:  # the flag library gives --config.classifiers=lenet,alexnet as one string
            names = [name.strip() for item in value for name in _typed(item, str).split(",")]
            value = [name for name in names if name]
        return tuple(_typed(item, inner) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise TypeError
    return value


def _words(hint) -> str:
    if isinstance(hint, types.GenericAlias):
        inner = _words(typing.get_args(hint)[0])
        return "tuple of " + {"tuple of numbers": "tuples of numbers"}.get(inner, f"{inner}s")
    return {int: "integer", float: "number", str: "string", bool: "boolean"}.get(hint, str(hint))


if __name__ == "__main__":
    print(table())

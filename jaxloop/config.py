"""ConfigDict -> Spec: the one place where a configuration is read, typed and checked. The fields are in spec.py."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence

import ml_collections

from jaxloop.errors import InputError
from jaxloop.spec import Classifier, Data, Filter, Generator, Loop, Measure, Spec

__all__ = [
    "Classifier",
    "Data",
    "Filter",
    "Generator",
    "Loop",
    "Measure",
    "Spec",
]  # what other rooms ask of a configuration


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
            value = [
                name.strip()
                for item in value
                for name in _typed(item, str).split(",")
                if name.strip()
            ]
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
    for group in (
        None,
        *(f for f in dataclasses.fields(Spec) if dataclasses.is_dataclass(f.default)),
    ):
        for field in dataclasses.fields(group.default if group else Spec):
            if not dataclasses.is_dataclass(field.default):
                name = f"{group.name}.{field.name}" if group else field.name
                doc, allowed = field.metadata["doc"], field.metadata["allowed"]
                rows.append(f"| `{name}` | `{field.default!r}` | {doc} | {allowed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

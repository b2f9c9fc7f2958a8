"""Fields of a configuration: constructors that give each its meaning and what it admits."""

import dataclasses
import math
import typing
from collections.abc import Callable

FOLDER_OR_HUB = "a folder, or a hub name"
MILLION = 10**6  # more of anything that is counted here is a typing error


def field(default, doc: str, allowed: str, ok: Callable[[typing.Any], bool] = lambda value: True):
    """Return a dataclass field with its meaning, what it admits in words, and the check of that."""
    metadata = {"doc": doc, "allowed": allowed, "ok": ok}
    return dataclasses.field(default=default, metadata=metadata)


def integer(default: int, low: int, doc: str, high: int = MILLION):
    limits = f">= {low}, at most a million" if high == MILLION else f"in [{low}, {high}]"
    return field(default, doc, f"an integer {limits}", lambda v: low <= v <= high)


def positive(default: float, doc: str):
    return field(default, doc, "a number > 0", lambda v: 0 < v < math.inf)


def interval(default: float, low: float, high: float, doc: str):
    return field(default, doc, f"a number in [{low:g}, {high:g}]", lambda v: low <= v <= high)


def share(default: float, high: float, doc: str):
    return field(default, doc, f"a number in (0, {high:g}]", lambda v: 0 < v <= high)


def choice(names: str, doc: str):
    """Return a field that is one of `names`, a text of words; the first is the default."""
    words = names.split()
    return field(words[0], doc, "one of " + ", ".join(words), lambda v: v in words)


def flag(default: bool, doc: str):
    return field(default, doc, "a boolean")


def path(default: str, doc: str, allowed: str):
    """Return a field that names a file or folder (or a hub name): `~` is expanded."""
    plain = field(default, doc, allowed)
    return dataclasses.field(default=default, metadata=plain.metadata | {"path": True})

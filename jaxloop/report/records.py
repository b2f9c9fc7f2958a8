"""The tidy log of a run: records.jsonl, one measured value a line.

    {"seed": 0, "generation": 1, "subject": "lenet", "metric": "accuracy", "value": 0.97, "class"?: 3, "group"?: 1,
     "interval"?: [0.96, 0.98], "features"?: {"n": 390, "n_real": 1294, "d": 84, "resize": "none", "sha256": "..."}}

`value` is a number, null (does not exist; a record "<metric>_note" may say why) or, in such a note, a sentence.
`interval` is a 95 % interval within the seed: of a classifier's measure the basic bootstrap's over test images, of a drop
rate Wilson's over the images of that generation. `features` tells what a distance was measured on:
generated and real images, features of each, how images were resized for the network, and the hash of its weights (null
where the network was trained in the run).
"""

import json
import math
import numbers
import os
from collections.abc import Iterable

from jaxloop import files
from jaxloop.errors import InputError

SHAPE = (
    'a JSON object {"seed": int, "generation": int, "subject": str, "metric": str, "value": number, string or null, '
    '"class"?: int, "group"?: int, "interval"?: [low, high], "features"?: object}'
)


def key(record: dict) -> tuple:
    """What a value is of: (seed, generation, subject, metric, class or None, group or None). Unique in a log."""
    return (
        record["seed"], record["generation"], record["subject"], record["metric"],
        record.get("class"), record.get("group"),
    )  # fmt: skip


def read(path: str | os.PathLike) -> list[dict]:
    """Reads a log. Of two lines with one key the later one wins, in the place of the first.

    Raises InputError if the file is missing, or on a line that is not a record, by file and line number. Only a last
    line without its newline may be broken: that is a write that a kill cut short, and it is left out.
    """
    lines = files.read_lines(path, "records.jsonl")
    for number, record in lines:
        if not _is_record(record):
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(record)), SHAPE)
    return merge([], [record for _, record in lines])


def write(path: str | os.PathLike, records: Iterable[dict]) -> None:
    """Replaces the log as a whole; a reader sees the old file or the new one. Non-finite values become null.

    Values may be Python, NumPy or JAX scalars. Raises KeyError on a record that lacks a field.
    """
    lines = [json.dumps(_plain(record), allow_nan=False) + "\n" for record in records]
    files.write_atomic(path, "".join(lines).encode())


def merge(old: Iterable[dict], new: Iterable[dict]) -> list[dict]:
    """`old` with `new` laid over it by key: a known key keeps its place, an unknown one is appended in order."""
    merged = {key(record): record for record in old}
    merged.update((key(record), record) for record in new)
    return list(merged.values())


def _plain(record: dict) -> dict:
    plain = {name: int(record[name]) for name in ("seed", "generation")}
    plain |= {name: str(record[name]) for name in ("subject", "metric")}
    plain["value"] = _plain_value(record["value"])
    plain |= {name: int(record[name]) for name in ("class", "group") if record.get(name) is not None}
    if record.get("interval") is not None:
        plain["interval"] = [float(end) for end in record["interval"]]
    if record.get("features") is not None:
        plain["features"] = {name: _plain_value(value) for name, value in record["features"].items()}
    return plain


def _plain_value(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    value = float(value)
    return value if math.isfinite(value) else None


def _is_record(record) -> bool:
    return (
        isinstance(record, dict)
        and all(_is_int(record.get(name)) for name in ("seed", "generation"))
        and all(isinstance(record.get(name), str) for name in ("subject", "metric"))
        and "value" in record
        and (record["value"] is None or isinstance(record["value"], (int, float, str)))
        and all(record.get(name) is None or _is_int(record[name]) for name in ("class", "group"))
        and _is_interval(record.get("interval"))
        and isinstance(record.get("features") or {}, dict)
    )


def _is_interval(value) -> bool:
    return value is None or (isinstance(value, list) and [type(end) in (int, float) for end in value] == [True, True])


def _is_int(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

"""The tidy log of a run, records.jsonl: one measured value a line.

    {"seed": 0, "generation": 1, "subject": "lenet", "metric": "accuracy", "value": 0.97}

What a value depends on beside seed, generation, subject and metric stands in fields of its own
(`PARAMETERS`), never in the metric's name. A value that does not exist is null, and `reason` is one
of `REASONS`. A value that exists under a reservation carries one of `CAVEATS`. All words about
codes belong to the report.

`interval` is a 95 % interval within the seed: of a classifier's measure the basic bootstrap's over
test images, of a drop rate Wilson's over the images of that generation, of a judge's estimate that
of its chance (metrics/mixture.py). `features` tells what a
distance was measured on: generated and real images (n, n_real), features of each (d), how images
were resized for the network, and the hash of its weights (null where it was trained in the run).
"""

import json
import math
import numbers
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from jaxloop import files
from jaxloop.errors import InputError

REASONS = {
    "classifier_diverged": "the classifier diverged, or had nothing to train on",
    "generator_diverged": "the generator diverged, or had nothing to train on",
    "judge_diverged": "the judge of labels diverged in generation 0",
    "reference_diverged": "the reference classifier diverged in generation 0",
    "empty_cell": "a subgroup (or a class) has no test image",
    "zero_accuracy": "accuracy is 0 in a subgroup, and the ratio of eq. (3) does not exist",
    "one_group": "there is a single subgroup, and no pair of them",
    "no_images": "there is no image of it",
    "judge_unable": "the judge of subgroups cannot tell the subgroups of a class apart",
    "group_unknown": "pixels do not tell the subgroup of a generated image",
    "too_few_images": "there are too few images",
    "real_copies": "most held-out real images have an exact copy among the training images",
    "nonfinite_feature": "a feature is not finite",
}
CAVEATS = {
    "estimated": "estimated by the judge of subgroups, corrected for its errors on test images",
    "classes_left_out": "a mean over classes leaves out those that lack an image of some subgroup",
    "rank_deficient": "no more images than features: biased upward, compare equal n only",
    "random_choice": "no expert had a score: the kept images are a random choice",
    "expert_missing": "last generation's classifier diverged: the filter went without its score",
}
# Field -> type. `class` and `group`: the value is of one. `rank`: of eq. (5), 1 = worst subgroup of
# a class. `rarity`: 1 = rarest subgroup of a class in the real training set. `network`: whose
# features. `epoch`: of training, from 1. `split`: "training" or "validation".
PARAMETERS = {
    "class": int, "group": int, "rank": int, "rarity": int, "network": str, "ablation": str,
    "epoch": int, "split": str,
}  # fmt: skip
KEY = ("seed", "generation", "subject", "metric", *PARAMETERS)
SHAPE = (
    'a JSON object {"seed": int, "generation": int, "subject": str, "metric": str, '
    '"value": number or null, "reason"?: code, "caveat"?: code, "interval"?: [low, high], '
    '"features"?: object, '
    + ", ".join(f'"{name}"?: {kind.__name__}' for name, kind in PARAMETERS.items())
    + "}"
)


class Log:
    """Records of one seed and generation while they are gathered."""

    def __init__(self, seed: int, generation: int):
        self.seed, self.generation = seed, generation
        self.records: list[dict] = []

    def add(
        self,
        subject: str,
        metric: str,
        value,
        reason: str | None = None,
        *,
        caveat: str | None = None,
        interval=None,
        features: dict | None = None,
        **parameters,
    ) -> None:
        """Append one value; one that is not finite becomes null.

        Args:
          reason: code of `REASONS`, kept where there is no value.
          caveat: code of `CAVEATS`, kept where there is one.
          interval: (low, high), left out where either is not finite.
          features: see the module.
          parameters: of `PARAMETERS`; None stands for absent. "class" by `**{"class": label}`.
        """
        value = float(value)
        exists = math.isfinite(value)
        record = {"seed": self.seed, "generation": self.generation, "subject": subject}
        record |= {"metric": metric, "value": value if exists else None}
        record |= {name: given for name, given in parameters.items() if given is not None}
        if not exists and reason:
            record["reason"] = reason
        if exists and caveat:
            record["caveat"] = caveat
        if exists and interval is not None and all(map(math.isfinite, interval)):
            record["interval"] = tuple(map(float, interval))
        if features is not None:
            record["features"] = features
        self.records.append(record)


def key(record: dict) -> tuple:
    """Return what a value is of, in the order of `KEY`, None where absent. Unique in a log."""
    return tuple(record.get(name) for name in KEY)


def stamp(records: Sequence[dict]) -> dict:
    """Return what tells later that a log still has these records, in their places."""
    keys = json.dumps([key(record) for record in records])
    return {"count": len(records), "crc32": zlib.crc32(keys.encode())}


def require(records: Sequence[dict], before: dict, path: Path) -> None:
    """Check that a log begins with the records of a stamp.

    Raises InputError where it was cut short, deleted or mixed up since.
    """
    count = before["count"]
    if stamp(records[:count]) != before:
        here = f"{len(records):,} are" if len(records) < count else "others are"
        words = f"a log that begins with the {count:,} records of the last checkpoint; {here} there"
        remedy = f"put the file back, or begin again without {path.parent}/checkpoints*"
        raise InputError("records.jsonl", str(path), f"{words}: {remedy}")


def read(path: str | os.PathLike) -> list[dict]:
    """Read a log. Of two lines with one key the later one wins, in the place of the first.

    Raises:
      InputError: the file is missing, or a line is not a record; names file and line. A last line
        without its newline may be broken: a write that a kill cut short, which is left out.
    """
    lines = files.read_lines(path, "records.jsonl")
    for number, record in lines:
        if not _is_record(record):
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(record)), SHAPE)
    return merge([], [record for _, record in lines])


def write(path: str | os.PathLike, records: Iterable[dict]) -> None:
    """Replace the log as a whole; a reader sees the old file or the new one.

    Non-finite values become null. Values may be Python, NumPy or JAX scalars. Raises KeyError on a
    record that lacks a field.
    """
    lines = [json.dumps(_plain(record), allow_nan=False) + "\n" for record in records]
    files.write_atomic(path, "".join(lines).encode())


def merge(old: Iterable[dict], new: Iterable[dict]) -> list[dict]:
    """Lay `new` over `old` by key: a known key keeps its place, others are appended in order."""
    merged = {key(record): record for record in old}
    merged.update((key(record), record) for record in new)
    return list(merged.values())


def frame(records: Iterable[dict]) -> pd.DataFrame:
    """Return records as a table, one a row.

    Columns: those of `KEY`, `value` (float, NaN where null), `low` and `high` (of the interval),
    `reason`, `caveat`, `features` (dict or None). Absent integers are <NA> (Int64), absent strings
    None.
    """
    rows = list(records)
    columns: dict[str, pd.Series] = {}
    for name in ("seed", "generation"):
        columns[name] = pd.Series([row[name] for row in rows], dtype="int64")
    for name in ("subject", "metric"):
        columns[name] = pd.Series([row[name] for row in rows], dtype=object)
    for name, kind in PARAMETERS.items():
        dtype = "Int64" if kind is int else object
        columns[name] = pd.Series([row.get(name) for row in rows], dtype=dtype)
    columns["value"] = pd.Series([row["value"] for row in rows], dtype="float64")
    ends = [row.get("interval") or (None, None) for row in rows]
    columns["low"] = pd.Series([low for low, _ in ends], dtype="float64")
    columns["high"] = pd.Series([high for _, high in ends], dtype="float64")
    for name in ("reason", "caveat", "features"):
        columns[name] = pd.Series([row.get(name) for row in rows], dtype=object)
    return pd.DataFrame(columns)


def _plain(record: dict) -> dict:
    plain: dict = {name: int(record[name]) for name in ("seed", "generation")}
    plain |= {name: str(record[name]) for name in ("subject", "metric")}
    plain["value"] = _plain_value(record["value"])
    for name, kind in PARAMETERS.items():
        if record.get(name) is not None:
            plain[name] = kind(record[name])
    for name in ("reason", "caveat"):
        if record.get(name):
            plain[name] = str(record[name])
    if record.get("interval") is not None:
        plain["interval"] = [float(end) for end in record["interval"]]
    if record.get("features") is not None:
        plain["features"] = {name: _plain_value(v) for name, v in record["features"].items()}
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
        and all(_is(record.get(name), int) for name in ("seed", "generation"))
        and all(isinstance(record.get(name), str) for name in ("subject", "metric"))
        and "value" in record
        and (record["value"] is None or _is(record["value"], int) or _is(record["value"], float))
        and all(_is(record[name], kind) for name, kind in PARAMETERS.items() if name in record)
        and record.get("reason") in (None, *REASONS)
        and record.get("caveat") in (None, *CAVEATS)
        and _is_interval(record.get("interval"))
        and isinstance(record.get("features") or {}, dict)
    )


def _is_interval(value) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and [type(end) in (int, float) for end in value] == [True, True]


def _is(value, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))

"""Reads what a run left in its workdir into one plain value, Run, that the tables, figures and page are made of."""

import json
import os
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jaxloop import files, records
from jaxloop.errors import InputError

_SAMPLES = re.compile(r"g(\d+)_s(\d+)\.png")
_PNG = b"\x89PNG\r\n\x1a\n"


class Name(NamedTuple):
    """What is measured: a metric of a subject (a classifier, "generator", "filter"), of a class, of a subgroup."""

    subject: str
    metric: str
    class_: int | None = None
    group: int | None = None


class Grid(NamedTuple):
    """A sample grid (rows = classes) of one generation and seed. png is None if the file is not a whole PNG."""

    generation: int
    seed: int
    path: Path
    png: bytes | None
    width: int
    height: int


class Run(NamedTuple):
    """One workdir.

    config: all of config.json; `spec` is the resolved configuration in it.
    values: {Name: {generation: {seed: value or None}}}.  notes: the same, of the sentences under "<metric>_note".
    grids: by generation, then seed.  timing: rows of timing.jsonl, empty if there is none.
    intervals, features: like `values`, of the records that carry these (see records.py); intervals as (low, high).
    control: the control arm, the same run with a random choice for a filter; None if there is none or it measured nothing yet.
    """

    path: Path
    config: dict
    values: dict[Name, dict[int, dict[int, float | None]]]
    notes: dict[Name, dict[int, dict[int, str]]]
    grids: list[Grid]
    timing: list[dict]
    intervals: dict[Name, dict[int, dict[int, tuple[float, float]]]] = {}  # noqa: RUF012
    features: dict[Name, dict[int, dict[int, dict]]] = {}  # noqa: RUF012
    control: "Run | None" = None

    @property
    def spec(self) -> dict:
        return self.config["config"]

    @property
    def seeds(self) -> list[int]:
        return list(self.spec["seeds"])

    @property
    def classifiers(self) -> list[str]:
        return list(self.spec["classifiers"])

    @property
    def planned(self) -> int:
        """T: generations after generation 0 that the configuration asks for."""
        return self.spec["loop"]["generations"]

    @property
    def reached(self) -> int:
        """The last generation of which any classifier has any value."""
        return max((self.last(classifier) for classifier in self.classifiers), default=-1)

    @property
    def group_names(self) -> list[str]:
        return self.config["data"]["group_names"]

    @property
    def subgroup_names(self) -> list[list[str]]:
        """One row a class where subgroups differ between classes; else nothing."""
        return self.config["data"].get("subgroup_names") or []

    @property
    def class_names(self) -> list[str]:
        return self.config["data"]["class_names"]

    def last(self, subject: str) -> int:
        """The last generation of which a subject has any record; -1 if none."""
        return max(
            (g for name, series in self.values.items() if name.subject == subject for g in series),
            default=-1,
        )

    def by_seed(self, name: Name) -> list[dict[int, float | None]]:
        """One {generation: value} a seed, over the generations in which any seed has a record; None where it has none."""
        series = self.values.get(name, {})
        return [{g: series[g].get(seed) for g in sorted(series)} for seed in self.seeds]

    def has(self, name: Name) -> bool:
        """Whether any seed has a value (not null) in any generation."""
        return any(
            value is not None
            for by_seed in self.values.get(name, {}).values()
            for value in by_seed.values()
        )


def load(workdir: str | os.PathLike) -> Run:
    """Reads config.json, records.jsonl and, where they exist, samples/, timing.jsonl and the control arm in control/.

    Raises InputError if the folder, config.json or records.jsonl is missing, broken or empty, if the records name a seed
    or generation that the configuration does not have, or if the control arm has other seeds than the run.
    """
    path = Path(workdir)
    if not path.is_dir():
        raise InputError("WORKDIR", str(workdir), "the folder of a run")
    config = _config(path / "config.json")
    log = records.read(path / "records.jsonl")
    if not log:
        raise InputError(
            "records.jsonl",
            str(path / "records.jsonl"),
            "at least one record; this run measured nothing yet",
        )
    values, notes = _index(log, path / "records.jsonl")
    intervals, features = (_carried(log, part) for part in ("interval", "features"))
    grids, timing = _grids(path / "samples"), _timing(path / "timing.jsonl")
    run = Run(
        path,
        config,
        values,
        notes,
        grids,
        timing,
        intervals,
        features,
        _control(path / "control", config),
    )
    _check(run)
    return run


def _control(path: Path, config: dict) -> Run | None:
    """The control arm's folder; None before any classifier of it was measured."""
    log = path / "records.jsonl"
    classifiers = config["config"]["classifiers"]
    if not log.exists() or not any(
        record["subject"] in classifiers for record in records.read(log)
    ):
        return None
    control = load(path)
    if control.seeds != config["config"]["seeds"]:  # arms are compared seed by seed
        raise InputError(
            f"{path / 'config.json'}: config.seeds",
            control.seeds,
            f"the run's own {config['config']['seeds']}",
        )
    return control


def _config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except OSError as error:
        raise InputError("config.json", str(path), f"a readable file ({error.strerror})") from None
    except ValueError as error:
        raise InputError("config.json", str(path), f"valid JSON ({error})") from None
    _require(
        path,
        config,
        "config.seeds",
        lambda v: _list_of(int, v) and len(v) > 0,
        "a list of integers",
    )
    _require(
        path,
        config,
        "config.classifiers",
        lambda v: _list_of(str, v) and len(v) > 0,
        "a list of names",
    )
    _require(
        path,
        config,
        "config.loop.generations",
        lambda v: type(v) is int and v >= 0,
        "an integer >= 0",
    )
    _require(path, config, "data.class_names", lambda v: _list_of(str, v), "a list of names")
    _require(path, config, "data.group_names", lambda v: _list_of(str, v), "a list of names")
    return config


def _require(path: Path, config, field: str, ok, allowed: str) -> None:
    value = config
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not ok(value):
        raise InputError(f"{path}: {field}", value, allowed)


def _list_of(kind: type, value) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _index(log: Iterable[dict], path: Path) -> tuple[dict, dict]:
    values, notes = {}, {}
    for record in log:
        seed, generation, subject, metric, class_, group = records.key(record)
        is_note = metric.endswith("_note")
        if record["value"] is not None and isinstance(record["value"], str) is not is_note:
            raise InputError(
                f"{path}: {metric}",
                record["value"],
                "a sentence for a note, a number or null for a measure",
            )
        name = Name(subject, metric.removesuffix("_note"), class_, group)
        index = notes if is_note else values
        index.setdefault(name, {}).setdefault(generation, {})[seed] = record["value"]
    return values, notes


def _carried(log: Iterable[dict], part: str) -> dict:
    """{Name: {generation: {seed: what the record carries under `part`}}}; lists become tuples."""
    index = {}
    for record in log:
        if (carried := record.get(part)) is not None:
            seed, generation, *name = records.key(record)
            carried = tuple(carried) if isinstance(carried, list) else carried
            index.setdefault(Name(*name), {}).setdefault(generation, {})[seed] = carried
    return index


def _check(run: Run) -> None:
    """A log that does not belong to its configuration would give means over the wrong seeds: refuse it."""
    if run.reached < 0:
        found = sorted({name.subject for name in run.values})
        raise InputError(
            "records.jsonl: subject",
            found,
            f"records of config.json's classifiers {run.classifiers}",
        )
    for series in run.values.values():
        for generation, by_seed in series.items():
            if not 0 <= generation <= run.planned:
                raise InputError(
                    "records.jsonl: generation",
                    generation,
                    f"0 to {run.planned}, as config.json says",
                )
            for seed in by_seed:
                if seed not in run.seeds:
                    raise InputError(
                        "records.jsonl: seed", seed, f"one of config.json's seeds {run.seeds}"
                    )


def _grids(folder: Path) -> list[Grid]:
    grids = []
    for path in sorted(folder.glob("*.png")):
        if match := _SAMPLES.fullmatch(path.name):
            png = path.read_bytes()
            whole = png.startswith(_PNG) and png.rstrip().endswith(b"IEND\xaeB`\x82")
            width, height = struct.unpack(">II", png[16:24]) if whole else (0, 0)
            grids.append(
                Grid(int(match[1]), int(match[2]), path, png if whole else None, width, height)
            )
    return sorted(grids, key=lambda grid: (grid.generation, grid.seed))


def _timing(path: Path) -> list[dict]:
    if not path.exists():
        return []
    rows = []
    for number, row in files.read_lines(path, "timing.jsonl"):
        numeric = isinstance(row, dict) and all(
            type(row.get(n)) in (int, float) for n in ("generation", "seconds")
        )
        if not (numeric and isinstance(row.get("stage"), str)):
            raise InputError(
                f"{path}:{number}",
                str(row)[:80],
                '{"generation": int, "stage": str, "seconds": number}',
            )
        rows.append(row)
    return rows

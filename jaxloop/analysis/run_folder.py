"""Read what a run left in its workdir into one value, Run, on which all of `analysis` works."""

import functools
import json
import os
import re
import struct
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop import files, predictions, records
from jaxloop.analysis.measures import FIELDS, Name
from jaxloop.errors import InputError, refusing
from jaxloop.provenance import store
from jaxloop.provenance.store import LAYOUT

_SAMPLES = re.compile(r"g(\d+)_s(\d+)\.png")
_PNG = b"\x89PNG\r\n\x1a\n"


class Grid(NamedTuple):
    """A sample grid (rows = classes) of one generation and seed. png: None if it is torn."""

    generation: int
    seed: int
    path: Path
    png: bytes | None
    width: int
    height: int


@dataclass(frozen=True)
class Run:
    """One workdir.

    config: all of config.json; `spec` is the resolved configuration in it.
    records: the log, as `records.frame`.
    grids: by generation, then seed.  timing: rows of timing.jsonl, empty if there is none.
    arms: the other arms of the run, by name: those that have measured a classifier.
    """

    path: Path
    config: dict
    records: pd.DataFrame
    grids: list[Grid]
    timing: list[dict]
    arms: "dict[str, Run]" = field(default_factory=dict)

    @property
    def spec(self) -> dict:
        return self.config["config"]

    @property
    def ablated(self) -> Grid | None:
        """Test images, one a row, and what each ablation makes of them; None without."""
        path = self.path / "samples" / "ablated.png"
        return _grid(path, -1, -1) if path.exists() else None

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

    @functools.cached_property
    def reached(self) -> int:
        """The last generation of which any classifier has any record."""
        return max(map(self.last, self.classifiers), default=-1)

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

    @functools.cached_property
    def predictions(self) -> dict[int, dict[str, np.ndarray]]:
        """The arrays of predictions/ by generation; those without a file are left out.

        Raises InputError where a file cannot be read.
        """
        return predictions.read(self.path, len(self.seeds))

    @functools.cached_property
    def training(self) -> pd.DataFrame:
        """The training signals: records of an epoch or a split."""
        return self.records.loc[self._is_signal]

    @functools.cached_property
    def _is_signal(self) -> pd.Series:
        return self.records.epoch.notna() | self.records.split.notna()

    @functools.cached_property
    def _positions(self) -> dict[Name, list[int]]:
        """{name: rows of `records`}, in order of record, without training signals."""
        positions = defaultdict(list)
        rows = np.flatnonzero(~self._is_signal)
        for name, row in zip(names_of(self.records.iloc[rows]), rows, strict=True):
            positions[name].append(row)
        return dict(positions)

    @property
    def names(self) -> list[Name]:
        """All that was measured, in order of record, without training signals."""
        return list(self._positions)

    def rows(self, name: Name) -> pd.DataFrame:
        """Return the records of a name."""
        return self.records.iloc[self._positions.get(name, [])]

    def table(self, name: Name, complement: bool = False) -> pd.DataFrame:
        """Return values by seed (index) and generation (columns with any record); NaN: none.

        1 - value where `complement`.
        """
        rows, cells = self._positions.get(name, []), ("seed", "generation", "value")
        seed, generation, value = (self.records[column].to_numpy()[rows] for column in cells)
        generations, columns = np.unique(generation, return_inverse=True)
        values = np.full((len(self.seeds), len(generations)), np.nan)
        values[[self.seeds.index(s) for s in seed], columns] = 1 - value if complement else value
        return pd.DataFrame(values, self.seeds, generations)

    def values(self, name: Name, generation: int) -> np.ndarray:
        """Return the values of one generation by seed, float [S]; NaN: none."""
        return self.table(name).reindex(columns=[generation]).to_numpy(float)[:, 0]

    def has(self, name: Name) -> bool:
        """Tell whether any seed has a value in any generation."""
        values = self.records.value.to_numpy()[self._positions.get(name, [])]
        return bool(np.isfinite(values).any())

    def last(self, subject: str) -> int:
        """Return the last generation of which a subject has any record; -1 if none."""
        generations = self.records.generation[self.records.subject == subject]
        return int(generations.max()) if len(generations) else -1


def names_of(rows: pd.DataFrame) -> list[Name]:
    """Return what each record is of."""
    cells = rows[list(FIELDS)].astype(object)
    return [Name(*cell) for cell in cells.where(cells.notna(), None).itertuples(index=False)]


def load(workdir: str | os.PathLike) -> Run:
    """Read config.json, records.jsonl and, where they exist, samples/, timing.jsonl and arms/.

    Raises:
      InputError: the folder, config.json or records.jsonl is missing, broken, empty or of another
        layout; the records name a seed or generation that the configuration does not have; an arm
        has other seeds than the run.
    """
    path = Path(workdir)
    if not path.is_dir():
        raise InputError("WORKDIR", str(workdir), "the folder of a run")
    config, log = _config(path / "config.json"), path / "records.jsonl"
    lines = records.read(log)
    if not lines:
        raise InputError(
            "records.jsonl", str(log), "at least one record; this run measured nothing yet"
        )
    frame = records.frame(lines)
    _check(frame, config["config"])
    grids, timing = _grids(path / "samples"), _timing(path / "timing.jsonl")
    folders = store.arms(path)
    arms = {name: _arm(folder, config["config"]) for name, folder in folders.items()}
    measured = {name: arm for name, arm in arms.items() if arm is not None}
    return Run(path, config, frame, grids, timing, measured)


def _arm(path: Path, spec: dict) -> Run | None:
    """Read the folder of an arm; None before any classifier of it was measured."""
    log = path / "records.jsonl"
    if not log.exists() or not any(r["subject"] in spec["classifiers"] for r in records.read(log)):
        return None
    arm = load(path)
    seeds = spec["seeds"]
    if arm.seeds[: len(seeds)] == seeds:  # it may be about to get one more
        return replace(arm, config=arm.config | {"config": arm.spec | {"seeds": seeds}})
    # Arms are compared seed by seed.
    raise InputError(f"{path / 'config.json'}: config.seeds", arm.seeds, f"the run's own {seeds}")


def _config(path: Path) -> dict:
    try:
        with refusing("config.json", str(path), "a readable file", OSError):
            config = json.loads(path.read_text())
    except ValueError as error:
        raise InputError("config.json", str(path), f"valid JSON ({error})") from None
    requirements = {
        "layout": (lambda v: v == LAYOUT, f"{LAYOUT}: another version of jaxloop wrote this run"),
        "config.seeds": (lambda v: bool(v) and _list_of(int, v), "a list of integers"),
        "config.classifiers": (lambda v: bool(v) and _list_of(str, v), "a list of names"),
        "config.loop.generations": (lambda v: type(v) is int and v >= 0, "an integer >= 0"),
        "data.class_names": (lambda v: _list_of(str, v), "a list of names"),
        "data.group_names": (lambda v: _list_of(str, v), "a list of names"),
    }
    for name, (is_right, allowed) in requirements.items():
        value = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not is_right(value):
            raise InputError(f"{path}: {name}", value, allowed)
    return config


def _list_of(kind: type, value) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _check(frame: pd.DataFrame, spec: dict) -> None:
    """Refuse a log that is not of its configuration: its means would be over the wrong seeds."""
    subjects, planned = sorted(set(frame.subject)), spec["loop"]["generations"]
    if not set(subjects) & set(spec["classifiers"]):
        allowed = f"records of config.json's classifiers {spec['classifiers']}"
        raise InputError("records.jsonl: subject", subjects, allowed)
    for column, right, allowed in (
        ("generation", range(planned + 1), f"0 to {planned}, as config.json says"),
        ("seed", spec["seeds"], f"one of config.json's seeds {spec['seeds']}"),
    ):
        for value in sorted(set(frame[column]) - set(right)):
            raise InputError(f"records.jsonl: {column}", value, allowed)


def _grids(folder: Path) -> list[Grid]:
    grids = []
    for path in folder.glob("*.png"):
        if match := _SAMPLES.fullmatch(path.name):
            grids.append(_grid(path, int(match[1]), int(match[2])))
    return sorted(grids, key=lambda grid: grid[:3])


def _grid(path: Path, generation: int, seed: int) -> Grid:
    png = path.read_bytes()
    whole = png.startswith(_PNG) and png.rstrip().endswith(b"IEND\xaeB`\x82")
    size = struct.unpack(">II", png[16:24]) if whole else (0, 0)
    return Grid(generation, seed, path, png if whole else None, *size)


def _timing(path: Path) -> list[dict]:
    rows = files.read_lines(path, "timing.jsonl") if path.exists() else []
    allowed = '{"generation": int, "stage": str, "seconds": number}'
    for number, row in rows:
        if not (
            isinstance(row, dict)
            and all(type(row.get(field)) in (int, float) for field in ("generation", "seconds"))
            and isinstance(row.get("stage"), str)
        ):
            raise InputError(f"{path}:{number}", str(row)[:80], allowed)
    return [row for _, row in rows]

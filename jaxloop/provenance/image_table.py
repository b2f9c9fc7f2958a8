"""All generated images of a run as one table, a row an image, and their pictures as files.

Columns: arm ("main", or "control"), the fields of the provenance lines, class_name and group_name
(null where config.json has none), votes_keep and votes_drop (raters whose standing vote on the
picture says so), raters (how many voted on it), blind_keep and blind_drop (of blind votes alone),
picture (its file, relative to the table; null where the run kept none), and score_NAME for each
expert that scored any image of the run.

A vote is on a picture, whichever arm it is of: all arms count the run's one votes.jsonl.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jaxloop.errors import InputError
from jaxloop.files import write_atomic
from jaxloop.provenance import sheets, store, votes

# Parquet's type of each column; the experts' scores are doubles as well.
KINDS = {
    "arm": "string", "born": "int64", "seed": "int64", "index": "int64",
    "class": "int64", "class_name": "string", "group": "int64", "group_name": "string",
    "sha256": "string", "score": "float64", "kept": "bool", "reason": "string",
    "votes_keep": "int64", "votes_drop": "int64", "raters": "int64",
    "blind_keep": "int64", "blind_drop": "int64", "picture": "string",
}  # fmt: skip


def write(workdir: str | os.PathLike, out: str | os.PathLike, format: str = "jsonl") -> Path:
    """Write images.jsonl or images.parquet into `out`, and pictures/ARM/gNN_sS/INDEX.png.

    Other files in `out` are left alone. The table, whose path is returned, is written last.

    Raises:
      InputError: an unknown format, a `workdir` without generated images or with a broken file, an
        `out` that is no folder, is the workdir of a run, or lies within `workdir`.
    """
    if format not in FORMATS:
        raise InputError("--format", format, FORMATS)
    workdir, out = Path(workdir), Path(out)
    if not store.pairs(workdir):
        raise InputError("WORKDIR", str(workdir), "the folder of a run that has generated images")
    is_run = (out / "config.json").exists() or (out / "provenance").exists()
    is_inside = out.resolve().is_relative_to(workdir.resolve())
    if is_run or is_inside or (out.exists() and not out.is_dir()):
        raise InputError("--out", str(out), "a folder, and none that is a run's own or in it")
    data, votes_on = store.config(workdir)["data"], _votes_on(workdir)
    arms = {"main": workdir, "control": workdir / "control"}
    batches = [(arm, (arms[arm], *pair)) for arm in arms for pair in store.pairs(arms[arm])]
    experts = {name for _, at in batches for line in store.lines(*at) for name in line["scores"]}
    columns = [*KINDS, *(f"score_{name}" for name in sorted(experts))]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder that can be created ({error.strerror})"
        raise InputError("--out", str(out), allowed) from None
    # One batch at a time: a run may have millions of images.
    rows = ([*_rows(arm, at, data, votes_on, out)] for arm, at in batches)
    table = out / f"images.{format}"
    write_atomic(table, FORMATS[format](rows, columns))
    return table


def _votes_on(workdir: Path) -> Counter:
    """Return {("votes" or "blind", sha256, class, "keep" or "drop"): number of raters}."""
    tally = votes.tally(workdir)
    kinds = {"votes": tally.standing, "blind": tally.blind}
    return Counter(
        (kind, *key[1:], vote.verdict) for kind in kinds for key, vote in kinds[kind].items()
    )


def _rows(arm: str, at: Sequence, data: dict, votes_on: Counter, out: Path) -> Iterator[dict]:
    """Yield rows, each after its picture is written. at: folder of the arm, generation, seed."""
    lines = store.lines(*at)
    for line, picture in zip(lines, _pictures(arm, at, lines, out), strict=True):
        class_, group = line["class"], line.get("group", -1)
        group_names = _at(data.get("subgroup_names"), class_) or data.get("group_names")
        counts = {
            f"{kind}_{verdict}": votes_on[kind, line["sha256"], class_, verdict]
            for kind in ("votes", "blind") for verdict in ("keep", "drop")
        }  # fmt: skip
        yield {
            "arm": arm, **line, **counts, "picture": picture,
            "raters": counts["votes_keep"] + counts["votes_drop"],
            "class_name": _at(data["class_names"], class_), "group_name": _at(group_names, group),
            **{f"score_{expert}": score for expert, score in line["scores"].items()},
        }  # fmt: skip


def _pictures(arm: str, at: Sequence, lines: list[dict], out: Path) -> Iterator[str | None]:
    """Write each picture, and yield its path within `out`; None where there is no sheet."""
    sheet = store.sheet(*at)
    if not sheet.exists():
        yield from [None] * len(lines)
        return
    folder = Path("pictures", arm, sheet.stem)
    (out / folder).mkdir(parents=True, exist_ok=True)
    for line, image in zip(lines, store.pictures(*at), strict=True):
        if sheets.sha256(image) != line["sha256"]:
            allowed = f"the pictures of its lines; picture {line['index']} is another"
            raise InputError(sheet.name, str(sheet), allowed)
        path = folder / f"{line['index']:05d}.png"
        (out / path).write_bytes(sheets.png(image))
        yield path.as_posix()


def _at(names: Sequence | None, number: int):
    """Return the name of a class or group; None where there is none, or it is unknown (-1)."""
    return names[number] if names and 0 <= number < len(names) else None


def _jsonl(batches: Iterable[list[dict]], columns: Sequence[str]) -> bytes:
    rows = ({column: row.get(column) for column in columns} for batch in batches for row in batch)
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()


def _parquet(batches: Iterable[list[dict]], columns: Sequence[str]) -> bytes:
    import pyarrow  # slow to import, and most tables are JSON lines
    from pyarrow import parquet

    schema = pyarrow.schema([(column, KINDS.get(column, "float64")) for column in columns])
    tables = (pyarrow.Table.from_pylist(batch, schema) for batch in batches)
    out = io.BytesIO()
    parquet.write_table(pyarrow.concat_tables(tables), out)
    return out.getvalue()


FORMATS = {"jsonl": _jsonl, "parquet": _parquet}

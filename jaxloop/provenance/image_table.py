"""All generated images of a run as one table, a row an image, and their pictures as files.

Columns: arm ("main", or the name of another), the fields of the provenance lines, class_name and
group_name
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

from jaxloop.errors import InputError, refusing
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
COUNTS = ("votes_keep", "votes_drop", "blind_keep", "blind_drop")


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
    data, tally = store.config(workdir)["data"], votes.tally(workdir)
    num_raters = Counter(
        (f"{kind}_{vote.verdict}", *key[1:])
        for kind, part in (("votes", tally.standing), ("blind", tally.blind))
        for key, vote in part.items()
    )
    arms = {"main": workdir, **store.arms(workdir)}
    batches = [(arm, (arms[arm], *pair)) for arm in arms for pair in store.pairs(arms[arm])]
    experts = {name for _, at in batches for line in store.lines(*at) for name in line["scores"]}
    columns = [*KINDS, *(f"score_{name}" for name in sorted(experts))]
    with refusing("--out", str(out), "a folder that can be created", OSError):
        out.mkdir(parents=True, exist_ok=True)
    # One batch at a time: a run may have millions of images.
    rows = ([*_rows(arm, at, data, num_raters, out)] for arm, at in batches)
    table = out / f"images.{format}"
    write_atomic(table, FORMATS[format](rows, columns))
    return table


def _rows(arm: str, at: Sequence, data: dict, num_raters: Counter, out: Path) -> Iterator[dict]:
    """Yield rows, each after its picture is written.

    Args:
      at: folder of the arm, generation, seed.
      num_raters: {("votes_keep", "blind_drop" ..., sha256, class): number of raters}.
    """
    lines, sheet = store.lines(*at), store.sheet(*at)
    images = store.pictures(*at) if sheet.exists() else [None] * len(lines)
    for line, image in zip(lines, images, strict=True):
        class_, sha256, path = line["class"], line["sha256"], None
        if image is not None:
            if sheets.sha256(image) != sha256:
                allowed = f"the pictures of its lines; picture {line['index']} is another"
                raise InputError(sheet.name, str(sheet), allowed)
            path = f"pictures/{arm}/{sheet.stem}/{line['index']:05d}.png"
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(sheets.png(image))
        group_names = _at(data.get("subgroup_names"), class_) or data.get("group_names")
        counts = {name: num_raters[name, sha256, class_] for name in COUNTS}
        yield {
            "arm": arm, **line, **counts, "raters": counts["votes_keep"] + counts["votes_drop"],
            "class_name": _at(data["class_names"], class_),
            "group_name": _at(group_names, line.get("group", -1)), "picture": path,
            **{f"score_{expert}": score for expert, score in line["scores"].items()},
        }  # fmt: skip


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

"""All generated images of a run as one table, a row an image, and their pictures as files.

Columns, in every table: arm ("main", or "control" for the run's control arm), the fields of the provenance lines,
class_name and group_name (null where config.json names none), votes_keep and votes_drop (raters whose standing vote on
the picture says so), raters (how many voted on it), blind_keep and blind_drop (as votes_keep and votes_drop, of blind
votes alone), picture (its file, relative to the table; null where the run kept none), and score_NAME for each expert
that scored any image of the run.

People vote on a picture, whichever arm it is of: both arms count the votes of the run's one votes.jsonl.
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
    "sha256": "string", "score": "float64", "kept": "bool", "why": "string",
    "votes_keep": "int64", "votes_drop": "int64", "raters": "int64", "blind_keep": "int64", "blind_drop": "int64",
    "picture": "string",
}  # fmt: skip


def write(workdir: str | os.PathLike, out: str | os.PathLike, format: str = "jsonl") -> Path:
    """Writes images.jsonl or images.parquet into `out`, and pictures/ARM/gNN_sS/INDEX.png. Returns the table's path.

    `out` is made if need be; other files in it are left alone. The table is written last, when all pictures are.

    Raises:
      InputError: an unknown format, a `workdir` without generated images or with a broken file, an `out` that is no
        folder, is the workdir of a run, or lies within `workdir`.
    """
    if format not in FORMATS:
        raise InputError("--format", format, FORMATS)
    if not str(out):
        raise InputError("--out", str(out), "a folder")
    workdir, out = Path(workdir), Path(out)
    if not store.made(workdir):
        raise InputError("WORKDIR", str(workdir), "the folder of a run that has generated images")
    is_own = any((out / name).exists() for name in ("config.json", "provenance"))
    if (
        (out.exists() and not out.is_dir())
        or is_own
        or out.resolve().is_relative_to(workdir.resolve())
    ):
        raise InputError("--out", str(out), "a folder, and none that is a run's own or in it")
    arms = {"main": workdir, "control": workdir / "control"}
    made = [(arm, folder, *pair) for arm, folder in arms.items() for pair in store.made(folder)]
    names, tally = _names(workdir), _tally(workdir)
    experts = {
        expert for _, *of in made for line in store.lines(*of) for expert in line.get("scores", {})
    }
    batches = (
        _rows(*of, names, tally, out) for of in made
    )  # one at a time: a run may have millions of images
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "--out", str(out), f"a folder that can be made ({error.strerror})"
        ) from None
    table = out / f"images.{format}"
    write_atomic(
        table,
        FORMATS[format](batches, [*KINDS, *(f"score_{expert}" for expert in sorted(experts))]),
    )
    return table


def _names(workdir: Path) -> dict:
    """What config.json tells of the data: class_names, group_names, and subgroup_names where they differ by class."""
    path = workdir / "config.json"
    try:
        return dict(json.loads(path.read_text())["data"]) if path.exists() else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "config.json", str(path), f"a run's readable config.json ({error!r})"
        ) from None


def _tally(workdir: Path) -> Counter:
    """{("votes" or "blind", sha256, class, "keep" or "drop"): raters whose standing vote, or blind one, that is}."""
    given = votes.since(workdir)
    kinds = {"votes": given.standing, "blind": given.blind}
    return Counter(
        (kind, *key[1:], vote.verdict)
        for kind, stands in kinds.items()
        for key, vote in stands.items()
    )


def _rows(
    arm: str, folder: Path, generation: int, seed: int, names: dict, tally: Counter, out: Path
) -> list[dict]:
    """Of a generation and seed; writes its pictures."""
    lines = store.lines(folder, generation, seed)
    saved = _saved(Path("pictures", arm), folder, generation, seed, lines, out)
    return [
        _row(arm, line, names, tally, picture) for line, picture in zip(lines, saved, strict=True)
    ]


def _saved(
    place: Path, folder: Path, generation: int, seed: int, lines: list[dict], out: Path
) -> Iterator[str | None]:
    """Writes each picture, and gives its path within `out`; None for all where there is no sheet."""
    sheet = store.sheet(folder, generation, seed)
    if not sheet.exists():
        yield from [None] * len(lines)
        return
    place = place / sheet.stem
    (out / place).mkdir(parents=True, exist_ok=True)
    for line, image in zip(lines, store.pictures(folder, generation, seed), strict=True):
        if sheets.sha256(image) != line["sha256"]:
            raise InputError(
                sheet.name,
                str(sheet),
                f"the pictures of its lines; picture {line['index']} is another",
            )
        name = place / f"{line['index']:05d}.png"
        (out / name).write_bytes(sheets.png(image))
        yield name.as_posix()


def _row(arm: str, line: dict, names: dict, tally: Counter, picture: str | None) -> dict:
    class_, group = line["class"], line.get("group", -1)
    subgroups = _at(names.get("subgroup_names"), class_) or names.get("group_names")
    counts = {
        f"{kind}_{verdict}": tally[kind, line["sha256"], class_, verdict]
        for kind in ("votes", "blind") for verdict in ("keep", "drop")
    }  # fmt: skip
    named = {
        "class_name": _at(names.get("class_names"), class_), "group_name": _at(subgroups, group),
        "raters": counts["votes_keep"] + counts["votes_drop"], "picture": picture,
    }  # fmt: skip
    scores = {f"score_{expert}": score for expert, score in line.get("scores", {}).items()}
    return {"arm": arm, **line, **named, **counts, **scores}


def _at(names: Sequence | None, number: int):
    """The name of a class or group (or a class's row of them); None where there is none, or it is unknown (-1)."""
    return names[number] if names and 0 <= number < len(names) else None


def _jsonl(batches: Iterable[list[dict]], columns: Sequence[str]) -> bytes:
    rows = ({column: row.get(column) for column in columns} for batch in batches for row in batch)
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()


def _parquet(batches: Iterable[list[dict]], columns: Sequence[str]) -> bytes:
    import pyarrow  # tensorflow-datasets brings it; here, because it takes its time and most tables are JSON lines
    from pyarrow import parquet

    schema = pyarrow.schema([(column, KINDS.get(column, "float64")) for column in columns])
    out = io.BytesIO()
    parquet.write_table(
        pyarrow.concat_tables(pyarrow.Table.from_pylist(batch, schema) for batch in batches), out
    )
    return out.getvalue()


FORMATS = {"jsonl": _jsonl, "parquet": _parquet}

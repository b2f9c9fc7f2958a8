"""Files of a workdir on its images: provenance/gNN_sS.jsonl, images/gNN_sS.png, images/real.*.

A line of provenance/ has the fields of `GENERATED` and "group". "born" is its generation, "kept" is
null before the filter has chosen, and "reason" is a code of `REASONS`.

What reads a file raises InputError naming it, or its line, if it is missing, torn or no run's.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxloop import files
from jaxloop.errors import InputError, refusing
from jaxloop.provenance import sheets

LAYOUT = 5  # of a workdir, as in its config.json
ARMS = "arms"  # the folder of the other arms, each like the workdir itself
REASONS = (
    "waiting", "best", "worst", "best_tie", "worst_tie", "generator_diverged", "random_choice"
)  # fmt: skip
REAL = {"index": int, "class": int, "sha256": str}
GENERATED = REAL | {
    "born": int, "seed": int, "score": float | int | None, "scores": dict, "kept": bool | None,
    "reason": str,
}  # fmt: skip


def config(workdir: str | os.PathLike) -> dict:
    """Return config.json: "config", "data" and the rest. Another version's is refused."""
    path = Path(workdir, "config.json")
    wrong = (OSError, ValueError, LookupError, TypeError)
    with refusing(path.name, str(path), "the configuration that a run wrote", wrong):
        content = files.parsed(path.read_bytes())
        spec = content["config"]
        _ = spec["filter"]["name"], spec["loop"]["generations"], content["data"]["class_names"]
    if content.get("layout") != LAYOUT:
        allowed = f'a run of this version of jaxloop ("layout": {LAYOUT} in its config.json)'
        raise InputError("WORKDIR", str(workdir), allowed)
    return content


def arms(workdir: str | os.PathLike) -> dict[str, Path]:
    """Return {name: folder} of the other arms of a run, sorted by name."""
    folders = sorted(Path(workdir, ARMS).glob("*/"))
    return {folder.name: folder for folder in folders if folder.is_dir()}


def name(generation: int, seed: int) -> str:
    """Return the name, without ending, of the files of one generation and seed."""
    return f"g{generation:02d}_s{seed}"


def pairs(workdir: str | os.PathLike) -> list[tuple[int, int]]:
    """Return (generation, seed) of every provenance file, sorted."""
    names = [path.name for path in Path(workdir, "provenance").glob("g*_s*")]
    matches = [re.fullmatch(r"g(\d\d|[1-9]\d\d+)_s(0|[1-9]\d*)\.jsonl", name) for name in names]
    return sorted((int(match[1]), int(match[2])) for match in matches if match)


def lines(workdir: str | os.PathLike, generation: int, seed: int) -> list[dict]:
    """Return the lines of a generation and seed, in index order."""
    return _lines(Path(workdir, "provenance", f"{name(generation, seed)}.jsonl"), GENERATED)


def sheet(workdir: str | os.PathLike, generation: int, seed: int) -> Path:
    """Return the path of the pictures of a generation and seed, which a run may not have kept."""
    return Path(workdir, "images", f"{name(generation, seed)}.png")


def pictures(workdir: str | os.PathLike, generation: int, seed: int) -> np.ndarray:
    """Return the images of a generation and seed, one for each line: uint8 [n h w 3]."""
    return _pictures(sheet(workdir, generation, seed), len(lines(workdir, generation, seed)))


def real(workdir: str | os.PathLike) -> tuple[list[dict], np.ndarray]:
    """Return the lines and images, uint8 [m h w 3], of real training images; m = 0 without any."""
    path = Path(workdir, "images", "real.png")
    if not path.exists():
        return [], np.zeros((0, 0, 0, 3), np.uint8)
    content = _lines(path.with_suffix(".jsonl"), REAL)
    return content, _pictures(path, len(content))


def write_lines(path: str | os.PathLike, lines: Iterable[dict]) -> None:
    """Write JSON lines; a reader sees the old file or the new one. Raises ValueError on NaN."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    files.write_atomic(path, text.encode())


def _lines(path: Path, kinds: dict) -> list[dict]:
    content = files.read_lines(path, path.name)
    for index, (number, line) in enumerate(content):
        if not (
            isinstance(line, dict)
            and all(isinstance(line.get(name, ...), kind) for name, kind in kinds.items())
            and line["index"] == index
            and line.get("reason", REASONS[0]) in REASONS
        ):
            allowed = f'an image\'s JSON object with "index": {index} and {", ".join(kinds)}'
            raise InputError(f"{path}:{number}", files.shortened(json.dumps(line)), allowed)
    return [line for _, line in content]


def _pictures(path: Path, num: int) -> np.ndarray:
    with refusing(path.name, str(path), "a whole sheet of pictures", (OSError, ValueError)):
        image = sheets.decode(path.read_bytes())
    if len(image) != num:
        allowed = f"a sheet of {num} pictures, one for each line; it has {len(image)}"
        raise InputError(path.name, str(path), allowed)
    return image

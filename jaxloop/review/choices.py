"""choices.jsonl: what raters chose in the audit, and when their blind votes ended. Appended only.

{"time": "2026-01-31T12:00:00+00:00", "rater": "ada", "generation": 1,
 "score": "uncertainty", "drop": 0.3}
{"time": ..., "rater": "ada", "generation": 1, "opened": "audit" or "summary"}
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from jaxloop import files
from jaxloop.errors import InputError

FILE = "choices.jsonl"
KINDS = {"time": str, "rater": str, "generation": int}


def append(workdir: str | os.PathLike, line: Mapping) -> None:
    """Append a line, of openings by one rater the first alone; it is then on the disk."""
    with files.appending(Path(workdir, FILE)) as append_line:
        if "opened" not in line or not opened(workdir, line["rater"], line["generation"]):
            append_line(line)


def opened(workdir: str | os.PathLike, rater: str, generation: int) -> bool:
    """Return whether a rater has seen the audit or the summary of a generation."""
    return any("opened" in line for line in _lines(workdir, rater, generation))


def chosen(workdir: str | os.PathLike, rater: str, generation: int) -> dict[str, float]:
    """Return {score: the rate that a rater chose last by it} for a generation."""
    lines = _lines(workdir, rater, generation)
    return {line["score"]: line["drop"] for line in lines if "opened" not in line}


def _lines(workdir: str | os.PathLike, rater: str, generation: int) -> list[dict]:
    path = Path(workdir, FILE)
    lines, _ = files.appended(path)
    for number, line in lines:
        fields = line if isinstance(line, dict) else {}
        content = {"opened": str} if "opened" in fields else {"score": str, "drop": float}
        if not all(isinstance(fields.get(name), kind) for name, kind in (KINDS | content).items()):
            text = files.shortened(json.dumps(line))
            raise InputError(f"{path}:{number}", text, "a line that the review page wrote")
    return [line for _, line in lines if (line["rater"], line["generation"]) == (rater, generation)]

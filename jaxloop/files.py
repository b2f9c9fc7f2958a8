"""How files are written, whole or not at all or line by line, and how JSON lines are read. And where what can be made again is
kept."""

import errno
import fcntl
import json
import os
from pathlib import Path

from jaxloop.errors import InputError


def cache(name: str) -> Path:
    """The person's cache folder for `name`; it may not exist yet. XDG_CACHE_HOME moves it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxloop" / name


def write_atomic(path: str | os.PathLike, content: bytes) -> None:
    """Writes through a temporary file in the same folder, synced to disk, then renamed over `path`."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def append_line(path: str | os.PathLike, content: object) -> None:
    """Adds a line of JSON at the end of a file; when this returns it is on the disk. Several processes may do so at once.

    Raises OSError if it cannot be written whole.
    """
    line = json.dumps(content).encode() + b"\n"
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        # Falls with the file; else another's torn line could come between the look at the end and the write.
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        if end and os.pread(file, 1, end - 1) != b"\n":
            line = (
                b"\n" + line
            )  # a write that was cut short ends here, and takes no other line with it
        if os.write(file, line) < len(line):
            raise OSError(errno.ENOSPC, "a line was written in part", str(path))
        os.fsync(file)
    finally:
        os.close(file)


def appended(path: str | os.PathLike) -> tuple[list[tuple[int, object]], int]:
    """What `append_line` wrote: [(line number from 1, parsed JSON)], and how many lines were cut short. No file: none."""
    found, cut = whole_lines(Path(path).read_bytes() if Path(path).exists() else b"", first=1)
    return found, len(cut)


def whole_lines(content: bytes, first: int) -> tuple[list[tuple[int, object]], list[int]]:
    """[(line number, parsed JSON)] of what `append_line` wrote, and the numbers of lines that were cut short.

    Half a JSON object is never JSON, so that what can be parsed was written whole. first: the number of the first line.
    """
    found, cut = [], []
    for number, line in enumerate(content.split(b"\n"), start=first):
        try:
            if line.strip():
                found.append((number, json.loads(line)))
        except ValueError:
            cut.append(number)
    return found, cut


def read_lines(path: str | os.PathLike, field: str) -> list[tuple[int, object]]:
    """[(line number from 1, parsed JSON)] of any JSON-lines file; blank lines and a torn last line are left out.

    Raises InputError naming `field` if the file cannot be read, or naming file and line if a line is not JSON.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(field, str(path), f"a readable file ({error.strerror})") from None
    parsed = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parsed.append((number, json.loads(line.decode(), parse_constant=_refuse_constant)))
        except ValueError:  # json's and utf-8's errors are both ValueErrors
            # After split, the last piece is empty unless the file ends without a newline: then it may be torn.
            if number < len(lines):
                raise InputError(
                    f"{path}:{number}", shortened(line.decode(errors="replace")), "a line of JSON"
                ) from None
    return parsed


def shortened(text: str, limit: int = 80) -> str:
    """`text`, or as much of it as an error has room for."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")

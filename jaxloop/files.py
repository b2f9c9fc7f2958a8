"""Files: written whole or line by line, JSON lines read back; locks, paths, the cache folder."""

import atexit
import contextlib
import errno
import fcntl
import functools
import json
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

from jaxloop.errors import InputError, refusing

# Where a file system has no locks, the threads of one process still take turns.
_THREADS = threading.Lock()


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line. Letters that the stream lacks are replaced; a closed pipe is no error."""
    stream = stream or sys.stdout
    if stream is None:  # closed by whoever started this process
        return
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:  # else Python complains when it flushes at the end
            os.dup2(nowhere.fileno(), stream.fileno())


@functools.cache
def warn(text: str) -> None:
    """Print a warning on stderr, once a process."""
    say(f"jaxloop: warning: {text}", sys.stderr)


def expanded(path: str | os.PathLike, field: str = "path") -> Path:
    """Return a path that a person typed, `~` expanded. Raises InputError naming `field`."""
    full = os.path.expanduser(path)
    if not full or Path(full).parts[:1] == ("~",):
        raise InputError(field, str(path), "a path; where there is no home folder, one without ~")
    return Path(full)


def cache(name: str) -> Path:
    """Return a writable folder for what can be made again. XDG_CACHE_HOME moves it.

    Without a home folder, or one that can be written, it is a temporary one of this process.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(home, "jaxloop", name)
    with contextlib.suppress(OSError):
        if home[0] != "~":
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    return Path(_temporary_cache(), name)


@functools.cache
def _temporary_cache() -> str:
    folder = tempfile.mkdtemp(prefix="jaxloop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warn("no cache folder can be written (XDG_CACHE_HOME, HOME); the next start computes anew")
    return folder


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Yield a new file in the same folder; when the block ends, sync it and rename it over `path`.

    Where the block raises, `path` stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: str | os.PathLike, content: bytes) -> None:
    """Write a file whole, or not at all, as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


def lock(file: int | IO, wait: bool) -> bool:
    """Lock an open file until it is closed. Return False if another holds the lock, and not `wait`.

    Some network file systems have no locks: then a warning says so.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        warn(f"this file system has no locks ({error.strerror}): start nothing twice")
    return True


@contextlib.contextmanager
def appending(path: str | os.PathLike) -> Iterator[Callable[[object], None]]:
    """Lock a file of JSON lines against other writers; yield the function that appends one.

    When that function returns the line is on the disk. What is read inside cannot be outdated.
    Raises InputError on a link or what is no regular file, OSError on a line not written whole.
    """
    with _THREADS, _regular(path, "a+b", os.O_NOFOLLOW) as file:
        lock(file, wait=True)
        yield functools.partial(_append, file)


def append_line(path: str | os.PathLike, content: object) -> None:
    """Append one line of JSON to a file, as `appending` does."""
    with appending(path) as append:
        append(content)


def _append(file: IO[bytes], content: object) -> None:
    line = json.dumps(content).encode() + b"\n"
    end = os.fstat(file.fileno()).st_size
    if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
        line = b"\n" + line  # closes a line that was cut short
    if os.write(file.fileno(), line) < len(line):
        raise OSError(errno.ENOSPC, "a line was written in part", str(file.name))
    os.fsync(file.fileno())


def tail(path: str | os.PathLike, start: int = 0) -> tuple[bytes, int]:
    """Return what an appended file holds from byte `start` on, and its size. No file: (b"", 0).

    Raises InputError where the path is a link, or otherwise no regular file.
    """
    try:
        with _regular(path, "rb", os.O_NOFOLLOW) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(start)
            return file.read(), size
    except FileNotFoundError:
        return b"", 0


def appended(path: str | os.PathLike) -> tuple[list[tuple[int, Any]], int]:
    """Return what `append_line` wrote: [(line number, JSON)], and the number of torn lines."""
    whole, torn = whole_lines(tail(path)[0], first=1)
    return whole, len(torn)


def whole_lines(content: bytes, first: int) -> tuple[list[tuple[int, Any]], list[int]]:
    """Return [(line number, JSON)], counted from `first`, and the numbers of torn lines.

    Half a JSON object is never JSON: what can be parsed was written whole.
    """
    whole, torn = [], []
    for number, line in enumerate(content.split(b"\n"), start=first):
        try:
            if line.strip():
                whole.append((number, parsed(line)))
        except ValueError:
            torn.append(number)
    return whole, torn


def read_lines(path: str | os.PathLike, field: str) -> list[tuple[int, Any]]:
    """Return [(line number from 1, JSON)] of a JSON-lines file, without blank and torn last lines.

    Raises InputError naming `field` if the file cannot be read, or naming a line that is not JSON.
    """
    with refusing(field, str(path), "a readable file", OSError), _regular(path, "rb") as file:
        content = file.read()
    whole, torn = whole_lines(content, first=1)
    lines = content.split(b"\n")
    # The last piece of the split is empty unless the file ends without a newline.
    if torn and torn[0] < len(lines):
        text = shortened(lines[torn[0] - 1].decode(errors="replace"))
        raise InputError(f"{path}:{torn[0]}", text, "a line of JSON")
    return whole


def parsed(text: bytes) -> Any:
    """Return the value of JSON. Raises ValueError on other text, NaN, and too deep nesting."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def shortened(text: str, limit: int = 80) -> str:
    """Return as much of `text` as an error has room for."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def one_line(error: Exception, limit: int) -> str:
    """Return as much of an exception's text, without line breaks, as a line has room for."""
    return shortened(" ".join(str(error).split()), limit)


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not JSON")


def _regular(path: str | os.PathLike, mode: str, flags: int = 0) -> IO[bytes]:
    """Open a regular file, unbuffered. Raises InputError on a pipe, a device, a folder."""

    def opener(name: str, given: int) -> int:
        return os.open(name, given | flags | os.O_NONBLOCK, 0o666)  # a pipe would wait otherwise

    try:
        file = open(path, mode, buffering=0, opener=opener)  # noqa: SIM115
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
    raise InputError(Path(path).name, str(path), "a regular file, and no link to another")

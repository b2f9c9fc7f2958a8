"""The files and folders of `data.path`: read whole, or refused in one line that names them."""

import os
from pathlib import Path

from jaxloop.errors import InputError


def refusal(where: Path | str, allowed: str) -> InputError:
    return InputError("config.data.path", str(where), allowed)


def require(ok: bool, where: Path | str, allowed: str) -> None:
    if not ok:
        raise refusal(where, allowed)


def escaped(name: str) -> str:
    r"""Return `name` with bytes that are not UTF-8 as "\udcff": what can be printed."""
    return name.encode("utf-8", "backslashreplace").decode()


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, hidden files and all, sorted by name."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except OSError as error:
        allowed = f"a folder that exists and may be read ({error.strerror})"
        raise refusal(folder, allowed) from error


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; a FIFO, socket or device is refused unopened."""
    regular = os.path.isfile(path) or not os.path.exists(path)
    require(regular, path, "a regular file: no folder, FIFO, socket or device")
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(path, f"a file that can be read ({error.strerror})") from error

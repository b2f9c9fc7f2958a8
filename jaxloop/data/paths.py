"""The files and folders of `data.path`: read whole, or refused in one line that names them."""

import os
from pathlib import Path

from jaxloop.errors import InputError, refusing

FIELD = "config.data.path"


def refusal(where: Path | str, allowed: str) -> InputError:
    return InputError(FIELD, str(where), allowed)


def require(ok: bool, where: Path | str, allowed: str) -> None:
    if not ok:
        raise refusal(where, allowed)


def escaped(name: str) -> str:
    r"""Return `name` with bytes that are not UTF-8 as "\udcff": what can be printed."""
    return name.encode("utf-8", "backslashreplace").decode()


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, hidden files and all, sorted by name."""
    with refusing(FIELD, str(folder), "a folder that exists and may be read", OSError):
        return [folder / name for name in sorted(os.listdir(folder))]


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; a FIFO, socket or device is refused unopened."""
    regular = os.path.isfile(path) or not os.path.exists(path)
    require(regular, path, "a regular file: no folder, FIFO, socket or device")
    with refusing(FIELD, str(path), "a file that can be read", OSError):
        return path.read_bytes()

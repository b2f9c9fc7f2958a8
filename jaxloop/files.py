"""How a file is written: whole or not at all. And where what can be made again is kept."""

import os
from pathlib import Path


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

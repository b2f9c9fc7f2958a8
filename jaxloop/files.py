"""How a file is written: whole or not at all."""

import os
from pathlib import Path


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

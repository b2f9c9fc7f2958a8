"""Pictures that stay on disk until they are read: in their files, or decoded in one."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jaxloop import files
from jaxloop.data import pictures
from jaxloop.data.squares import FITS
from jaxloop.errors import refusing

Rows = np.ndarray | slice


class OnDisk:
    """n pictures as an array uint8 [n s s 3] that is decoded when it is read.

    Indexing gives another such array and reads nothing; `read` decodes some, in this thread;
    `np.asarray` decodes all of them, in several, and names every file that cannot be.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, root: Path, names: Sequence[str] | np.ndarray, size: int, fit: str):
        """Args: names: of files below `root`.  fit: how they become squares, of pictures.FITS."""
        self.root, self.size, self.fit = root, size, fit
        # Bytes of a fixed width: a million names as Python strings would take 100 MB.
        self.names = (
            names if isinstance(names, np.ndarray) else np.array([*map(os.fsencode, names)])
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.names), self.size, self.size, 3

    @property
    def nbytes(self) -> int:
        """The bytes of all pictures, decoded."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Rows) -> "OnDisk":
        return OnDisk(self.root, self.names[rows], self.size, self.fit)

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the pictures of `rows`, int [b]: uint8 [b s s 3]. Raises InputError by name."""
        image = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for i, path in enumerate(self._paths(rows)):
            image[i] = pictures.square(path, self.size, self.fit)
        return image

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self.pictures().image

    def pictures(self) -> pictures.Pictures:
        """Decode all. Raises InputError that lists the files that cannot be."""
        return pictures.read(self._paths(range(len(self))), self.size, self.fit)

    def check(self) -> None:
        """Decode every picture once: the next start knows that it was done.

        Raises InputError that lists the files that cannot be decoded.
        """
        mark = files.cache("pictures") / self._identity()
        if not mark.exists():
            paths = self._paths(range(len(self)))
            pictures.each(paths, "pictures that can be decoded", lambda i, image: None)
            files.write_atomic(mark, b"")

    def decoded(self) -> "Decoded":
        """Return the pictures in one file of the cache, decoded there once.

        Raises InputError that lists the files that cannot be decoded, or says that there is no
        room.
        """
        path = files.cache("decoded") / f"{self._identity()}-{self.fit}{self.size}.uint8"
        if not path.exists():
            with files.replacing(path) as file:
                self._decode_into(file.fileno(), path)
        return Decoded(path, self.shape)

    def _decode_into(self, file: int, path: Path) -> None:
        words = f"decoded where the cache (XDG_CACHE_HOME) has {self.nbytes:,} bytes of room"
        with refusing("config.data.memory", "decoded", f"{words}, unlike {path.parent}", OSError):
            os.posix_fallocate(file, 0, self.nbytes)
        num_bytes = int(np.prod(self.shape[1:]))

        def keep(i: int, image: Image.Image) -> None:
            pixels = np.asarray(FITS[self.fit](image, self.size, set()))
            os.pwrite(file, np.ascontiguousarray(pixels).data, i * num_bytes)

        pictures.each(self._paths(range(len(self))), "pictures decoded into a file", keep)

    def _identity(self) -> str:
        code = zlib.crc32(str(self.root.resolve()).encode(), self.checksum(0))
        return f"{len(self)}-{code:08x}"

    def checksum(self, code: int) -> int:
        """Go on with a CRC-32 over the files' names and sizes, which stand for their pixels."""
        for path in self._paths(range(len(self))):
            code = zlib.crc32(f"{path.relative_to(self.root)}:{path.stat().st_size}".encode(), code)
        return code

    def _paths(self, rows) -> list[Path]:
        return [self.root / os.fsdecode(bytes(self.names[i])) for i in rows]


class Decoded:
    """n images in one file, bytes of uint8 [n h w c], of which `read` reads some.

    Not memory-mapped: what was read would count as memory of the process.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path, self.shape = path, shape

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the images of `rows`, int [b]: uint8 [b h w c]. Raises OSError."""
        image = np.empty((len(rows), *self.shape[1:]), np.uint8)
        with open(self.path, "rb", buffering=0) as file:
            for one, row in zip(image, rows, strict=True):
                if os.preadv(file.fileno(), [one.data], int(row) * one.nbytes) < one.nbytes:
                    raise OSError(f"{self.path} was cut short: delete it")
        return image

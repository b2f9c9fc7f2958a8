"""Unpickle byte arrays, text, numbers, lists and dicts; run nothing that a pickle asks for."""

import codecs
import io
import pickle
from pathlib import Path

import numpy as np

from jaxloop.data import paths
from jaxloop.errors import refusing


def read(path: Path) -> object:
    """Return what one pickle file holds. Text that Python 2 wrote comes as bytes.

    A class or function that is not admitted is refused, and not even imported.
    """
    content = paths.read_bytes(path)
    with refusing(paths.FIELD, str(path), "a whole pickle of byte arrays, text and numbers"):
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()


def _dtype(name, *_):
    """Return numpy.dtype of bytes alone: with another type a pickle could forge pointers."""
    if name not in (b"u1", "u1"):
        raise pickle.UnpicklingError(f"it asks for an array of {name!r}")
    return np.dtype(np.uint8, copy=True)


_reconstruct = np.empty(0).__reduce__()[0]
_ADMITTED = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _reconstruct,  # the name that NumPy 1 writes
    "numpy._core.multiarray._reconstruct": _reconstruct,  # NumPy 2
    "_codecs.encode": codecs.encode,  # how Python 3 writes bytes for Python 2
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if f"{module}.{name}" not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[f"{module}.{name}"]

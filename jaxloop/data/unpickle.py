"""Unpickles byte arrays, text, numbers, lists and dicts, and runs nothing that a pickle may ask for."""

import codecs
import io
import pickle
from pathlib import Path

import numpy as np

from jaxloop.errors import InputError


def read(path: Path) -> object:
    """What one pickle file holds. Text that Python 2 wrote comes as bytes.

    Raises:
      InputError: the file cannot be read, is no whole pickle, or asks for a class or function that is not admitted,
        which is then not even imported.
    """
    try:
        return _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except Exception as error:  # a broken pickle can raise anything; the person needs one line
        why = f"{type(error).__name__}: {error}"
        raise InputError(
            "config.data.path",
            str(path),
            f"a whole pickle of byte arrays, text and numbers ({why})",
        ) from error


def _dtype(name, *_):
    """numpy.dtype as pickles call it, but of bytes alone: with a type of its own a pickle could forge pointers."""
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
        wanted = f"{module}.{name}"
        if wanted not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {wanted}")
        return _ADMITTED[wanted]

"""Data sets in the on-disk format of tensorflow-datasets.

Reading a prepared one needs no TensorFlow. Preparing one (download and conversion, once) does.
"""

import importlib.util
from collections.abc import Sequence

import numpy as np

from jaxloop.errors import InputError

_INSTEAD = "give data.path, a folder with the data set's own files"
_PREPARES = (
    "tensorflow",
    "importlib_resources",
)  # tensorflow-datasets needs both to prepare, and declares neither


def read(
    name: str, splits: Sequence[str], data_dir: str | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Whole splits of a data set, which is prepared first if it is not yet.

    Args:
      name: its name in tensorflow-datasets, e.g. "mnist".
      splits: which splits, e.g. ("train", "test").
      data_dir: where prepared data sets lie; None: TFDS_DATA_DIR, or the library's default folder.

    Returns:
      {split: {feature: array [n ...]}}, e.g. {"train": {"image": uint8 [n h w c], "label": int64 [n]}, "test": ...}.
      The order within a split is the library's, fixed, and not that of the published files.

    Raises:
      InputError: the data set is not prepared and cannot be, or what is prepared cannot be read. Field `data.path`,
        because a path is the way round it.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise _refused(name, "pip install tensorflow-datasets")
    import tensorflow_datasets as tfds

    try:
        # array_record is the format that can be read without TensorFlow.
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        prepared = builder.is_prepared()
    except Exception as error:
        raise _refused(
            name, f"a readable data set; tensorflow-datasets says: {_line(error)}"
        ) from error
    if not prepared:
        _prepare(builder)
    try:
        return {split: _stack(builder.as_data_source(split)) for split in splits}
    except (
        Exception
    ) as error:  # whatever the library or the file system raises, the person needs one line
        allowed = f"a whole prepared data set in {builder.data_dir}; reading this one failed: {_line(error)}"
        raise _refused(name, allowed) from error


def _prepare(builder) -> None:
    missing = [module for module in _PREPARES if importlib.util.find_spec(module) is None]
    if missing:
        raise _refused(
            builder.name,
            f"a prepared data set in {builder.data_dir}; preparing it needs {' and '.join(missing)}: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[prepare]'",
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise _refused(
            builder.name, f"a data set that can be downloaded; it failed: {_line(error)}"
        ) from error


def _stack(source) -> dict[str, np.ndarray]:
    examples = [source[i] for i in range(len(source))]
    return {
        feature: np.stack([example[feature] for example in examples]) for feature in examples[0]
    }


def _line(error: Exception) -> str:
    """The first line of an error's message: libraries add pages of advice."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"


def _refused(name: str, allowed: str) -> InputError:
    return InputError("config.data.path", "", f"{allowed}; or {_INSTEAD} (data set {name!r})")

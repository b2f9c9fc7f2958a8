"""Data sets in the on-disk format of tensorflow-datasets.

Reading a prepared one needs no TensorFlow. Preparing one (download and conversion, once) does.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxloop.data.paths import FIELD, refusal
from jaxloop.errors import refusing

# What tensorflow-datasets needs to prepare a data set, and does not declare.
_PREPARES = ("tensorflow", "importlib_resources")
_INSTALL = ".venv/bin/python -m pip install -c constraints.txt -e '.[prepare]'"

Split = dict[str, np.ndarray]  # {feature: [n ...]}, e.g. image uint8 [n h w c], label int64 [n]


def read(
    name: str, splits: Sequence[str], data_dir: str | None = None
) -> tuple[dict[str, Split], dict[str, tuple[str, ...]]]:
    """Read whole splits of a data set, which is prepared first if it is not yet.

    data_dir: where prepared data sets lie; None: TFDS_DATA_DIR, or the library's default folder.

    Returns {split: arrays}, in the library's order, not that of the published files; and the names
    of the classes of each feature that has some. Raises InputError of the field `data.path`,
    because a path is the way round it.
    """
    import tensorflow_datasets as tfds

    instead = f"or give data.path, a folder with the published files of {name!r}"
    with refusing(FIELD, "", f"a data set that tensorflow-datasets can read; {instead}"):
        # array_record is the format that can be read without TensorFlow
        builder: Any = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    where = f"a whole prepared data set in {builder.data_dir}"
    if not builder.is_prepared():
        missing = [module for module in _PREPARES if importlib.util.find_spec(module) is None]
        if missing:
            needs = f"preparing it needs {' and '.join(missing)}: {_INSTALL}"
            raise refusal("", f"{where}; {needs}; {instead}")
        with refusing(FIELD, "", f"a data set that can be downloaded; {instead}"):
            builder.download_and_prepare()
    with refusing(FIELD, "", f"{where}; {instead}"):
        features = builder.info.features.items()
        names = {key: tuple(f.names) for key, f in features if hasattr(f, "names")}
        return {split: _stack(builder.as_data_source(split)) for split in splits}, names


def _stack(source) -> Split:
    examples = [source[i] for i in range(len(source))]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

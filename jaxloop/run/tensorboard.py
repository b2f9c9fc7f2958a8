"""TensorBoard event files, for those who ask for them. TensorFlow takes seconds to import, so it happens here and late."""

import importlib
from pathlib import Path

from jaxloop.errors import InputError


class Writer:
    """Writes the records of a generation as scalars at step = generation, one event folder a seed."""

    def __init__(self, workdir: Path):
        """Raises InputError if the extra `tensorboard` is not installed."""
        try:
            importlib.import_module("tensorboard")
            self._writers = importlib.import_module("clu.metric_writers")
        except ImportError as error:
            allowed = f"False, or pip install 'jaxloop-experiments[tensorboard]' ({error})"
            raise InputError("config.tensorboard", True, allowed) from None
        self._folder = workdir / "tensorboard"

    def write(self, records: list[dict]) -> None:
        """Values of a class are left out: TensorBoard would drown in them."""
        scalars: dict[tuple[int, int], dict[str, float]] = {}
        for record in records:
            if isinstance(record["value"], float) and "class" not in record:
                group = f"/group_{record['group']}" if "group" in record else ""
                name = f"{record['subject']}/{record['metric']}{group}"
                scalars.setdefault((record["seed"], record["generation"]), {})[name] = record[
                    "value"
                ]
        for (seed, generation), values in scalars.items():
            writer = self._writers.SummaryWriter(str(self._folder / f"seed_{seed}"))
            writer.write_scalars(generation, values)
            writer.close()

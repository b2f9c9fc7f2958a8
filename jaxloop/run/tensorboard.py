"""TensorBoard event files, for those who ask for them. TensorFlow takes seconds to import, so it
happens here and late."""

import importlib
from pathlib import Path

from jaxloop.errors import InputError


class Writer:
    """Writes records as scalars, one event folder a seed."""

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
        """Write the records of a generation; values of a class are left out, for TensorBoard would
        drown in them. Signals of training have a curve over epochs for every generation."""
        scalars: dict[tuple[int, int], dict[str, float]] = {}
        for record in records:
            if isinstance(record["value"], float) and "class" not in record:
                step = record.get("epoch", record["generation"])
                place = scalars.setdefault((record["seed"], step), {})
                place[_name(record)] = record["value"]
        for (seed, step), values in scalars.items():
            writer = self._writers.SummaryWriter(str(self._folder / f"seed_{seed}"))
            writer.write_scalars(step, values)
            writer.close()


def _name(record: dict) -> str:
    """Return the tag of a record: subject/metric/network/split/group_1/generation_3."""
    parts = [record["subject"], record["metric"]]
    parts += [record[field] for field in ("network", "split") if field in record]
    parts += [f"{f}_{record[f]}" for f in ("group", "rank", "rarity") if f in record]
    if "epoch" in record:
        parts.append(f"generation_{record['generation']}")
    return "/".join(parts)

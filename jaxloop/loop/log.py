"""Records of one seed and generation while they are gathered (see report/records.py for the log that they go into)."""

import math


class Log:
    """Collects records; a value that is not finite becomes null."""

    def __init__(self, seed: int, generation: int):
        self.seed, self.generation = seed, generation
        self.records: list[dict] = []

    def add(self, subject: str, metric: str, value, why: str | None = None, interval=None, features=None, **where: int):
        """One value. `where`: "class" and "group", where the value is of one. `why` is noted if there is no value.

        interval: (low, high), left out where either is not finite.  features: see report/records.py.
        """
        value = float(value)
        value = value if math.isfinite(value) else None
        record = self._key(subject, metric, where) | {"value": value}
        if value is not None and interval is not None and all(map(math.isfinite, interval)):
            record["interval"] = tuple(map(float, interval))
        if features is not None:
            record["features"] = features
        self.records.append(record)
        if value is None and why:
            self.note(subject, metric, why, **where)

    def note(self, subject: str, metric: str, why: str, **where: int) -> None:
        """Why a value does not exist, or what is special about it."""
        self.records.append(self._key(subject, f"{metric}_note", where) | {"value": why})

    def _key(self, subject: str, metric: str, where: dict[str, int]) -> dict:
        return {"seed": self.seed, "generation": self.generation, "subject": subject, "metric": metric, **where}

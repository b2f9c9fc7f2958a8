"""Any metric, group by group, on plain arrays; defined as in fairlearn's MetricFrame.

frame = groupwise(accuracy, label, predicted, group, names=("red", "green", "blue"))
frame.by_group, frame.difference(), print(frame)
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.metrics import vectors

METHODS = ("between_groups", "to_overall")


class Frame(NamedTuple):
    """count: {group: images}.  overall: {metric: value over all images, of unknown group too}.

    by_group: {group: {metric: value}}; NaN for a group that `names` lists and that has no image.
    left_out: images of unknown group, which are in no group.
    """

    count: dict[str, int]
    overall: dict[str, float]
    by_group: dict[str, dict[str, float]]
    left_out: int

    def group_min(self) -> dict[str, float]:
        """Return {metric: the least value of a group}; NaN if a group has none."""
        return self._named(self._values().min(axis=0))

    def group_max(self) -> dict[str, float]:
        """Return {metric: the greatest value of a group}; NaN if a group has none."""
        return self._named(self._values().max(axis=0))

    def difference(self, method: str = "between_groups") -> dict[str, float]:
        """Return {metric: the largest |difference|}, of two groups or of a group "to_overall"."""
        values = self._values()
        # Of all |differences| to a group, the least group's is the largest or as large.
        other = values.min(axis=0) if _between(method) else self._overall()
        return self._named(np.abs(values - other).max(axis=0))

    def ratio(self, method: str = "between_groups") -> dict[str, float]:
        """Return {metric: the smallest ratio}, of two groups or of a group "to_overall".

        The smaller over the larger, NaN where that is 0. DI, eq. (3), is a mean over pairs instead.
        """
        values = self._values()
        other = values.max(axis=0) if _between(method) else self._overall()
        low, high = np.minimum(values, other), np.maximum(values, other)
        return self._named((low / np.where(high == 0, np.nan, high)).min(axis=0))

    def __str__(self) -> str:
        """Return an aligned table: a row a group, one for images left out, one for all images."""
        rows = [(name, self.count[name], row) for name, row in self.by_group.items()]
        rows += [("left out", self.left_out, {})] if self.left_out else []
        rows += [("all", sum(self.count.values()) + self.left_out, self.overall)]
        blank = [""] * len(self.overall)
        values = [[f"{value:.4f}" for value in row.values()] or blank for *_, row in rows]
        cells = [[str(count), *value] for (_, count, _), value in zip(rows, values, strict=True)]
        names, columns = [name for name, *_ in rows], ["images", *self.overall]
        table = pd.DataFrame(cells, index=names, columns=columns)
        return table.rename_axis(columns="group").to_string()

    def _values(self) -> np.ndarray:
        return np.array([list(row.values()) for row in self.by_group.values()], float)

    def _overall(self) -> np.ndarray:
        return np.array(list(self.overall.values()))

    def _named(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self.overall, values.tolist(), strict=True))


def groupwise(
    metrics: Callable | Mapping[str, Callable], label, predicted, group, names=None, unknown=None
) -> Frame:
    """Return every metric over all images and over each group. On the host.

    Args:
      metrics: a function (label [k], predicted [k]) -> number, or several by name.
      label, predicted: [n], the true and the predicted class, of any type that the metrics take.
      group: [n], of anything that sorts (integers, names); -1 is a group like any other.
      names: what groups 0 .. G-1 are called; `group` holds integers. None: the values that occur.
      unknown: the value of `group` that leaves an image out of the groups; NaN: all missing values.

    Raises:
      ValueError: an array lacks values, is no vector of n, or holds a group that `names` does not
        name; two names are alike; there is no image of known group.
    """
    truth, _ = vectors.read("label", label)
    guess, _ = vectors.read("predicted", predicted, len(truth))
    if names is not None and len(set(names)) < len(names):
        raise ValueError(f"names must differ from each other; they are {tuple(names)}")
    size = None if names is None else len(names)
    index, occurring = vectors.categories("group", group, len(truth), size, unknown)
    names = occurring if names is None else names
    if not names:
        raise ValueError("group must hold at least one image of known group")
    if not isinstance(metrics, Mapping):
        metrics = {getattr(metrics, "__name__", "metric"): metrics}

    def measure(rows) -> dict[str, float]:
        return {
            name: float(metric(truth[rows], guess[rows])) if rows.any() else np.nan
            for name, metric in metrics.items()
        }

    return Frame(
        count={name: int((index == i).sum()) for i, name in enumerate(names)},
        overall=measure(np.ones(len(truth), bool)),
        by_group={name: measure(index == i) for i, name in enumerate(names)},
        left_out=int((index < 0).sum()),
    )


def accuracy(label, predicted) -> float:
    """Return the share of images whose predicted class is the true one, eq. (1)."""
    truth, _ = vectors.read("label", label)
    guess, _ = vectors.read("predicted", predicted, len(truth))
    kinds = {pd.api.types.infer_dtype(side, skipna=False) for side in (truth, guess)}
    if len(kinds) > 1 and not kinds <= set(vectors.NUMBERS):  # they would never be equal
        raise ValueError(f"predicted must be of the kind of label; they are {sorted(kinds)}")
    return float(np.mean(truth == guess))


def _between(method: str) -> bool:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    return method == "between_groups"

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
    """count: images by group.  overall: by metric, over all images, of unknown group too.

    by_group: a row a group, a column a metric; NaN for a group that `names` lists and that has no
      image. What is computed from it is NaN then.
    left_out: images of unknown group, which are in no group.
    """

    count: pd.Series
    overall: pd.Series
    by_group: pd.DataFrame
    left_out: int

    def group_min(self) -> pd.Series:
        """Return the least value of a group, by metric."""
        return self.by_group.min(skipna=False)

    def group_max(self) -> pd.Series:
        """Return the greatest value of a group, by metric."""
        return self.by_group.max(skipna=False)

    def difference(self, method: str = "between_groups") -> pd.Series:
        """Return the largest |difference|, of two groups or of a group "to_overall", by metric."""
        # Of all |differences| to a group, the least group's is the largest or as large.
        other = self.group_min() if _between(method) else self.overall
        return (self.by_group - other).abs().max(skipna=False)

    def ratio(self, method: str = "between_groups") -> pd.Series:
        """Return the smallest ratio, of two groups or of a group "to_overall", by metric.

        The smaller over the larger, NaN where that is 0. DI, eq. (3), is a mean over pairs instead.
        """
        other = (self.group_max() if _between(method) else self.overall).to_numpy()
        values = self.by_group.to_numpy()
        low, high = np.minimum(values, other), np.maximum(values, other)
        ratios = (low / np.where(high == 0, np.nan, high)).min(axis=0)
        return pd.Series(ratios, self.by_group.columns)

    def __str__(self) -> str:
        """Return an aligned table: a row a group, one for images left out, one for all images."""
        left_out = {"left out": self.left_out} if self.left_out else {}
        counts = [*self.count, *left_out.values(), self.count.sum() + self.left_out]
        values = pd.concat([self.by_group, self.overall.to_frame("all").T]).map("{:.4f}".format)
        blank = pd.DataFrame("", index=[*left_out], columns=values.columns)
        table = pd.concat([values[:-1], blank, values[-1:]])
        table.insert(0, "images", counts, allow_duplicates=True)
        table.columns.name = "group"
        return table.to_string()


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
    names = list(occurring if names is None else names)
    if not names:
        raise ValueError("group must hold at least one image of known group")
    if not isinstance(metrics, Mapping):
        metrics = {getattr(metrics, "__name__", "metric"): metrics}

    def measure(rows) -> dict[str, float]:
        return {
            name: float(metric(truth[rows], guess[rows])) if rows.any() else np.nan
            for name, metric in metrics.items()
        }

    groups = [index == i for i in range(len(names))]
    return Frame(
        count=pd.Series([int(rows.sum()) for rows in groups], names),
        overall=pd.Series(measure(np.ones(len(truth), bool))),
        by_group=pd.DataFrame([measure(rows) for rows in groups], names),
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

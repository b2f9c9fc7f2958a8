"""Any metric, group by group, on plain arrays: what a notebook asks for beside the measures of `fairness`.

    frame = groupwise(accuracy, label, predicted, group, names=("red", "green", "blue"))
    frame.by_group, frame.difference(), print(frame)

Differences and ratios are defined as in fairlearn's MetricFrame, and the tests compare with it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxloop.types import UNKNOWN_GROUP, Array

METHODS = ("between_groups", "to_overall")


class Frame(NamedTuple):
    """Metrics of all images and of each group.

    count: {group: images}.
    overall: {metric: value over all images, those of unknown group too}.
    by_group: {group: {metric: value}}; NaN for a group with no image, which can only be one that `names` lists.
    """

    count: dict[str, int]
    overall: dict[str, float]
    by_group: dict[str, dict[str, float]]

    def group_min(self) -> dict[str, float]:
        """{metric: the least value of a group}; NaN if a group has none."""
        return {metric: float(np.min(self._values(metric))) for metric in self.overall}

    def group_max(self) -> dict[str, float]:
        """{metric: the greatest value of a group}; NaN if a group has none."""
        return {metric: float(np.max(self._values(metric))) for metric in self.overall}

    def difference(self, method: str = "between_groups") -> dict[str, float]:
        """{metric: the largest |difference|}, of two groups or of a group "to_overall". Of accuracy it is MD, eq. (4)."""
        _check(method)
        if method == "between_groups":
            low, high = self.group_min(), self.group_max()
            return {metric: high[metric] - low[metric] for metric in self.overall}
        return {
            metric: float(np.max(np.abs(self._values(metric) - self.overall[metric])))
            for metric in self.overall
        }

    def ratio(self, method: str = "between_groups") -> dict[str, float]:
        """{metric: the smallest ratio}, of two groups or of a group and the whole, the smaller over the larger.

        NaN where the larger of the two is 0. It is a single ratio where DI, eq. (3), is a mean over pairs.
        """
        _check(method)
        ratios = {}
        for metric, whole in self.overall.items():
            values = self._values(metric)
            other = np.max(values) if method == "between_groups" else whole
            low, high = np.minimum(values, other), np.maximum(values, other)
            ratios[metric] = float(
                np.min(np.where(high == 0, np.nan, low / np.where(high == 0, 1, high)))
            )
        return ratios

    def __str__(self) -> str:
        """An aligned table, a row a group and one for all images."""
        heads = ["group", "images", *self.overall]
        lines = [
            [name, str(self.count[name]), *(f"{value:.4f}" for value in row.values())]
            for name, row in self.by_group.items()
        ]
        lines.append(["all", "", *(f"{value:.4f}" for value in self.overall.values())])
        widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(len(heads))]
        return "\n".join(
            "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
            for line in (heads, *lines)
        )

    def _values(self, metric: str) -> np.ndarray:
        return np.array([row[metric] for row in self.by_group.values()], float)


def groupwise(
    metrics: Callable | Mapping[str, Callable],
    label: Array,
    predicted: Array,
    group: Array,
    names: Sequence[str] | None = None,
) -> Frame:
    """Every metric over all images and over each group. On the host.

    Args:
      metrics: a function (label [k], predicted [k]) -> number, or several by name: `accuracy`, scikit-learn's, one's own.
      label, predicted: [n], the true and the predicted class, of any type that the metrics take.
      group: [n], of anything that sorts (numbers, names). UNKNOWN_GROUP (-1) leaves an image out of the groups.
      names: what groups 0 .. G-1 are called, where `group` holds integers; a group without an image is then NaN. None: the
        groups are those that occur, by their own name.

    Raises:
      ValueError: the arrays differ in length, are no vectors, or hold a group that `names` does not name; two names are alike;
        there is no image, or none of known group.
    """
    label, predicted, group = (np.asarray(x) for x in (label, predicted, group))
    for name, value in {"label": label, "predicted": predicted, "group": group}.items():
        if value.ndim != 1 or len(value) != len(label):
            raise ValueError(
                f"{name} must be a vector as long as label; its shape is {value.shape}"
            )
    chosen = (
        metrics
        if isinstance(metrics, Mapping)
        else {getattr(metrics, "__name__", "metric"): metrics}
    )
    if names is not None and len(set(names)) < len(names):
        raise ValueError(f"names must differ from each other; they are {tuple(names)}")
    rows = _rows(group, names)
    if not rows:
        raise ValueError("group must hold at least one image of known group")

    def measured(here: np.ndarray) -> dict[str, float]:
        return {
            m: float(f(label[here], predicted[here])) if here.any() else np.nan
            for m, f in chosen.items()
        }

    return Frame(
        count={name: int(here.sum()) for name, here in rows.items()},
        overall=measured(np.ones(len(label), bool)),
        by_group={name: measured(here) for name, here in rows.items()},
    )


def accuracy(label: Array, predicted: Array) -> float:
    """The share of images whose predicted class is the true one, eq. (1)."""
    return float(np.mean(np.asarray(label) == np.asarray(predicted)))


def _rows(group: np.ndarray, names: Sequence[str] | None) -> dict[str, np.ndarray]:
    """{name: which images}, bool [n], in order."""
    if names is None:
        return {str(value): group == value for value in np.unique(group) if value != UNKNOWN_GROUP}
    beyond = [
        value
        for value in np.unique(group)
        if value != UNKNOWN_GROUP and value not in range(len(names))
    ]
    if beyond:
        raise ValueError(
            f"group must be in 0 .. {len(names) - 1}, as names has it; it holds {beyond[0]}"
        )
    return {name: group == i for i, name in enumerate(names)}


def _check(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")

"""Two measures of bias, each as a value and as what every test image contributes to it.

Both are 0 on average where no subgroup is treated worse than another, whatever the accuracy:

- *alignment gap*: accuracy on test images of their class's commonest subgroup in the training data
  (bias-aligned) less accuracy on its other images (bias-conflicting), within a class, then averaged
  over classes. It can be negative.
- *rank gap in excess*: best less worst rank of eq. (5), less its chance level.
"""

from typing import NamedTuple

import numpy as np

ALIGNMENT, RANK = "alignment_gap", "rank_gap_excess"
ALIGNED, CONFLICTING = 0, 1
# Subgroups whose shares in a class differ by less are balanced: how they were drawn.
UNBALANCED = 0.05
# Of fewer test images on a side of a class, or of a subgroup, their own luck cannot be estimated.
FEWEST = 3


class Gap(NamedTuple):
    """A measure of right or wrong predictions [... n].

    value: float [...]; NaN where the classifier diverged or the measure does not exist.
    contribution: float [... n]. They add up to the value (alignment gap), or are its first-order
      change with an image (rank gap).
    stratum: int [n], among whose images the choice of test images is random; -1: not used.
    """

    value: np.ndarray
    contribution: np.ndarray
    stratum: np.ndarray


def sides(label: np.ndarray, group: np.ndarray, train_cells: np.ndarray) -> np.ndarray:
    """Return ALIGNED, CONFLICTING, or -1 of each test image, int [n].

    Args:
      label, group: int [n].
      train_cells: int [L G], training images. A class has sides where its commonest subgroup leads
        the rarest by more than UNBALANCED of the class, of subgroups with training or test images.
    """
    cells = np.asarray(train_cells)
    total, commonest = cells.sum(axis=1), cells.argmax(axis=1)
    exists = cells > 0
    exists[label[group >= 0], group[group >= 0]] = True
    rarest = np.where(exists, cells, cells.max(axis=1, keepdims=True)).min(axis=1)
    uneven = cells.max(axis=1) - rarest > UNBALANCED * total
    side = np.where(group == commonest[label], ALIGNED, CONFLICTING)
    return np.where((group >= 0) & uneven[label], side, -1)


def few(label: np.ndarray, part: np.ndarray, num_classes: int) -> np.ndarray:
    """Return bool [L]: the classes that have a part of 1 to FEWEST - 1 test images.

    part: int [n], a side or subgroup; -1: none.
    """
    sizes = np.zeros((num_classes, int(part.max(initial=0)) + 1), int)
    np.add.at(sizes, (label[part >= 0], part[part >= 0]), 1)
    return np.asarray(((sizes > 0) & (sizes < FEWEST)).any(axis=1))


def alignment(right: np.ndarray, label: np.ndarray, side: np.ndarray) -> Gap:
    """Return the alignment gap.

    Args:
      right: float [... n], 1 right, 0 wrong, NaN unknown.
      side: as `sides` returns it. A class without test images on both sides is left out.
    """
    size = np.zeros((label.max() + 1, 2))
    np.add.at(size, (label[side >= 0], side[side >= 0]), 1)
    both = np.asarray((size > 0).all(axis=1))
    used = (side >= 0) & both[label]
    weight = np.zeros(len(label))
    sign = np.where(side == ALIGNED, 1.0, -1.0)
    weight[used] = sign[used] / size[label[used], side[used]] / max(both.sum(), 1)
    contribution = right * weight
    value = contribution.sum(axis=-1) if used.any() else np.full(right.shape[:-1], np.nan)
    return Gap(value, contribution, np.where(used, 2 * label + side, -1))


def rank_excess(right: np.ndarray, label: np.ndarray, group: np.ndarray, levels) -> Gap:
    """Return the rank gap in excess of its chance level.

    Args:
      right: float [... n], 1 right, 0 wrong, NaN unknown.
      levels: float [L N+1], of `chance.rank_levels`. A class whose levels are NaN is left out.
    """
    levels = np.asarray(levels, float)
    complete, num_classes = np.isfinite(levels[:, 0]), len(levels)
    if not complete.any():
        return Gap(np.full(right.shape[:-1], np.nan), right * 0, np.full(len(label), -1))
    num_groups = int(group.max()) + 1
    used = (group >= 0) & complete[label]
    cell = np.where(used, label * num_groups + group, -1)
    one_hot = (cell[:, None] == np.arange(num_classes * num_groups)).astype(float)
    total = one_hot.sum(axis=0).reshape(num_classes, num_groups)
    correct = (np.nan_to_num(right) @ one_hot).reshape(*right.shape[:-1], num_classes, num_groups)
    accuracy = np.where(complete[:, None], correct / np.maximum(total, 1), 0)
    best, worst = accuracy.argmax(axis=-1), accuracy.argmin(axis=-1)  # [... L]
    hits = np.rint(correct.sum(axis=-1)).astype(int)
    largest = total.sum(axis=-1).astype(int)
    rows = np.arange(num_classes)
    above, below = np.minimum(hits + 1, largest), np.maximum(hits - 1, 0)
    slope = (levels[rows, above] - levels[rows, below]) / np.maximum(above - below, 1)
    gap = accuracy.max(axis=-1) - accuracy.min(axis=-1) - levels[rows, hits]
    value = np.where(complete, gap, 0).sum(axis=-1) / complete.sum()
    value = np.where(np.isnan(right).any(axis=-1), np.nan, value)
    size = total[label, np.where(used, group, 0)]
    weight = (group == best[..., label]) / np.maximum(size, 1)
    weight = weight - (group == worst[..., label]) / np.maximum(size, 1)
    weight = np.where(used, weight - np.nan_to_num(slope)[..., label], 0) / complete.sum()
    return Gap(value, right * weight, cell)


def levels_of(label: np.ndarray, group: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the chance levels that `rank_excess` takes, of a test set with shape (L, G)."""
    from jaxloop.metrics import chance  # JAX takes seconds to import: not before it is needed

    return np.asarray(chance.rank_levels(chance.permuted(label, group, *shape)))

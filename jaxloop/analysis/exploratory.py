"""All gaps beside their chance levels, by generation and arm: to look at, without verdicts."""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from jaxloop import statistics
from jaxloop.analysis import answers
from jaxloop.analysis.answers import Tables
from jaxloop.analysis.gaps import ALIGNMENT
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import CONFIDENCE

LOOP = "loop"
TITLES = {
    ALIGNMENT: "alignment gap",
    "rank_gap": "rank gap (eq. 5, best − worst)",
    "relative_worst": "worst subgroup below the mean of ranks (eq. 5)",
    "mean_gap_per_class": "mean gap within classes (1 − MEO)",
    "largest_gap_per_class": "largest gap within classes (MD)",
    "impact_gap_per_class": "disparate-impact gap within classes (1 − DI)",
    "mean_gap": "mean gap, pooled (1 − MEO)",
    "largest_gap": "largest gap, pooled (MD)",
    "impact_gap": "disparate-impact gap, pooled (1 − DI)",
}


class Row(NamedTuple):
    """A gap of a classifier in an arm and generation: means over seeds, NaN where there is none.

    chance: its chance level; 0 for the alignment gap, which has a sign.  excess: value less chance.
    chance_half: half-width of the interval in which the mean over seeds is by chance in 95 % of
      permutations, each seed permuted by itself.
    half: half-width of the excess's t interval over seeds; None without one.
    """

    classifier: str
    arm: str
    measure: str
    generation: int
    value: float
    chance: float
    chance_half: float
    excess: float
    half: float | None
    num_seeds: int


def gaps(run: Run) -> list[Row]:
    """Return all gaps, in the order of TITLES, by classifier and arm."""
    from jaxloop.metrics import chance  # JAX takes seconds to import: not before it is needed

    both = answers.arms(run)
    if both is None:
        return []
    shape = len(run.class_names), len(run.group_names)
    permuted = chance.permuted(both.loop.label, both.loop.group, *shape)
    arms = {LOOP: both.loop} | ({answers.NO_LOOP: both.without} if both.without else {})
    return [
        row
        for name in both.loop.right
        for arm, tables in arms.items()
        if name in tables.right
        for row in _rows(tables, name, arm, permuted)
    ]


def _rows(tables: Tables, name: str, arm: str, permuted) -> list[Row]:
    values, levels, deviations = _measured(tables, name, permuted)
    values[ALIGNMENT] = tables.gap(name, ALIGNMENT).value
    levels[ALIGNMENT] = deviations[ALIGNMENT] = np.zeros_like(values[ALIGNMENT])
    rows = []
    for measure in TITLES:
        value, level = values[measure], levels[measure]
        for g in range(value.shape[1]):
            ends = [statistics.estimate(x[:, g].tolist()) for x in (value, level, value - level)]
            a, b, c = (np.nan if e.mean is None else e.mean for e in ends)
            half, num = ends[2].half_width or None, ends[2].num
            variance = np.nansum(deviations[measure][:, g] ** 2) / max(num, 1) ** 2
            by_chance = float(norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(variance))
            rows.append(Row(name, arm, measure, g, a, b, by_chance, c, half, num))
    return rows


def _measured(tables: Tables, name: str, permuted) -> list[dict]:
    """Return {measure: float [S T]}: the gaps, their chance levels and deviations from these."""
    from jaxloop.metrics import chance

    right, total = tables.right[name], np.asarray(permuted.total)
    num_classes, num_groups = total.shape
    cell = np.where(tables.group >= 0, tables.label * num_groups + tables.group, -1)
    one_hot = (cell[:, None] == np.arange(num_classes * num_groups)).astype(np.float32)
    correct = (np.nan_to_num(right) @ one_hot).reshape(*right.shape[:2], num_classes, num_groups)
    diverged = np.isnan(right).any(axis=-1)
    found = chance.values(permuted, correct), *chance.levels(permuted, correct)
    return [
        {m: np.where(diverged, np.nan, np.asarray(v, float)) for m, v in one.items()}
        for one in found
    ]

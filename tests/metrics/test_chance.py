"""Chance levels against permuting the labels of the test set one by one."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import chance
from jaxloop.metrics.counts import Counts, count


def test_set(sizes, seed=0):
    label, group = (np.repeat(i.ravel(), np.ravel(sizes)) for i in np.indices(np.shape(sizes)))
    order = np.random.default_rng(seed).permutation(len(label))
    return label[order], group[order]


test_set.__test__ = False
SIZES = np.array([[12, 9, 5], [20, 20, 20], [7, 11, 13]])


def test_levels_are_means_over_permutations_within_classes():
    label, group = test_set(SIZES)
    right = np.random.default_rng(1).random(len(label)) < 0.8
    correct = count(right, label, group, 3, 3).correct
    found, spread = chance.levels(chance.permuted(label, group, 3, 3, num=4000), correct)
    rng, drawn = np.random.default_rng(2), []
    for _ in range(2000):
        mixed = group.copy()
        for c in range(3):
            mixed[label == c] = rng.permutation(group[label == c])
        drawn.append(
            {k: float(v) for k, v in chance.gaps(count(right, label, mixed, 3, 3)).items()}
        )
    for name, level in found.items():
        values = np.array([one[name] for one in drawn])
        # Both are means of 2,000 draws or more: four standard errors of their difference.
        tolerance = 4 * values.std() * np.sqrt(1 / 2000 + 1 / 4000)
        assert float(level) == pytest.approx(values.mean(), abs=tolerance), name
        # Of 2,000 draws a standard deviation errs by 2 % (normal), here by less than 8 %.
        assert float(spread[name]) == pytest.approx(values.std(), rel=0.08), name


def test_a_gap_without_bias_is_at_its_chance_level_and_a_planted_one_above():
    label, group = test_set(np.full((10, 3), 12))
    permuted = chance.permuted(label, group, 10, 3)
    rng, excess = np.random.default_rng(0), []
    for _ in range(200):
        counted = count(rng.random(len(label)) < 0.9, label, group, 10, 3)
        level = chance.levels(permuted, counted.correct)[0]
        excess.append(
            [float(chance.gaps(counted)[m] - level[m]) for m in ("largest_gap", "rank_gap")]
        )
    errors = np.std(excess, axis=0) / np.sqrt(200)
    assert (np.abs(np.mean(excess, axis=0)) < 4 * errors + 0.002).all()  # 200 permutations
    planted = count(rng.random(len(label)) < 0.95 - 0.3 * (group == 2), label, group, 10, 3)
    level = chance.levels(permuted, planted.correct)[0]["largest_gap"]
    assert chance.gaps(planted)["largest_gap"] > level + 0.1


def test_gaps_of_equal_accuracies_are_zero():
    total = jnp.full((2, 3), 8)
    found = chance.gaps(Counts(total // 2, total, jnp.int32(24), jnp.int32(48)))
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in found.values())


def test_levels_take_any_leading_axes():
    label, group = test_set(SIZES)
    permuted = chance.permuted(label, group, 3, 3)
    correct = np.stack([SIZES // 2, SIZES])[:, None]
    found, _ = chance.levels(permuted, jnp.asarray(correct))
    assert found["rank_gap"].shape == (2, 1) and abs(float(found["rank_gap"][1, 0])) < 1e-6
    assert found["rank_gap"][0, 0] > 0.1


def test_rank_levels_are_zero_at_both_ends_and_nan_without_a_subgroup():
    sizes = np.array([[6, 6], [12, 0]])
    levels = np.asarray(chance.rank_levels(chance.permuted(*test_set(sizes), 2, 2)))
    assert levels.shape == (2, 13) and np.isnan(levels[1]).all()
    assert levels[0, 0] == levels[0, 12] == 0 and (levels[0, 1:12] > 0).all()
    # One right of 12 is in one of the two subgroups: a gap of 1/6.
    assert levels[0, 1] == pytest.approx(1 / 6)

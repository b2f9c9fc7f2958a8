"""The two measures of bias: values by hand, contributions against their definitions."""

import numpy as np
import pytest

from jaxloop.analysis import gaps

# Class 0 prefers subgroup 0, class 1 subgroup 1; class 2 is balanced.
TRAIN = np.array([[80, 10, 10], [10, 80, 10], [34, 33, 33]])
LABEL = np.repeat([0, 1, 2], 6)
GROUP = np.tile([0, 0, 1, 1, 2, 2], 3)


def test_sides():
    side = gaps.sides(LABEL, GROUP, TRAIN)
    assert side[:6].tolist() == [0, 0, 1, 1, 1, 1]
    assert side[6:12].tolist() == [1, 1, 0, 0, 1, 1]
    assert (side[12:] == -1).all()
    assert gaps.sides(LABEL, np.where(GROUP == 2, -1, GROUP), TRAIN)[:6].tolist() == [
        0,
        0,
        1,
        1,
        -1,
        -1,
    ]


def test_a_class_of_one_training_subgroup_has_sides_where_the_test_set_has_others():
    train = np.array([[100, 0, 0], [10, 80, 10], [34, 33, 33]])
    assert gaps.sides(LABEL, GROUP, train)[:6].tolist() == [0, 0, 1, 1, 1, 1]
    seen = GROUP[:6] == 0
    assert (gaps.sides(LABEL[:6][seen], GROUP[:6][seen], train) == -1).all()


def test_alignment_gap_by_hand():
    right = np.ones(18)
    right[[2, 3]] = 0  # class 0: two of four conflicting wrong
    right[8] = 0  # class 1: one of two aligned wrong
    gap = gaps.alignment(right, LABEL, gaps.sides(LABEL, GROUP, TRAIN))
    assert gap.value == pytest.approx(((1 - 0.5) + (0.5 - 1)) / 2)
    assert gap.contribution.sum() == pytest.approx(gap.value)
    assert (gap.stratum[12:] == -1).all() and len(set(gap.stratum[:12])) == 4


def test_a_pooled_measure_is_blind_to_what_the_alignment_gap_sees():
    """Each colour is the majority of one class: pooled accuracies are equal, the gap is 0.2."""
    label, group = np.repeat([0, 1, 2], 300), np.arange(900) % 3
    train = np.full((3, 3), 10) + 70 * np.eye(3, dtype=int)
    wrong = np.random.default_rng(0).random(900) < np.where(group == label, 0.0, 0.2)
    right = 1.0 - wrong
    pooled = [right[group == g].mean() for g in range(3)]
    assert np.ptp(pooled) < 0.06
    value = gaps.alignment(right, label, gaps.sides(label, group, train)).value
    assert value == pytest.approx(0.2, abs=0.04)  # two standard errors of 600 images


def test_a_class_without_conflicting_test_images_is_left_out():
    side = gaps.sides(LABEL, GROUP, TRAIN)
    kept = ~((LABEL == 0) & (side == 1))
    right = np.ones(18)
    right[8] = 0
    gap = gaps.alignment(right[kept], LABEL[kept], side[kept])
    assert gap.value == pytest.approx(0.5 - 1)


def test_balanced_data_have_no_alignment_gap():
    side = gaps.sides(LABEL, GROUP, np.full((3, 3), 10))
    assert (side == -1).all()
    assert np.isnan(gaps.alignment(np.ones((2, 18)), LABEL, side).value).all()


def test_rank_excess_is_the_gap_less_its_level():
    levels = gaps.levels_of(LABEL, GROUP, (3, 3))
    right = np.ones(18)
    right[[0, 1]] = 0  # class 0: its first subgroup at 0, the others at 1
    gap = gaps.rank_excess(right, LABEL, GROUP, levels)
    assert gap.value == pytest.approx((1 - levels[0, 4]) / 3)
    assert gaps.rank_excess(np.ones(18), LABEL, GROUP, levels).value == 0


def test_contributions_of_the_rank_gap_are_its_change_with_an_image():
    """Where one image of a large set turns wrong, the value moves by minus its contribution."""
    label, group = (i.ravel() for i in np.indices((2, 600)))
    group = group % 3
    levels = gaps.levels_of(label, group, (2, 3))
    rng = np.random.default_rng(0)
    right = (rng.random(1200) < 0.9 - 0.1 * group).astype(float)
    gap = gaps.rank_excess(right, label, group, levels)
    for image in np.flatnonzero(right)[:60]:
        turned = right.copy()
        turned[image] = 0
        change = gaps.rank_excess(turned, label, group, levels).value - gap.value
        # The level is a table from 200 permutations: a twentieth of the largest change, 1 / 400.
        assert change == pytest.approx(-gap.contribution[image], abs=1 / 400 / 20)


def test_a_diverged_classifier_has_no_value():
    right = np.ones((2, 18))
    right[1] = np.nan
    levels = gaps.levels_of(LABEL, GROUP, (3, 3))
    for gap in (
        gaps.alignment(right, LABEL, gaps.sides(LABEL, GROUP, TRAIN)),
        gaps.rank_excess(right, LABEL, GROUP, levels),
    ):
        assert np.isfinite(gap.value[0]) and np.isnan(gap.value[1])


def test_classes_with_too_few_test_images_of_a_part_are_named():
    """One or two images of a part are too few, none is not: there is nothing to estimate."""
    label, group = np.repeat([0, 1, 2], 6), np.array([0, 0, 0, 1, 1, 1] + [0] * 5 + [1] + [0] * 6)
    assert gaps.few(label, group, 4).tolist() == [False, True, False, False]
    unknown = np.where(label == 1, -1, group)
    assert not gaps.few(label, unknown, 4).any()

"""Why a measure does not exist, what a mean leaves out, and which images are in which group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import counts as C
from jaxloop.metrics import fairness as F
from jaxloop.records import CAVEATS, REASONS
from tests.metrics.test_fairness import SEEDS, random_set


def counts_from(correct, total):
    correct, total = np.array(correct, np.int32), np.array(total, np.int32)
    return C.Counts(*(jnp.asarray(x) for x in (correct, total, correct.sum(), total.sum())))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reason_for_every_missing_value_and_no_other(seed):
    counts = C.count(*random_set(seed))
    values, reasons, caveats = F.from_counts(counts), F.reasons(counts), F.caveats(counts)
    assert reasons.keys() == {name for name, value in values.items() if jnp.isnan(value).any()}
    assert set(reasons.values()) <= REASONS.keys() and set(caveats.values()) <= CAVEATS.keys()
    classes = (np.asarray(counts.total) > 0).all(axis=1)
    means = {*F.PER_CLASS, "acc_rank"} if classes.any() and not classes.all() else set()
    assert caveats.keys() == means - reasons.keys()


def test_codes_by_hand():
    """Class 0 has a group of accuracy 0, class 2 lacks a group."""
    counts = counts_from([[2, 0], [1, 1], [3, 0]], [[2, 1], [1, 2], [4, 0]])
    assert F.reasons(counts) == {
        "di_per_class": "zero_accuracy",
        "class_group_accuracy": "empty_cell",
    }
    left_out = ("meo_per_class", "md_per_class", "acc_rank")
    assert F.caveats(counts) == dict.fromkeys(left_out, "classes_left_out")


@pytest.mark.parametrize(
    ("correct", "total", "measure", "code"),
    [
        ([[0, 1]], [[3, 1]], "di", "zero_accuracy"),
        ([[1, 0, 0]], [[1, 0, 0]], "di", "empty_cell"),
        ([[1, 0, 0]], [[1, 0, 0]], "group_accuracy", "empty_cell"),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], "acc_rank", "empty_cell"),
        ([[1]], [[2]], "md", "one_group"),
        ([[1], [0]], [[2], [0]], "di_per_class", "one_group"),
        ([[0, 0]], [[0, 0]], "accuracy", "no_images"),
        ([[0, 0]], [[0, 0]], "md_per_class", "empty_cell"),
    ],
)
def test_code_of_one_measure(correct, total, measure, code):
    assert F.reasons(counts_from(correct, total))[measure] == code


def test_no_code_where_nothing_is_missing():
    counts = counts_from([[1, 1]], [[2, 2]])
    assert F.reasons(counts) == F.caveats(counts) == {}


# What groups may be; test_vectors.py has the rest.


def test_without_their_number_groups_are_those_that_occur():
    correct = [1, 0, 1, 1]
    for group in (
        [0, 0, 7, 7],
        [-1, -1, 1, 1],
        ["red", "red", "blue", "blue"],
        [0.5, 0.5, 0.7, 0.7],
    ):
        assert F.md(correct, group) == F.md(correct, np.array(group, object)) == 0.5
        np.testing.assert_array_equal(
            F.ranked_accuracy(correct, [3, 3, 3, 3], group), np.float32([0.5, 1])
        )
    assert jnp.isnan(F.md(correct, [0, 0, 7, 7], 8))


def test_minus_one_is_a_group_unless_it_is_said_to_be_unknown():
    correct, group = [1, 0, 1, 1, 0], [-1, -1, 1, 1, 0]
    np.testing.assert_allclose(F.md(correct, group), 1.0)
    np.testing.assert_allclose(F.md(correct[:4], group[:4]), 0.5)
    assert jnp.isnan(F.md(correct[:4], group[:4], unknown=-1)), "a single group is left"
    np.testing.assert_allclose(F.md(correct, group, 2, unknown=-1), 1.0)
    with pytest.raises(ValueError, match="^group must be in 0"):
        F.md(correct, group, 2)
    jitted = jax.jit(F.md, static_argnames=("num_groups", "unknown"))
    np.testing.assert_allclose(
        jitted(np.array(correct), np.array(group), num_groups=2, unknown=-1), 1.0
    )
    masked = np.array(group) != -1
    np.testing.assert_allclose(F.md(np.array(correct)[masked], np.array(group)[masked]), 1.0)


def test_inside_jit_the_number_of_groups_must_be_given():
    with pytest.raises(ValueError, match="num_groups"):
        jax.jit(F.meo)(jnp.ones(4, bool), jnp.zeros(4, jnp.int32))

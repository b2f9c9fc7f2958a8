"""Counts are integers, so every comparison here is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import counts as C
from jaxloop.types import UNKNOWN_GROUP


def images(seed, n, num_classes, num_groups):
    """Random (correct, label, group); some groups unknown, some out of range."""
    rng = np.random.default_rng(seed)
    group = rng.integers(UNKNOWN_GROUP, num_groups + 1, n).astype(np.int32)
    return rng.random(n) < 0.6, rng.integers(0, num_classes, n).astype(np.int32), group


def by_hand(correct, label, group, num_classes, num_groups):
    right, total = np.zeros((2, num_classes, num_groups), int)
    for c, y, g in zip(correct, label, group, strict=True):
        if 0 <= g < num_groups and 0 <= y < num_classes:
            total[y, g] += 1
            right[y, g] += c
    return C.Counts(right, total, sum(map(int, correct)), len(correct))


def assert_same(a, b):
    for name, left, right in zip(C.Counts._fields, a, b, strict=True):
        np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("num_classes", "num_groups"), [(1, 1), (3, 2), (10, 5)])
def test_count_is_the_loop_by_hand(seed, num_classes, num_groups):
    data = images(seed, 97, num_classes, num_groups)
    got = C.count(*data, num_classes, num_groups)
    assert_same(got, by_hand(*data, num_classes, num_groups))
    assert all(x.dtype == jnp.int32 for x in got)


def test_unknown_group_is_in_no_cell_but_in_the_accuracy():
    got = C.count(
        np.array([True, False, True]), np.array([0, 1, 1]), np.array([UNKNOWN_GROUP, 2, 0]), 2, 2
    )
    np.testing.assert_array_equal(got.total, [[0, 0], [1, 0]])
    assert (int(got.all_correct), int(got.all_total)) == (2, 3)


def test_label_out_of_range_is_in_no_cell():
    got = C.count(np.ones(2, bool), np.array([-1, 2]), np.array([1, 0]), 2, 2)
    assert int(got.total.sum()) == 0 and int(got.all_total) == 2


def test_narrow_integers_do_not_overflow():
    got = C.count(np.ones(1, bool), np.array([99], np.uint8), np.array([4], np.int8), 100, 5)
    assert int(got.total[99, 4]) == 1


def test_parts_merge_to_the_whole_in_any_order():
    data = images(1, 60, 4, 3)
    whole = by_hand(*data, 4, 3)
    a, b, c = (
        C.count(*(x[part] for x in data), 4, 3)
        for part in (slice(0, 7), slice(7, 30), slice(30, 60))
    )
    assert_same(C.merge(C.merge(a, b), c), whole)
    assert_same(C.merge(a, C.merge(b, c)), whole)
    assert_same(C.merge(C.merge(c, a), b), whole)
    assert_same(C.merge(C.empty(4, 3), a), a)


def test_merge_refuses_other_shapes():
    with pytest.raises(ValueError, match="differ in shape"):
        C.merge(C.empty(2, 3), C.empty(3, 2))


def test_no_images():
    nothing = C.count(np.zeros(0, bool), np.zeros(0, np.int32), np.zeros(0, np.int32), 2, 3)
    assert_same(nothing, C.empty(2, 3))


def test_vmap_over_seeds_equals_one_by_one():
    seeds = [images(seed, 40, 3, 2) for seed in range(4)]
    together = jax.vmap(lambda *x: C.count(*x, 3, 2))(
        *(np.stack(x) for x in zip(*seeds, strict=True))
    )
    for seed, data in enumerate(seeds):
        assert_same(jax.tree.map(lambda x, s=seed: x[s], together), by_hand(*data, 3, 2))


FLAGS, NUMBERS = np.ones(3, bool), np.zeros(3, int)
GOOD = {"correct": FLAGS, "label": NUMBERS, "group": NUMBERS}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("correct", FLAGS[:, None], "correct must be a vector"),
     ("label", NUMBERS[:, None], "label must be a vector"), ("group", NUMBERS[:2], "group must be"),
     ("correct", NUMBERS, "correct must be bool")],
)  # fmt: skip
def test_refusals_name_the_argument(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        C.count(**(GOOD | {name: value}), num_classes=1, num_groups=1)


def test_empty_refuses_no_groups():
    with pytest.raises(ValueError, match="num_groups"):
        C.empty(2, 0)

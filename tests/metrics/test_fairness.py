"""Eqs. (1)-(5) against double loops in float64, and eq. (4) against fairlearn.

Tolerance 2e-6 absolute for values in [0, 1]: float32 keeps 6e-8, and some tens of operations
follow. DI is a mean of ratios up to about 50, so it is compared relative to its size, at 2e-6 as
well.
"""

import math
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import counts as C
from jaxloop.metrics import fairness as F
from jaxloop.types import UNKNOWN_GROUP

TOLERANCE = 2e-6


def close(got, want, err_msg=""):
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE, err_msg=err_msg)


# The equations, written down plainly.


def accuracy_of(correct, chosen):
    hits = [bool(c) for c, here in zip(correct, chosen, strict=True) if here]
    return sum(hits) / len(hits) if hits else math.nan


def loop_meo(acc):
    gaps = [abs(a - b) for a, b in combinations(acc, 2)]
    return 1 - sum(gaps) / math.comb(len(acc), 2) if gaps else math.nan


def loop_di(acc):
    total = 0.0
    for i in range(len(acc)):
        for j in range(len(acc)):
            if i != j:
                total += abs(acc[i] / acc[j] - 1) / 2 if acc[j] != 0 else math.nan
    return 1 - total / math.comb(len(acc), 2) if len(acc) > 1 else math.nan


def loop_md(acc):
    gaps = [abs(a - b) for a, b in combinations(acc, 2)]
    return math.nan if not gaps or any(map(math.isnan, gaps)) else max(gaps)


def group_accuracies(correct, group, num_groups):
    return [accuracy_of(correct, group == g) for g in range(num_groups)]


def loop_classes(correct, label, group, num_classes, num_groups):
    """Accuracies [G] of every class that has all groups."""
    rows = [
        group_accuracies(correct[label == y], group[label == y], num_groups)
        for y in range(num_classes)
    ]
    return [row for row in rows if not any(map(math.isnan, row))]


def loop_mean(values):
    return sum(values) / len(values) if values else math.nan


def loop_rank(rows, num_groups):
    return [loop_mean([sorted(row)[k] for row in rows]) for k in range(num_groups)]


def random_set(seed):
    """Random images with G in 2..6 of very unequal size, some empty; sometimes all correct or all
    wrong; some unknown."""
    rng = np.random.default_rng(seed)
    num_classes, num_groups = 1 + 2 * (seed % 2), 2 + seed % 5
    weight = rng.dirichlet(np.full(num_groups, 0.7 if seed % 3 else 50))
    n = (12, 60, 300)[seed // 5 % 3]  # few sizes, as each compiles anew
    label = rng.integers(0, num_classes, n)
    group = rng.choice(num_groups, n, p=weight)
    group[rng.random(n) < 0.05] = UNKNOWN_GROUP
    chance = {0: np.zeros(num_groups), 1: np.ones(num_groups)}.get(
        seed % 11, rng.random(num_groups)
    )
    return rng.random(n) < chance[group], label, group, num_classes, num_groups


SEEDS = range(45)


@pytest.mark.parametrize("seed", SEEDS)
def test_plain_functions_equal_the_loops(seed):
    correct, label, group, num_classes, num_groups = random_set(seed)
    acc = group_accuracies(correct, group, num_groups)
    for measure, loop in ((F.meo, loop_meo), (F.di, loop_di), (F.md, loop_md)):
        close(measure(correct, group, num_groups, UNKNOWN_GROUP), loop(acc))
    rank = F.ranked_accuracy(correct, label, group, num_classes, num_groups, UNKNOWN_GROUP)
    close(rank, loop_rank(loop_classes(correct, label, group, num_classes, num_groups), num_groups))


@pytest.mark.parametrize("seed", SEEDS)
def test_from_counts_equals_the_loops(seed):
    correct, label, group, num_classes, num_groups = data = random_set(seed)
    acc = group_accuracies(correct, group, num_groups)
    rows = loop_classes(*data)
    want = {
        "accuracy": accuracy_of(correct, np.ones(len(correct), bool)),
        "meo": loop_meo(acc),
        "di": loop_di(acc),
        "md": loop_md(acc),
        "meo_per_class": loop_mean([loop_meo(row) for row in rows]),
        "di_per_class": loop_mean([loop_di(row) for row in rows]),
        "md_per_class": loop_mean([loop_md(row) for row in rows]),
        "acc_rank": loop_rank(rows, num_groups),
        "group_accuracy": acc,
        "class_group_accuracy": [
            group_accuracies(correct[label == y], group[label == y], num_groups)
            for y in range(num_classes)
        ],
    }
    got = F.from_counts(C.count(*data))
    assert got.keys() == want.keys()
    for name in want:
        close(got[name], want[name], err_msg=name)


def test_the_random_sets_hold_what_they_promise():
    """Otherwise the comparisons above could pass on NaN alone, or never see one."""
    values = [F.from_counts(C.count(*random_set(seed))) for seed in SEEDS]
    for name in ("meo", "di", "md", "meo_per_class", "di_per_class", "acc_rank"):
        missing = sum(bool(jnp.isnan(v[name]).any()) for v in values)
        assert 3 <= missing <= len(SEEDS) - 15, name
    assert {random_set(seed)[4] for seed in SEEDS} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("seed", SEEDS)
def test_md_equals_fairlearn(seed):
    """fairlearn knows only groups that occur, as `md` does without their number."""
    metrics = pytest.importorskip("fairlearn.metrics")
    correct, _, group, _, num_groups = random_set(seed)
    correct, group = correct[group != UNKNOWN_GROUP], group[group != UNKNOWN_GROUP]
    present = np.unique(group)
    if len(present) < num_groups:
        assert jnp.isnan(F.md(correct, group, num_groups))
    if len(present) < 2:  # fairlearn's difference is 0 where ours does not exist
        assert jnp.isnan(F.md(correct, group))
        return
    frame = metrics.MetricFrame(
        metrics=lambda truth, said: float(np.mean(truth == said)),
        y_true=np.ones(len(correct), int),
        y_pred=correct.astype(int),
        sensitive_features=group,
    )
    close(F.md(correct, group), frame.difference(method="between_groups"))


# Worked examples, so that the loops above are checked too.


def test_worked_example():
    """Accuracies 1, 1/2, 1/4: gaps 1/2, 3/4, 1/4; ratios off by (1 + 1/2)/2, (3 + 3/4)/2, (1 +
    1/2)/2."""
    correct = [True, True, True, False, True, False, False, False]
    group = [0, 0, 1, 1, 2, 2, 2, 2]
    close(F.meo(correct, group, 3), 1 - (0.5 + 0.75 + 0.25) / 3)
    close(F.di(correct, group, 3), 1 - (0.75 + 1.875 + 0.75) / 3)
    close(F.md(correct, group, 3), 0.75)


def test_ranked_worked_example():
    """Class 0 has accuracies (1, 0), class 1 has (1/2, 1): the worst rank is the mean of 0 and
    1/2."""
    correct, label, group = [1, 0, 1, 0, 1], [0, 0, 1, 1, 1], [0, 1, 0, 0, 1]
    close(F.ranked_accuracy(correct, label, group, 2, 2), [0.25, 1.0])


def test_class_without_a_group_is_left_out_of_the_ranks():
    correct, label, group = [1, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 0]
    close(F.ranked_accuracy(correct, label, group, 2, 2), [0.0, 1.0])
    assert jnp.isnan(F.ranked_accuracy(correct, label, group, 2, 3)).all()


@pytest.mark.parametrize("num_groups", [2, 3, 6])
def test_all_correct_and_all_wrong(num_groups):
    group = np.arange(num_groups * 3) % num_groups
    right, wrong = np.ones(len(group), bool), np.zeros(len(group), bool)
    assert [float(f(right, group, num_groups)) for f in (F.meo, F.di, F.md)] == [1, 1, 0]
    assert [float(f(wrong, group, num_groups)) for f in (F.meo, F.md)] == [1, 0]
    assert jnp.isnan(F.di(wrong, group, num_groups))


@pytest.mark.parametrize("measure", [F.meo, F.di, F.md])
def test_nan_where_there_is_no_value(measure):
    assert jnp.isnan(measure([True, False], [0, 0], 1)), "one group has no pair"
    assert jnp.isnan(measure([True, False], [0, 1], 3)), "group 2 is empty"
    assert jnp.isnan(measure([], [], 2)), "no image"


@pytest.mark.parametrize("measure", [F.meo, F.di, F.md])
def test_lists_numpy_and_jax_give_the_same(measure):
    correct, group = [True, False, True, True], [0, 0, 1, 2]
    want = measure(correct, group, 3)
    assert want.shape == () and jnp.isfinite(want)
    assert measure(np.array(correct), np.array(group), 3) == want
    assert measure(jnp.array(correct), jnp.array(group), 3) == want
    # under jit XLA may order the float operations otherwise
    jitted = jax.jit(measure, static_argnames="num_groups")
    close(jitted(np.array(correct), np.array(group), num_groups=3), want)


@pytest.mark.parametrize("seed", range(4))
def test_order_of_images_and_names_of_groups_do_not_matter(seed):
    correct, _, group, _, num_groups = random_set(3 * seed)
    rng = np.random.default_rng(seed)
    order, rename = rng.permutation(len(group)), rng.permutation(num_groups)
    renamed = np.where(group < 0, group, rename[group])[order]
    for measure in (F.meo, F.di, F.md):
        want = measure(correct, group, num_groups, UNKNOWN_GROUP)
        close(measure(correct[order], renamed, num_groups, UNKNOWN_GROUP), want)


def test_vmap_and_jit_over_seeds_equal_one_by_one():
    rng = np.random.default_rng(0)
    parts = [
        C.count(rng.random(90) < 0.7, rng.integers(0, 3, 90), rng.integers(-1, 2 + s % 2, 90), 3, 3)
        for s in range(4)
    ]
    together = jax.jit(jax.vmap(F.from_counts))(jax.tree.map(lambda *x: jnp.stack(x), *parts))
    for seed, part in enumerate(parts):
        with jax.disable_jit():
            alone = F.from_counts(part)
        for name, value in alone.items():
            close(together[name][seed], value, err_msg=name)
    assert set(np.isnan(together["meo"]).tolist()) == {True, False}


def test_accuracy_counts_images_of_unknown_group():
    correct, group = np.array([True, False, False, False]), np.array([0, -1, -1, 1])
    got = F.from_counts(C.count(correct, np.zeros(4, int), group, 1, 2))
    assert float(got["accuracy"]) == 0.25 and float(got["meo"]) == 0.0


# Refusals.

GOOD = {"correct": [True, False], "label": [0, 1], "group": [0, 1]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("correct", [[True, False]]),
        ("correct", [2, 0]),
        ("correct", [0.5, 1.0]),
        ("label", [0]),
        ("label", [0, 2]),
        ("group", [0, 1, 1]),
        ("group", [0, 2]),
        ("group", [0.0, 1.0]),
        ("group", [[0], [1]]),
    ],
)
def test_bad_input_names_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        F.ranked_accuracy(**(GOOD | {name: value}), num_classes=2, num_groups=2)
    if name != "label":
        plain = {"correct": GOOD["correct"], "group": GOOD["group"]} | {name: value}
        with pytest.raises(ValueError, match=f"^{name} must be"):
            F.meo(**plain, num_groups=2)


def test_no_groups_is_refused():
    with pytest.raises(ValueError, match="^num_groups and"):
        F.md([True], [0], 0)


@pytest.mark.parametrize("function", [F.from_counts, F.reasons, F.caveats])
def test_a_seed_axis_without_vmap_is_refused(function):
    stacked = jax.tree.map(lambda x: x[None], C.empty(2, 2))
    with pytest.raises(ValueError, match="L G"):
        function(stacked)

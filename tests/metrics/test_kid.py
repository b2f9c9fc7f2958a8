"""KID against its definition in float64 and torch-fidelity.

Tolerance: 1e-5 of the distance, or 1e-8 of the kernel's mean: what float32 keeps with the constant
taken off the kernel. With every subset the whole set nothing is left to chance.
"""

import math
import warnings

import jax
import numpy as np
import pytest

from jaxloop.metrics.kid import kernel_distance
from tests.classifiers.oracles import libraries

KEY = jax.random.key(0)


def pair(n, m, d, offset=0.0, shift=0.05):
    """Two sets of features that are never negative, as those after a ReLU."""
    rng = np.random.default_rng(0)
    turn = rng.normal(size=(8, d)) / 3
    a, b = (np.maximum(rng.normal(size=(k, 8)) @ turn + offset, 0) for k in (n, m))
    return a.astype(np.float32), (b + shift).astype(np.float32)


def kernel(x, y):
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3


def by_definition(a, b):
    total = -2 * kernel(a, b).mean()
    for x in (a, b):
        total += (kernel(x, x).sum() - np.trace(kernel(x, x))) / (len(x) * (len(x) - 1))
    return total


@pytest.mark.parametrize(
    ("n", "d", "offset", "shift"), [(90, 6, 0, 0.2), (60, 300, 0, 0.0), (60, 300, 30, 0.1)]
)
def test_the_whole_set_equals_the_definition(n, d, offset, shift):
    a, b = pair(n, n, d, offset, shift)
    got, want = kernel_distance(KEY, a, b, subsets=2, subset_size=n), by_definition(a, b)
    close = max(1e-5 * abs(want), 1e-8 * kernel(a, b).mean())
    assert got.mean == pytest.approx(want, abs=close)
    assert got.std == pytest.approx(0, abs=close) and got.subset_size == n


def test_equals_torch_fidelity():
    """In float64 there, as in float32 it loses three digits of this to the kernel's size."""
    torch, *_ = libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torch_fidelity")
        from torch_fidelity.metric_kid import kid_features_to_metric
    a, b = pair(80, 80, 40)
    sides = (torch.from_numpy(x.astype(np.float64)) for x in (a, b))
    want = kid_features_to_metric(*sides, kid_subsets=1, kid_subset_size=80, verbose=False)
    assert kernel_distance(KEY, a, b, 1, 80).mean == pytest.approx(
        want["kernel_inception_distance_mean"], rel=1e-5
    )


def test_small_subsets_agree_with_the_whole():
    """4,000 subsets of 10 from 200 and 150: without bias, so within four standard errors. Subsets
    of one set overlap, but
    hardly at this size."""
    a, b = pair(200, 150, 6, shift=0.2)
    got = kernel_distance(KEY, a, b, subsets=4000, subset_size=10)
    error = got.std / math.sqrt(4000)
    assert abs(got.mean - by_definition(a, b)) < 4 * error
    assert error < 0.1 * by_definition(a, b)  # so a wrong factor would show
    rng = np.random.default_rng(1)
    theirs = [
        by_definition(*(x[rng.choice(len(x), 10, replace=False)] for x in (a, b)))
        for _ in range(1000)
    ]
    assert got.std == pytest.approx(
        np.std(theirs), rel=0.15
    )  # 1,000 values know their deviation to about 3%


def test_subsets_are_drawn_without_replacement():
    """The kernel of different images is 1 here, so the estimate 0; a copy would add its kernel with
    itself, 26^3, over 3."""
    got = kernel_distance(
        KEY,
        10 * np.eye(4, dtype=np.float32),
        np.zeros((4, 4), np.float32),
        subsets=50,
        subset_size=3,
    )
    assert abs(got.mean) < 0.02 and got.std < 0.02  # 1e-6 of 26^3


def test_one_key_one_result():
    a, b = pair(90, 90, 6)
    assert (
        kernel_distance(KEY, a, b, 5, 20)
        == kernel_distance(KEY, a, b, 5, 20)
        != kernel_distance(jax.random.key(1), a, b, 5, 20)
    )


def test_the_subset_is_cut_to_the_smaller_set():
    a, b = pair(90, 30, 6)
    assert (
        kernel_distance(KEY, a, b, 2).subset_size == 30 == kernel_distance(KEY, b, a, 2).subset_size
    )


def test_equal_sets_are_below_zero():
    """The cross terms have the diagonal that the others lack. Subsets drawn alike on both sides
    would make it n / s as much."""
    a, _ = pair(60, 60, 6)
    want = by_definition(a, a)
    assert kernel_distance(KEY, a, a, 1).mean == pytest.approx(want, rel=1e-4) and want < 0
    got = kernel_distance(KEY, a, a, subsets=4000, subset_size=10)
    error = got.std / math.sqrt(4000)
    assert abs(got.mean - want) < 4 * error < abs(want) * 60 / 10 / 2


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_is_nan(n):
    a, b = pair(5, 5, 3)
    for got in (kernel_distance(KEY, a[:n], b), kernel_distance(KEY, b, a[:n])):
        assert math.isnan(got.mean) and math.isnan(got.std) and got.subset_size == n


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_nan_even_outside_the_subsets(value):
    a, b = pair(90, 90, 6)
    a[3, 2] = value
    for got in (kernel_distance(KEY, a, b, 1, 2), kernel_distance(KEY, b, a, 1, 2)):
        assert math.isnan(got.mean) and math.isnan(got.std)


def test_refusals():
    a = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="^features_a and features_b must be"):
        kernel_distance(KEY, a, np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="^subsets must be"):
        kernel_distance(KEY, a, a, subsets=0)
    with pytest.raises(ValueError, match="subset_size 2"):
        kernel_distance(KEY, a, a, subset_size=1)

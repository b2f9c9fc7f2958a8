"""What people pass as groups: nothing is merged, cast or left out without a word."""

import datetime

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxloop.metrics.vectors import categories, read

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ([3, -1, 3], ["-1", "3"]),
        ([0.5, 0.7, 0.5], ["0.5", "0.7"]),
        (np.array([0.5, 0.7, 0.5], object), ["0.5", "0.7"]),
        ([1, 0.5, 1], ["0.5", "1"]),
        (np.float32([0.1, 0.2, 0.1]), ["0.1", "0.2"]),
        ([2**53 + 1, 2**53, 2**53 + 1], ["9007199254740992", "9007199254740993"]),
        ([2**70, -1, 2**70], ["-1", str(2**70)]),
        ([True, False, True], ["False", "True"]),
        (["red", "", "red"], ["", "red"]),
        (["b\0", "b", "b\0"], ["b", "b\0"]),
        (["nan", "a", "nan"], ["a", "nan"]),
        ([b"red", b"blue", b"red"], ["blue", "red"]),
        (np.array([b"red", b"blue", b"red"]), ["blue", "red"]),
        ([b"\xff", b"\\xff", b"\xff"], ["\\\\xff", "\\xff"]),
        (pd.Series(["b", "a", "b"], index=[5, 6, 7]), ["a", "b"]),
        (pd.Series([2, 1, 2], dtype="Int64"), ["1", "2"]),
        (pd.Categorical(["b", "a", "b"], categories=["b", "a", "c"]), ["a", "b"]),
        ([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
         ["2020-01-01", "2020-01-02"]),
        (jnp.array([4, 2, 4]), ["2", "4"]),
        ([jnp.int32(4), jnp.int32(2), jnp.int32(4)], ["2", "4"]),
        ((1, 0, 1), ["0", "1"]),
        (range(2), ["0", "1"]),
    ],
)  # fmt: skip
def test_values_that_differ_are_categories_that_differ(value, names):
    index, got = categories("group", value)
    assert sorted(got) == sorted(names) and index.dtype == np.int32
    first = [str(got[index[i]]) for i in range(len(value))]
    assert len(first) < 3 or (first[0] == first[2] != first[1])


@pytest.mark.parametrize(
    "value",
    [["a", None], ["a", NAN], [1, None], [1.0, NAN], np.array([1.0, NAN]), [pd.NA, 1],
     np.array(["2020", "NaT"], "datetime64[D]"), pd.Series(["a", None]),
     pd.Series([1, None], dtype="Int64"), pd.Categorical(["a", None]),
     np.ma.masked_array([1, 2], mask=[False, True]), [b"a", None], [True, None]],
)  # fmt: skip
def test_missing_values_are_seen_in_one_place(value):
    with pytest.raises(ValueError, match="^group must be without missing values; entry"):
        categories("group", value)
    index, names = categories("group", value, unknown=NAN)
    assert sorted(index) == [-1, 0] and len(names) == 1


@pytest.mark.parametrize(
    ("value", "unknown"),
    [([1, -1], -1), (["a", "?"], "?"), ([0.5, -1.0], -1), ([b"a", b"?"], b"?")],
)
def test_unknown_marks_a_value(value, unknown):
    index, names = categories("group", value, unknown=unknown)
    np.testing.assert_array_equal(index, [0, -1])
    assert len(names) == 1
    assert len(categories("group", value).names) == 2
    with pytest.raises(ValueError, match="^group must be without missing"):
        categories("group", [*value, None], unknown=unknown)


@pytest.mark.parametrize(
    "value",
    [[1, "1"], ["a", b"a"], [True, "a"], [True, 0.5], [(1, 2), (3,)], [[0], [1]], 5, "ab", None,
     {"a": 1}, {1, 2}, pd.DataFrame({"a": [1, 2]})],
)  # fmt: skip
def test_what_is_no_vector_of_one_kind_is_refused_by_name(value):
    with pytest.raises(ValueError, match="^group must"):
        categories("group", value)


@pytest.mark.parametrize("value", [[0.0, 1.0], ["0", "1"], [0, 2], [-1, 0], [0.5, 0.7]])
def test_with_a_size_entries_are_integers_in_range(value):
    for given in (value, np.array(value, object), np.array(value)):
        with pytest.raises(ValueError, match="^group must be"):
            categories("group", given, size=2)
    for given in ([1, 0], np.array([1, 0], object), np.array([1, 0], np.uint8), [True, False]):
        np.testing.assert_array_equal(categories("group", given, size=2).index, [1, 0])


def test_numbers_in_objects_are_numbers():
    assert read("label", np.array([1, 2], object))[0].dtype == np.int64
    assert read("label", [0.5, 2.0])[0].dtype == np.float64
    assert read("label", ["a", "b"])[0].dtype == object
    values, known = read("label", [])
    assert len(values) == len(known) == 0

"""Frames against fairlearn's MetricFrame."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, zero_one_loss

from jaxloop.metrics import fairness
from jaxloop.metrics.frame import accuracy, groupwise

METRICS = {"accuracy": accuracy, "error": zero_one_loss, "balanced": balanced_accuracy_score}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, 4, 300), rng.choice(3, 300, p=[0.7, 0.2, 0.1])
    return label, np.where(rng.random(300) < 0.7, label, rng.integers(0, 4, 300)), group


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
def test_equals_fairlearn(images, method):
    fairlearn = pytest.importorskip("fairlearn.metrics")
    label, predicted, group = images
    want = fairlearn.MetricFrame(
        metrics=METRICS, y_true=label, y_pred=predicted, sensitive_features=group
    )
    got = groupwise(METRICS, label, predicted, group)
    assert dict(got.overall) == pytest.approx(dict(want.overall))
    for name, row in got.by_group.iterrows():
        assert dict(row) == pytest.approx(dict(want.by_group.loc[int(name)]))
    assert dict(got.group_min()) == pytest.approx(dict(want.group_min()))
    assert dict(got.group_max()) == pytest.approx(dict(want.group_max()))
    assert dict(got.difference(method)) == pytest.approx(dict(want.difference(method=method)))
    assert dict(got.ratio(method)) == pytest.approx(dict(want.ratio(method=method)))


def test_difference_of_accuracy_is_md(images):
    label, predicted, group = images
    frame = groupwise(accuracy, label, predicted, group)
    # float32 beside float64
    assert frame.difference()["accuracy"] == pytest.approx(
        float(fairness.md(predicted == label, group)), abs=1e-6
    )


def test_names_unknown_groups_and_an_empty_group(images):
    label, predicted, group = images
    group[:50] = -1
    names = ("red", "green", "blue", "black")
    frame = groupwise(accuracy, label, predicted, group, names, unknown=-1)
    assert list(frame.by_group.index) == ["red", "green", "blue", "black"]
    assert frame.count["black"] == 0 and np.isnan(frame.by_group.accuracy["black"])
    assert sum(frame.count) == 250 and frame.left_out == 50
    assert frame.overall["accuracy"] == np.mean(label == predicted)
    assert np.isnan(frame.difference()["accuracy"]) and np.isnan(frame.ratio()["accuracy"])
    rows = [line.split() for line in str(frame).splitlines()]
    assert rows[0] == ["group", "images", "accuracy"] and rows[1][0] == "red" and len(rows) == 7
    assert rows[-2] == ["left", "out", "50"] and rows[-1][:2] == ["all", "300"]


@pytest.mark.parametrize("unknown", [None, -1])
def test_minus_one_is_a_group_like_any_other(unknown):
    """Attributes of faces are published as -1 and 1."""
    group, predicted = [-1] * 50 + [1] * 50, [1] * 20 + [0] * 30 + [1] * 50
    frame = groupwise(accuracy, [1] * 100, predicted, group, unknown=unknown)
    md = float(fairness.md(np.equal(predicted, 1), group, unknown=unknown))
    if unknown is None:
        assert dict(frame.count) == {"-1": 50, "1": 50} and frame.left_out == 0
        assert frame.difference()["accuracy"] == pytest.approx(0.6) == pytest.approx(md)
        assert "left out" not in str(frame)
    else:
        assert dict(frame.count) == {"1": 50} and frame.left_out == 50 and np.isnan(md)


def test_a_group_may_be_called_as_a_row_of_the_table():
    frame = groupwise(accuracy, [0, 0, 1], [0, 1, 1], ["all", "left out", "?"], unknown="?")
    rows = [line.split() for line in str(frame).splitlines()]
    assert [row[-2:] for row in rows[1:3]] == [["1", "1.0000"], ["1", "0.0000"]]
    assert rows[3:] == [["left", "out", "1"], ["all", "3", "0.6667"]]


@pytest.mark.parametrize(
    "group", [["a", None], ["a", float("nan")], [0, None], [0.5, np.nan], np.array([None, 1])]
)
def test_a_missing_group_is_refused_or_asked_for_as_unknown(group):
    with pytest.raises(ValueError, match="^group must be without missing values; entry"):
        groupwise(accuracy, [0, 1], [0, 1], group)
    with pytest.raises(ValueError, match="^group must be without missing values; entry"):
        fairness.md([0, 1], group)
    frame = groupwise(accuracy, [0, 1], [0, 1], group, unknown=np.nan)
    assert frame.left_out == 1 and list(frame.count) == [1]


def test_names_and_numbers_are_not_compared():
    with pytest.raises(ValueError, match="^predicted must be of the kind of label"):
        accuracy([0, 1], ["0", "1"])
    with pytest.raises(ValueError, match="^predicted must be of the kind of label"):
        accuracy(np.array(["a"]), np.array([b"a"]))
    with pytest.raises(ValueError, match="^predicted must be a vector"):
        accuracy([0, 1], [[0], [1]])
    assert accuracy([0, 1], [0.0, 1.0]) == accuracy(["a", "b"], np.array(["a", "b"])) == 1


def test_groups_that_are_names(images):
    label, predicted, group = images
    named = np.array(["a", "b", "c"])[group]
    frame = groupwise(accuracy, label, predicted, named)
    assert list(frame.by_group.index) == ["a", "b", "c"]


def test_ratio_of_nothing_is_nan():
    frame = groupwise(accuracy, [0, 0], [1, 1], [0, 1])
    assert dict(frame.overall) == {"accuracy": 0} and np.isnan(frame.ratio()["accuracy"])


@pytest.mark.parametrize(
    ("change", "name"),
    [({"predicted": [0]}, "predicted"), ({"group": [0, 3]}, "group"), ({"group": [-1, -1], "names":
    None, "unknown": -1}, "group"), ({"group": [0, -1]}, "group"),
     ({"label": [0, None]}, "label"), ({"predicted": [np.nan, 1]}, "predicted"),
     ({"label": [[0], [0]]}, "label"), ({"names": ("a", "a")}, "names")],
)  # fmt: skip
def test_refusals_name_the_argument(change, name):
    given = {"label": [0, 1], "predicted": [0, 1], "group": [0, 1], "names": ("a", "b")} | change
    with pytest.raises(ValueError, match=f"^{name} must"):
        groupwise(accuracy, **given)


def test_refuses_another_method():
    with pytest.raises(ValueError, match="method"):
        groupwise(accuracy, [0, 1], [0, 1], [0, 1]).difference("between")

"""Bins by score against plain sorting, and the choices that are kept."""

import json
import math
import re

import numpy as np
import pytest

from jaxloop.provenance import store
from jaxloop.review import choices, score_bins
from tests.review.client import Client


def lines(score, classes=1, **fields) -> list[dict]:
    return [
        {
            "sha256": f"h{i}",
            "class": i % classes,
            "born": 1,
            "seed": 0,
            "index": i,
            "score": s,
            "scores": {},
        }
        | fields
        for i, s in enumerate(score)
    ]


def test_scores_are_those_that_exist_the_filter_s_own_first():
    own = lines([1.0, None], scores={"clip": 3.0, "uncertainty": 9.0, "absent": None})
    found = score_bins.scores(own, "uncertainty")
    assert list(found) == ["uncertainty", "clip"]
    np.testing.assert_array_equal(found["uncertainty"], [1.0, math.nan])
    np.testing.assert_array_equal(found["clip"], [3.0, 3.0])
    assert list(score_bins.scores(lines([None, None]), "human")) == []


def test_the_audit_has_words_for_every_reason(workdir, make):
    path = workdir / "provenance" / "g02_s0.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, reason in zip(lines, store.REASONS, strict=False):
        line["reason"] = reason
    store.write_lines(path, lines)
    text = " ".join(Client(make()).get("/audit?open=yes").text.split())
    outcomes = re.search("the 60 pictures: (.*?)\\.</p>", text)[1].split("; ")
    assert len(outcomes) == len(store.REASONS) == 7
    assert outcomes[1] == "54 kept, among the best by the filter’s score"
    assert sum(int(outcome.split()[0]) for outcome in outcomes) == 60


def test_bins_are_tenths_lowest_first_with_ten_pictures_of_their_own():
    score = np.random.default_rng(0).normal(size=205)
    score[:5] = np.nan
    made = lines(score)
    bins = score_bins.bins(made, score, by_class=False)
    tenths = np.split(np.sort(score[5:]), 10)
    assert [b.number for b in bins] == list(range(1, 11))
    assert [(b.low, b.high, b.size) for b in bins] == [
        (tenth[0], tenth[-1], 20) for tenth in tenths
    ]
    assert [b.drop for b in bins] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for b in bins:
        assert len(set(b.pictures)) == 10
        assert all(b.low <= score[p.index] <= b.high for p in b.pictures)
    assert bins == score_bins.bins(made, score, by_class=False)


def test_the_choice_within_a_bin_is_not_by_score():
    """Over 50 bins of 100, the mean rank of the ten shown is 49.5, with a deviation of 28.9 /
    sqrt(500) = 1.3.
    """
    score = np.arange(1000.0)
    ranks = [
        p.index % 100
        for i in range(5)
        for b in score_bins.bins(
            [line | {"sha256": f"{i} {line['sha256']}"} for line in lines(score)], score, False
        )
        for p in b.pictures
    ]
    assert np.mean(ranks) == pytest.approx(49.5, abs=5)


def test_bins_hold_the_same_share_of_each_class_of_each_seed():
    """As the filter ranks, however far apart the scores of classes and seeds lie."""
    score = np.arange(80.0)
    score[1::2] += 1000
    score[40:] += 5000
    made = [line | {"seed": i // 40} for i, line in enumerate(lines(score, classes=2))]
    by_class = score_bins.bins(made, score, by_class=True)
    groups = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [sorted((p.seed, p.class_) for p in b.pictures) for b in by_class] == [
        sorted(2 * groups)
    ] * 10
    over_all = score_bins.bins(made, score, by_class=False)
    seeds_and_classes = [[(seed, k // 5) for seed in (0, 1) for _ in range(4)] for k in range(10)]
    assert [sorted((p.seed, p.class_) for p in b.pictures) for b in over_all] == seeds_and_classes


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("values", [3, 400, 10**6])
def test_a_bin_is_parted_from_those_above_where_no_score_lies_on_both_sides(by_class, values):
    rng = np.random.default_rng(values)
    score = rng.integers(values, size=240).astype(float)
    score[::11] = np.nan
    made = [line | {"seed": i % 3} for i, line in enumerate(lines(score, classes=2))]
    groups: dict = {}
    for line, s in zip(made, score, strict=True):
        if not math.isnan(s):
            groups.setdefault((line["seed"], line["class"] * by_class), []).append(s)
    expected = []
    for k in range(1, 11):
        cut = [(sorted(group), math.ceil(k * len(group) / 10)) for group in groups.values()]
        expected.append(all(not set(group[:num]) & set(group[num:]) for group, num in cut))
    found = score_bins.bins(made, score, by_class)
    assert [b.parted for b in found] == expected
    assert (True in expected[:-1], False in expected[:-1]) == (values > 3, values < 10**6)


def test_of_equal_scores_the_earlier_are_lower_and_infinite_ones_are_at_the_ends():
    bins = score_bins.bins(lines(np.zeros(23)), np.zeros(23), by_class=False)
    order = [i for b in bins for i in sorted(p.index for p in b.pictures)]
    assert order == list(range(23)) and {b.size for b in bins} == {2, 3}
    ends = np.array([np.inf, np.nan, 0.0, -np.inf])
    found = score_bins.bins(lines(ends), ends, by_class=False)
    assert [(b.number, b.low) for b in found] == [(1, -np.inf), (4, 0.0), (7, np.inf)]


def test_few_pictures_leave_bins_out_and_a_twin_is_shown_once():
    score = np.array([3.0, 1.0, 2.0])
    assert [(b.low, b.high, b.size) for b in score_bins.bins(lines(score), score, False)] == [
        (1, 1, 1),
        (2, 2, 1),
        (3, 3, 1),
    ]
    twins = np.zeros(40)
    assert [
        len(b.pictures) for b in score_bins.bins(lines(twins, sha256="same"), twins, False)
    ] == [1] * 10


def test_the_last_choice_of_a_rater_counts(tmp_path):
    assert choices.chosen(tmp_path, "ada", 1) == {}
    choice = {"time": "now", "rater": "ada", "generation": 1, "score": "clip", "drop": 0.2}
    for change in (
        {},
        {"drop": 0.4},
        {"rater": "bob", "drop": 0.9},
        {"generation": 2, "drop": 0.8},
    ):
        choices.append(tmp_path, choice | change)
    assert choices.chosen(tmp_path, "ada", 1) == {"clip": 0.4}
    assert not choices.opened(tmp_path, "ada", 1)
    choices.append(tmp_path, {"time": "now", "rater": "ada", "generation": 1, "opened": "audit"})
    assert choices.opened(tmp_path, "ada", 1) and choices.chosen(tmp_path, "ada", 1) == {
        "clip": 0.4
    }
    assert not choices.opened(tmp_path, "bob", 1) and not choices.opened(tmp_path, "ada", 2)
    assert json.loads((tmp_path / "choices.jsonl").read_text().splitlines()[0]) == choice

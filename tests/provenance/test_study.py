import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from jaxloop.provenance.study import agreement, alpha, detection
from jaxloop.provenance.votes import standing
from jaxloop.statistics import newcombe
from tests.provenance.fake import vote

# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C: 4 observers, 12
# units, "." = no value.
PUBLISHED = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def test_alpha_is_the_published_one():
    units = [[value for value in unit if value != "."] for unit in zip(*PUBLISHED, strict=True)]
    found = alpha(units)
    assert found.alpha == pytest.approx(0.743, abs=5e-4)  # printed to three digits
    assert found.num == 11 and found.why == ""  # unit 12 has one value


def test_alpha_is_its_definition_by_all_pairs():
    """1 - the mean disagreement of pairs within units, each value weighing the same, over that of
    all pairs.
    """
    rng = np.random.default_rng(0)
    for _ in range(20):
        units = [list(rng.integers(0, 3, rng.integers(2, 6))) for _ in range(8)]
        values = list(itertools.chain(*units))
        within = sum(
            np.mean([a != b for a, b in itertools.permutations(unit, 2)]) * len(unit)
            for unit in units
        )
        between = np.mean([a != b for a, b in itertools.permutations(values, 2)])
        found = alpha([*units, [1], []])
        assert found.alpha == pytest.approx(1 - within / len(values) / between, rel=1e-12)
        assert found.share == pytest.approx(1 - within / len(values), rel=1e-12)
        assert found.num == 8


def test_alpha_of_two_raters_with_like_habits_is_cohens_kappa_but_for_the_small_sample():
    """Chance is of pairs, with replacement for kappa: 1 - alpha = (1 - kappa)(1 - 1/n)."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, 40)
    y = np.where(rng.random(40) < 0.7, x, 1 - x)
    a, b = np.concatenate([x, y]), np.concatenate([y, x])
    found = alpha(zip(a, b, strict=True))
    assert 1 - found.alpha == pytest.approx(
        (1 - cohen_kappa_score(a, b)) * (1 - 1 / 160), rel=1e-12
    )
    assert found.share == pytest.approx(np.mean(a == b))


def test_agreement_is_over_images_of_two_raters_or_more():
    given = [
        vote("a", "keep"),
        vote("a", "keep", "bob"),
        vote("b", "drop"),
        vote("b", "drop", "bob"),
    ]
    alone = [vote("c", "keep"), vote("a", "drop", "bob", class_=1)]
    undone = [vote("d"), vote("d", "drop", "bob"), vote("d", "undo", "bob")]
    assert agreement(standing([*given, *alone, *undone])) == (1.0, 1.0, 2, "")
    assert agreement(standing([*given, vote("e"), vote("e", "drop", "bob")])) == alpha(
        ["kk", "dd", "kd"]
    )


def test_agreement_says_why_there_is_none():
    assert agreement({}) == (None, None, 0, "No image has votes of two raters.")
    assert agreement(standing([vote("a"), vote("b", rater="bob")])).num == 0
    found = agreement(standing([vote("a"), vote("a", rater="bob")]))
    assert (found.alpha, found.share, found.num) == (None, 1.0, 1) and "the same" in found.why


def ballots(rater, hits, generated, false_alarms, real):
    """Votes of a rater: "drop" on so many of the generated, and of the real images."""
    for of_real, drops, num in ((False, hits, generated), (True, false_alarms, real)):
        for i in range(num):
            yield vote(
                f"{of_real} {i}", "drop" if i < drops else "keep", rater, real=of_real, index=i
            )


def test_detection_is_half_of_newcombes_difference_about_chance():
    ada, everybody = detection(standing(ballots("ada", 56, 70, 48, 80)))
    assert ada[:5] == ("ada", 70, 80, 0.8, 0.6) and ada.accuracy == pytest.approx(0.6)
    np.testing.assert_allclose(
        (ada.low, ada.high), (0.5262, 0.66695), atol=5e-5
    )  # (1 + 0.0524) / 2, (1 + 0.3339) / 2
    assert ada.differs and ada.why == "" and everybody == ada._replace(rater=None)


def test_detection_of_each_rater_and_of_all():
    given = [
        *ballots("bob", 5, 10, 5, 10),
        *ballots("ada", 9, 10, 1, 10),
        *ballots("cyd", 0, 10, 9, 10),
    ]
    ada, bob, cyd, everybody = detection(standing(given))
    assert [d.rater for d in (ada, bob, cyd, everybody)] == ["ada", "bob", "cyd", None]
    assert (ada.differs, bob.differs, cyd.differs) == (True, False, True)
    assert bob.accuracy == 0.5 and bob.low == pytest.approx(1 - bob.high)
    assert (
        cyd.accuracy == pytest.approx(0.05) and cyd.high < 0.5
    )  # worse than chance is no chance either
    assert everybody[1:5] == (30, 30, 14 / 30, 0.5)


def test_detection_says_why_there_is_none():
    ada, bob, everybody = detection(
        standing([*ballots("ada", 3, 4, 0, 0), *ballots("bob", 0, 0, 1, 2)])
    )
    assert ada == ("ada", 4, 0, 0.75, None, None, None, None, None, "No real image has a vote.")
    assert bob == ("bob", 0, 2, None, 0.5, None, None, None, None, "No generated image has a vote.")
    assert everybody.accuracy == 0.625 and everybody.why == ""
    (nobody,) = detection({})
    assert nobody.rater is None and nobody.accuracy is None
    assert nobody.why == "No generated and no real image has a vote."


def test_detections_interval_covers_at_its_level():
    """Exactly, over all outcomes of 12 and 15 votes; Newcombe 1998 finds a mean of 0.95, and minima
    not far below.
    """
    outcomes = {(h, f): newcombe(h, 12, f, 15) for h in range(13) for f in range(16)}
    covered = []
    for p, q in itertools.product((0.2, 0.5, 0.8), (0.1, 0.4, 0.7)):
        weight = {
            (h, f): stats.binom.pmf(h, 12, p) * stats.binom.pmf(f, 15, q) for h, f in outcomes
        }
        covered.append(
            sum(weight[k] for k, (low, high) in outcomes.items() if low <= p - q <= high)
        )
    assert 0.94 < np.mean(covered) < 0.97 and min(covered) > 0.92

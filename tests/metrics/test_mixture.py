"""Shares of subgroups from a fallible judge: laws, and the interval's coverage by simulation."""

import jax
import numpy as np
import pytest

from jaxloop.evaluators.subgroups import Counts
from jaxloop.metrics import mixture

CLASSES, GROUPS = 20, 5


def confusions(draw, accuracy: float, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (probabilities, counts on test images), each [L G G], of a judge that errs its own
    way in each subgroup, right in `accuracy` of images, give or take 0.08."""
    right = np.clip(accuracy + 0.08 * draw.normal(size=(CLASSES, GROUPS, 1, 1)), 0.3, 1)
    wrong = draw.dirichlet(np.ones(GROUPS - 1), (CLASSES, GROUPS))
    rates = np.zeros((CLASSES, GROUPS, GROUPS))
    for g in range(GROUPS):
        rates[:, g, np.arange(GROUPS) != g] = (1 - right[:, g, 0]) * wrong[:, g]
        rates[:, g, g] = right[:, g, 0, 0]
    return rates, draw.multinomial(images, rates)


def named_by_judge(draw, rates: np.ndarray, truth, images: int) -> np.ndarray:
    """Return [L G], how many images of each class the judge names so."""
    each = draw.multinomial(images, truth, CLASSES)
    return draw.multinomial(each, rates).sum(axis=1)


def covers(interval, value: float) -> bool:
    return bool(interval[0] <= value + 1e-9 and value - 1e-9 <= interval[1])


def test_confusion_equals_the_loop():
    draw = np.random.default_rng(0)
    named, label, group = (draw.integers(0, n, 300) for n in (3, 4, 3))
    got = np.asarray(mixture.confusion(named, label, group, 4, 3))
    for cell in np.ndindex(4, 3, 3):
        assert got[cell] == sum(one == cell for one in zip(label, group, named, strict=True))


def test_a_judge_without_error_is_believed():
    draw = np.random.default_rng(1)
    named = draw.integers(1, 50, (CLASSES, GROUPS))
    perfect = np.broadcast_to(30 * np.eye(GROUPS, dtype=int), (CLASSES, GROUPS, GROUPS))
    got = mixture.shares(perfect, named)
    np.testing.assert_allclose(got, named / named.sum(1, keepdims=True), atol=1e-6)


def test_exact_rates_give_the_shares_back():
    rates, _ = confusions(np.random.default_rng(2), 0.7, 60)
    truth = np.broadcast_to([0.7, 0.15, 0.1, 0.05, 0], (CLASSES, GROUPS))
    named = np.einsum("lg,lgh->lh", truth, rates)
    np.testing.assert_allclose(mixture.shares(rates, 500 * named), truth, atol=1e-12)


def test_a_judge_that_cannot_tell_gives_no_shares():
    blind = np.array([[[5, 5], [5, 5]], [[9, 1], [2, 8]], [[6, 4], [5, 5]]])
    got = mixture.shares(blind, np.array([[10, 10], [10, 10], [3, 4]]))
    assert np.isnan(got[[0, 2]]).all() and np.isfinite(got[1]).all()


def test_subgroups_that_a_class_lacks_have_no_share_and_empty_classes_none():
    counts, named = np.zeros((3, 3, 3), int), np.array([[30, 10, 0], [0, 0, 0], [5, 5, 5]])
    counts[:2, :2, :2] = [[8, 2], [1, 9]]
    got = np.asarray(mixture.shares(counts, named))
    assert got[0, 2] == 0 and got[0].sum() == pytest.approx(1)
    assert np.isnan(got[1]).all()  # no image
    assert np.isnan(got[2]).all()  # no test image
    drawn = np.asarray(mixture.resampled(jax.random.key(0), counts, named[None], 50))
    assert (drawn[:, 0, 0, 2] == 0).all() and np.ptp(drawn[:, 0, 0, 0]) > 0


@pytest.mark.parametrize("truth", [[0.2] * 5, [0.8, 0.1, 0.05, 0.05, 0.0]])
@pytest.mark.parametrize(("accuracy", "images"), [(0.6, 100), (0.8, 20), (0.8, 100), (0.95, 100)])
def test_intervals_cover_and_the_bias_of_the_judge_is_taken_out(truth, accuracy, images):
    """40 times 20 classes of 700 images each: five classes, and all pooled. Wanted: 0.95. Allowed
    of classes: 0.91 to 0.995 on average over subgroups, and 0.78 of each, for a share of 0 and 20
    test images; pooled, 200 intervals of standard error 0.03 (subgroups of one draw hang together):
    0.88."""
    draw, cells, pooled, errors, raw = np.random.default_rng(3), [], [], [], []
    for repeat in range(40):
        rates, counts = confusions(draw, accuracy, images)
        named = named_by_judge(draw, rates, truth, 700)
        share = mixture.shares(counts, named)
        drawn = mixture.resampled(jax.random.key(repeat), counts, named[None], 200)
        estimated = Counts(share, 0 * share, np.pad(drawn, [(0, 0), (0, 1), (0, 0), (0, 0)]))
        known = np.isfinite(share).all(axis=1)
        errors.append(share[known].mean(axis=0) - truth)
        raw.append(named.mean(axis=0) / 700 - truth)
        for group, right in enumerate(truth):
            of_classes = [
                estimated.interval(lambda t, _, c=c, g=group: t[..., c, g]) for c in range(5)
            ]
            cells += [(group, covers(one, right)) for one in of_classes if one is not None]
            over_all = estimated.interval(lambda t, _, g=group: t[..., g].mean(axis=-1))
            assert (over_all is None) == (not known.all())
            if over_all is not None:
                pooled.append(covers(over_all, right))
    coverage = [np.mean([hit for g, hit in cells if g == group]) for group in range(GROUPS)]
    assert min(coverage) > 0.78 and 0.91 < np.mean(coverage) < 0.995, coverage
    assert np.mean(pooled) > 0.88
    # The judge can tell: of all classes at once less often, if it is weak.
    assert len(cells) > 0.9 * 40 * 25 and len(pooled) > (0.2 if accuracy == 0.6 else 0.9) * 200
    bias, of_judge = (np.abs(np.mean(x, axis=0)).max() for x in (errors, raw))
    if truth[0] == 0.8:
        assert bias < 0.1 * of_judge, (bias, of_judge)

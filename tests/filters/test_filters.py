import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from jaxloop import filters
from jaxloop.errors import InputError
from jaxloop.filters import scores, select


@pytest.mark.parametrize("name", filters.NAMES)
def test_protocol(name):
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(40, 5)), jnp.float32)
    made = filters.create(name)
    image, label = jnp.zeros((40, 8, 8, 3), jnp.uint8), jnp.zeros(40, jnp.int32)
    score = jax.jit(made.scores)(jax.random.key(0), image, label, logits)
    assert score.shape == (40,) and score.dtype == jnp.float32 and bool(jnp.isfinite(score).all())
    # compiled and not: the same up to rounding, so the same ranking but for ties
    np.testing.assert_allclose(score, made.scores(jax.random.key(0), image, label, logits), rtol=1e-6)
    if not made.reads_classifier:
        np.testing.assert_array_equal(score, made.scores(jax.random.key(0), image, label, jnp.zeros_like(logits)))


def test_unknown_name_is_refused():
    with pytest.raises(InputError, match="config.filter.name='clipp'.*uncertainty"):
        filters.create("clipp")


def test_entropy_equals_scipy():
    logits = np.random.default_rng(0).normal(size=(30, 7)) * 4
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # float32 against float64: seven terms of order one
    np.testing.assert_allclose(
        scores.negative_entropy(jnp.asarray(logits, jnp.float32)), -entropy(probability, axis=1), atol=2e-6
    )


def test_entropy_at_its_ends():
    certain, lost = jnp.asarray([[1e4, 0.0, 0.0]]), jnp.zeros((1, 3))
    assert float(scores.negative_entropy(certain)[0]) == 0.0
    assert float(scores.negative_entropy(lost)[0]) == pytest.approx(-np.log(3), rel=1e-6)


def test_random_control_depends_on_the_key_alone():
    a, b = scores.at_random(jax.random.key(0), 1000), scores.at_random(jax.random.key(1), 1000)
    assert not np.array_equal(a, b)
    assert abs(float(a.mean()) - 0.5) < 0.05  # five standard errors of a uniform mean


@pytest.mark.parametrize("seed", range(5))
def test_best_of_each_class_equals_a_plain_loop(seed):
    draw = np.random.default_rng(seed)
    classes, made, keep = 4, 9, 5
    score = draw.integers(0, 6, classes * made).astype(np.float32)  # many ties
    label = np.asarray(select.labels(made, classes))
    kept = np.asarray(select.best_of_each_class(jnp.asarray(score), keep, classes))
    wanted = []
    for c in range(classes):
        mine = np.flatnonzero(label == c)
        wanted += sorted(mine, key=lambda i: (-score[i], i))[:keep]
    assert kept.tolist() == sorted(wanted)
    assert np.bincount(label[kept], minlength=classes).tolist() == [keep] * classes


def test_a_score_that_does_not_exist_ranks_last():
    score = jnp.nan_to_num(jnp.asarray([0.0, jnp.nan, 1.0, 2.0]), nan=-jnp.inf)
    assert select.best_of_each_class(score, 1, 2).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("kept", "drop", "classes"), [(259, 0.1, 10), (1, 0.5, 10), (100, 0.0, 3), (70, 0.3, 7), (10, 0.99, 2)]
)
def test_quota(kept, drop, classes):
    made, keep = select.quota(kept, drop, classes)
    assert keep >= 1 and abs(keep * classes - kept) <= max(classes / 2, classes - kept)
    assert 1 - keep / made >= drop - 1e-9  # at least so many leave ...
    assert made == keep or 1 - keep / (made - 1) < drop  # ... and with one image fewer it would be too few

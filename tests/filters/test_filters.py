import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy, rankdata

from jaxloop import filters
from jaxloop.errors import InputError
from jaxloop.filters import select
from jaxloop.spec import Filter

CLASSES = 5


def evidence(n: int = 40) -> filters.Evidence:
    """Something of everything that an expert may ask for."""
    draw = np.random.default_rng(0)
    uniform = lambda: jnp.asarray(draw.uniform(-1, 1, n), jnp.float32)  # noqa: E731
    logits = jnp.asarray(draw.normal(size=(n, CLASSES)), jnp.float32)
    image, label = jnp.zeros((n, 2, 2, 3), jnp.uint8), select.labels([n // CLASSES] * CLASSES)
    return filters.Evidence(image, label, logits, uniform(), uniform())


ALIVE, DIVERGED = jnp.bool_(False), jnp.bool_(True)


@pytest.mark.parametrize("ranking", ["class", "all"])
@pytest.mark.parametrize("name", (*filters.EXPERTS, *filters.FILTERS))
def test_protocol(name, ranking):
    chosen, given = filters.create(Filter(name=name, ranking=ranking)), evidence()

    def score(key, given):
        return filters.score(chosen, key, given, CLASSES, ALIVE)

    found = jax.jit(score)(jax.random.key(0), given)
    for x in (found.score, *found.by_expert.values()):
        assert x.shape == (40,) and x.dtype == jnp.float32 and bool(jnp.isfinite(x).all())
    assert (
        tuple(sorted(found.by_expert)) == tuple(sorted(filters.FILTERS.get(name, (name,))))
        and not found.unscored
    )
    # compiled and not: the same up to rounding, so the same ranking but for ties
    np.testing.assert_allclose(found.score, score(jax.random.key(0), given).score, rtol=1e-6)
    # what no expert asks for may be absent
    unasked = {
        "logits": (filters.CLASSIFIER, filters.DROPOUT),
        "similarity": (filters.CLIP,),
        "votes": (filters.PEOPLE,),
    }
    absent = {field: None for field, whom in unasked.items() if not chosen.needs(*whom)}
    without = score(jax.random.key(0), given._replace(**absent))
    np.testing.assert_array_equal(without.score, score(jax.random.key(0), given).score)


@pytest.mark.parametrize("seed", range(5))
def test_place_equals_scipys(seed):
    score = np.random.default_rng(seed).integers(0, 6, 36).astype(np.float32)  # many ties
    for sizes in ([36], [9, 9, 9, 9], [20, 1, 3, 12]):
        group = select.labels(sizes)
        place = np.asarray(select.rank(jnp.asarray(score), group, len(sizes)))
        for one in range(len(sizes)):
            own = np.asarray(group) == one
            np.testing.assert_array_equal(place[own], rankdata(score[own]) - 1)


def combined(ranking="class", weights=(3.0, 1.0)):
    return filters.create(Filter(name="clip_uncertainty", weights=weights, ranking=ranking))


def test_combined_score_is_the_weighted_mean_of_ranks():
    given = evidence()
    for ranking, groups in (("class", CLASSES), ("all", 1)):
        score, own, _ = filters.score(combined(ranking), None, given, CLASSES, ALIVE)
        ranks = [
            np.apply_along_axis(rankdata, 0, np.asarray(own[name]).reshape(-1, groups)).reshape(-1)
            - 1
            for name in ("clip", "uncertainty")
        ]
        # one division in float32
        np.testing.assert_allclose(
            score, (3 * ranks[0] + ranks[1]) / 4 / (40 // groups - 1), rtol=1e-6
        )
    # a weight of 0 leaves the other expert's order
    alone = filters.score(combined("all", (0.0, 2.0)), None, given, CLASSES, ALIVE).score
    np.testing.assert_array_equal(
        np.argsort(alone), np.argsort(filters.negative_entropy(given.logits))
    )


def test_equal_sums_of_ranks_are_equal():
    """n where (i + j) / (n - 1) in float32 depends on how the sum is split."""
    n = 433
    draw = np.random.default_rng(0)
    places = [draw.permutation(n) for _ in range(2)]
    logits = jnp.stack(
        [jnp.asarray(places[1] * 1e-2, jnp.float32), jnp.zeros(n)], axis=1
    )  # surer the farther from 0
    given = filters.Evidence(
        None, jnp.zeros(n, jnp.int32), logits, jnp.asarray(places[0], jnp.float32)
    )
    score = np.asarray(filters.score(combined("all", (1.0, 1.0)), None, given, 1, ALIVE).score)
    total = places[0] + places[1]
    for value in np.unique(total):
        assert len(np.unique(score[total == value])) == 1


def test_an_image_without_a_score_ranks_last_and_one_without_votes_in_the_middle():
    votes = jnp.asarray([1.0, -1.0, jnp.nan, 0.0, jnp.nan])
    label = jnp.zeros(5, jnp.int32)
    human = filters.create(Filter(name="human"))
    found = filters.score(human, None, filters.Evidence(None, label, votes=votes), 1, ALIVE)
    assert found.score.tolist() == [1, -1, 0, 0, 0] and np.isnan(
        found.by_expert["human"]
    ).tolist() == [0, 0, 1, 0, 1]
    similarity = jnp.asarray([0.1, jnp.nan, 0.3, 0.4, 0.5])
    given = filters.Evidence(None, label, jnp.zeros((5, 2)), similarity)
    for chosen in (filters.create(Filter(name="clip")), combined("all", (1.0, 0.0))):
        assert int(filters.score(chosen, None, given, 1, ALIVE).score.argmin()) == 1


def test_a_diverged_classifier_is_not_asked_and_others_are():
    given = evidence()._replace(logits=jnp.full((40, CLASSES), jnp.nan))
    alone = filters.score(filters.create(Filter()), None, given, CLASSES, DIVERGED)
    assert (
        alone.unscored
        and np.isnan(alone.by_expert["uncertainty"]).all()
        and not np.isnan(alone.score).any()
    )
    both = filters.score(combined(), None, given, CLASSES, DIVERGED)
    assert not both.unscored and np.isnan(both.by_expert["uncertainty"]).all()
    np.testing.assert_array_equal(both.by_expert["clip"], given.similarity)
    clip = filters.score(combined(weights=(1.0, 0.0)), None, given, CLASSES, ALIVE)
    np.testing.assert_allclose(both.score, clip.score, rtol=1e-6)
    assert filters.score(combined(weights=(0.0, 1.0)), None, given, CLASSES, DIVERGED).unscored


def test_unknown_name_is_refused():
    with pytest.raises(InputError, match="config.filter.name='clipp'.*uncertainty"):
        filters.create(Filter(name="clipp"))


def test_entropy_equals_scipy():
    logits = np.random.default_rng(0).normal(size=(30, 7)) * 4
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # float32 against float64: seven terms of order one
    np.testing.assert_allclose(
        filters.negative_entropy(jnp.asarray(logits, jnp.float32)),
        -entropy(probability, axis=1),
        atol=2e-6,
    )


def test_entropy_at_its_ends():
    certain, lost = jnp.asarray([[1e4, 0.0, 0.0]]), jnp.zeros((1, 3))
    assert float(filters.negative_entropy(certain)[0]) == 0.0
    assert float(filters.negative_entropy(lost)[0]) == pytest.approx(-np.log(3), rel=1e-6)


def test_random_control_depends_on_the_key_alone():
    given = filters.Evidence(None, jnp.zeros(1000, jnp.int32))
    a, b = (filters.EXPERTS["random"].score(jax.random.key(seed), given) for seed in (0, 1))
    assert not np.array_equal(a, b)
    assert abs(float(a.mean()) - 0.5) < 0.05  # five standard errors of a uniform mean


@pytest.mark.parametrize("seed", range(5))
def test_best_equals_a_plain_loop(seed):
    draw = np.random.default_rng(seed)
    made, keep = (9, 9, 4, 2), (5, 5, 4, 1)
    score = draw.integers(0, 6, sum(made)).astype(np.float32)  # many ties
    label = np.asarray(select.labels(made))
    kept = np.asarray(select.best(jnp.asarray(score), jnp.asarray(label), keep))
    wanted = []
    for c in range(len(made)):
        mine = np.flatnonzero(label == c)
        wanted += sorted(mine, key=lambda i: (-score[i], i))[: keep[c]]
    assert kept.tolist() == sorted(wanted)
    assert np.bincount(label[kept]).tolist() == list(keep)
    over_all = sorted(range(len(score)), key=lambda i: (-score[i], i))[: sum(keep)]
    together = select.best(jnp.asarray(score), jnp.zeros(len(score), int), [sum(keep)])
    assert together.tolist() == sorted(over_all)


def test_classes_take_turns():
    assert select.labels([2, 2, 2]).tolist() == [0, 1, 2, 0, 1, 2]
    assert select.labels([3, 1, 2]).tolist() == [0, 1, 2, 0, 2, 0]


def test_ranking_over_all_classes_can_delete_one():
    label = np.asarray(select.labels([10] * 4))
    kept = np.asarray(select.best(jnp.asarray(-1.0 * (label == 2)), jnp.zeros(40, int), [28]))
    assert np.bincount(label[kept], minlength=4).tolist() == [10, 9, 0, 9]


@pytest.mark.parametrize(
    ("kept", "drop", "classes"),
    [(259, 0.1, 10), (1, 0.5, 10), (100, 0.0, 3), (70, 0.3, 7), (10, 0.99, 2)],
)
def test_quota(kept, drop, classes):
    (made, *others), (keep, *_) = select.quota(kept, drop, [1 / classes] * classes)
    assert others == [made] * (classes - 1)
    assert keep >= 1 and abs(keep * classes - kept) <= max(classes / 2, classes - kept)
    assert 1 - keep / made >= drop - 1e-9  # at least so many leave ...
    assert (
        made == keep or 1 - keep / (made - 1) < drop
    )  # ... and with one image fewer it would be too few


def test_quota_in_unequal_shares():
    made, keep = select.quota(100, 0.25, [0.6, 0.399, 0.001])
    assert keep == (60, 40, 1) and made == (80, 54, 2)

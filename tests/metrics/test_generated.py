"""Measures of a generated set against loops by hand.

Diversity to 1e-4 of itself: in float32 the Gram matrix rounds by some 1e-7 of the squared norms.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.metrics import generated as G
from jaxloop.types import UNKNOWN_GROUP


def pictures(seed, n, num_classes=3, size=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8), rng.integers(
        0, num_classes, n
    ).astype(np.int32)


def diversity(image, label, real, real_label, num_classes, per_class=256):
    real_distance = G.class_distance(real, real_label, num_classes, per_class)
    return G.within_class_diversity(image, label, real_distance, num_classes, per_class)


def loop_distance(image, label, one_class, per_class):
    chosen = [
        x.astype(np.float64).ravel() / 255
        for x, y in zip(image, label, strict=True)
        if y == one_class
    ][:per_class]
    gaps = [np.sqrt(np.sum((x - y) ** 2)) for i, x in enumerate(chosen) for y in chosen[:i]]
    return sum(gaps) / len(gaps) if gaps else np.nan


# Label agreement.


def test_label_agreement():
    assert float(G.label_agreement(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]))) == 0.75
    assert jnp.isnan(G.label_agreement(np.zeros(0, int), np.zeros(0, int)))
    with pytest.raises(ValueError, match="^label must be"):
        G.label_agreement(np.zeros(3, int), np.zeros(2, int))


# Diversity.


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per_class", [5, 64])
def test_diversity_equals_the_double_loop(seed, per_class):
    (image, label), (real, real_label) = pictures(seed, 40), pictures(seed + 100, 50)
    image = (image // 3).astype(np.uint8)  # less contrast, so that the answer is not 1
    want = np.mean(
        [
            loop_distance(image, label, c, per_class)
            / loop_distance(real, real_label, c, per_class)
            for c in range(3)
        ]
    )
    got = diversity(image, label, real, real_label, 3, per_class)
    assert float(got) == pytest.approx(want, rel=1e-4)
    assert 0.2 < want < 0.5  # a third of the contrast


def test_class_distance_is_in_pixel_units():
    """Black and white differ by 1 in each of 2 x 2 x 3 channels: sqrt(12)."""
    image = np.stack([np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)])
    assert float(G.class_distance(image, np.zeros(2, int), 1)[0]) == pytest.approx(
        np.sqrt(12), rel=1e-5
    )


def test_real_against_other_real_images_is_one():
    """Two draws from one distribution; 36 x 3 independent pixels make distances alike to a percent
    or so."""
    (image, label), (real, real_label) = pictures(0, 200), pictures(1, 200)
    assert float(diversity(image, label, real, real_label, 3)) == pytest.approx(1, abs=0.03)


def test_one_picture_a_class_is_near_zero():
    real, real_label = pictures(0, 60)
    label = np.arange(30, dtype=np.int32) % 3
    collapsed = real[[np.flatnonzero(real_label == c)[0] for c in range(3)]][label]
    assert 0 <= float(diversity(collapsed, label, real, real_label, 3)) < 1e-3


def test_only_the_first_of_each_class_count():
    real, real_label = pictures(0, 60)
    cut = np.concatenate([np.flatnonzero(real_label == c)[:4] for c in range(3)])
    want = G.class_distance(real[cut], real_label[cut], 3, per_class=4)
    np.testing.assert_array_equal(G.class_distance(real, real_label, 3, per_class=4), want)
    assert (
        np.asarray(want) != np.asarray(G.class_distance(real, real_label, 3, per_class=5))
    ).all()


def test_class_with_too_few_images_is_nan():
    (image, label), (real, real_label) = pictures(0, 30), pictures(1, 30)
    relabelled = np.where(label == 2, 0, label)
    distance = G.class_distance(image, relabelled, 3)
    np.testing.assert_array_equal(np.isnan(distance), [False, False, True])
    assert jnp.isnan(diversity(image, relabelled, real, real_label, 3))
    assert jnp.isnan(diversity(real, real_label, image, relabelled, 3))
    assert jnp.isfinite(
        diversity(image, relabelled, real, np.where(real_label == 2, 0, real_label), 2)
    )


def test_real_class_of_equal_images_is_nan():
    real = np.zeros((4, 2, 2, 3), np.uint8)
    image, _ = pictures(0, 4, size=2)
    assert jnp.isnan(diversity(image, np.zeros(4, int), real, np.zeros(4, int), 1))


def test_device_arrays_and_one_trace():
    image, label = pictures(0, 30)
    on_device = G.class_distance(jnp.asarray(image), jnp.asarray(label), 3)
    np.testing.assert_array_equal(on_device, G.class_distance(image, label, 3))
    before = G._mean_distance._cache_size()
    G.class_distance(*pictures(5, 55), 3)
    assert G._mean_distance._cache_size() == before


def test_diversity_refusals():
    image, label = pictures(0, 4)
    with pytest.raises(ValueError, match="^image must be uint8"):
        G.class_distance(image.astype(np.float32), label, 3)
    with pytest.raises(ValueError, match="^image must be uint8"):
        G.class_distance(image[0], label, 3)
    with pytest.raises(ValueError, match="^label must have"):
        G.class_distance(image, label[:3], 3)
    with pytest.raises(ValueError, match="^per_class must be"):
        G.class_distance(image, label, 3, per_class=1)
    with pytest.raises(ValueError, match=r"^real_distance must be \[3\]"):
        G.within_class_diversity(image, label, np.ones(2, np.float32), 3)


# What the filter dropped.


def test_drops():
    kept = np.array([True, False, False, True, False])
    got = G.drops(kept, np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 7, UNKNOWN_GROUP]), 2, 3)
    np.testing.assert_array_equal(got.generated, [[2, 0, 0, 0], [0, 1, 0, 2]])
    np.testing.assert_array_equal(got.dropped, [[1, 0, 0, 0], [0, 1, 0, 1]])


@pytest.mark.parametrize("seed", range(3))
def test_drops_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    kept, label, group = (
        rng.random(100) < 0.8,
        rng.integers(0, 4, 100),
        rng.integers(UNKNOWN_GROUP, 3, 100),
    )
    generated, dropped = np.zeros((2, 4, 4), int)
    for k, c, g in zip(kept, label, group, strict=True):
        generated[c, g] += 1  # the last column is that of UNKNOWN_GROUP, -1
        dropped[c, g] += not k
    got = G.drops(kept, label, group, 4, 3)
    np.testing.assert_array_equal(got.generated, generated)
    np.testing.assert_array_equal(got.dropped, dropped)


def test_drops_refusals():
    ones = np.ones(3, int)
    with pytest.raises(ValueError, match="^kept must be bool"):
        G.drops(ones, ones, ones, 2, 2)
    with pytest.raises(ValueError, match="^group must be"):
        G.drops(np.ones(3, bool), ones, np.ones((3, 1), int), 2, 2)


@pytest.mark.parametrize("num_real", [1, 511, 512, 700])
def test_nearest_distance_equals_its_definition(num_real):
    """Tolerance: float32 cancellation of squares of about 25, and a copy is at 0 but for it."""
    draw = np.random.default_rng(0)
    real = draw.integers(0, 256, (num_real, 5, 5, 3), np.uint8)
    image = draw.integers(0, 256, (9, 5, 5, 3), np.uint8)
    image[0] = real[-1]
    difference = (image[:, None].astype(float) - real[None]) / 255
    wanted = np.sqrt((difference**2).sum((2, 3, 4))).min(1)
    distance = G.nearest_distance(jnp.asarray(image), jnp.asarray(real))
    np.testing.assert_allclose(distance, wanted, atol=0.01)
    np.testing.assert_allclose(distance[1:], wanted[1:], rtol=1e-5)

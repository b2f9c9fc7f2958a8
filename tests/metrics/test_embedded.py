"""Sets in a network's features: gathered in parts, sampled evenly, remembered, compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.features.network import Network
from jaxloop.metrics import embedded, frechet, moments

D = 5


@pytest.fixture(scope="module")
def network() -> Network:
    """Random projections of the pixels."""
    weight = np.random.default_rng(0).normal(size=(4 * 4 * 3, D)).astype(np.float32) / 255
    apply = lambda w, image: image.reshape(image.shape[0], -1).astype(jnp.float32) @ w  # noqa: E731
    return Network("random", D, "none", "0" * 64, weight, apply)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (90, 4, 4, 3), np.uint8), np.sort(rng.integers(0, 3, 90)).astype(
        np.int32
    )


@pytest.mark.parametrize(
    ("number", "limit"), [(100, 40), (100, 50), (100, 100), (100, 999), (97, 30), (0, 5)]
)
@pytest.mark.parametrize("order", ["sorted", "in turn", "random"])
def test_a_sample_holds_every_class_alike(number, limit, order):
    label = np.arange(number) % 10
    label = {
        "sorted": np.sort(label),
        "in turn": label,
        "random": np.random.default_rng(0).permutation(label),
    }[order]
    index = np.asarray(embedded.even(label, limit))
    assert len(index) == min(number, limit) and len(set(index.tolist())) == len(index)
    assert (np.diff(index) > 0).all()
    share = np.bincount(label[index], minlength=10)
    # Each class's part is within one image of its exact share.
    assert (
        np.abs(share - np.bincount(label, minlength=10) * len(index) / max(number, 1)) < 1 + 1e-9
    ).all()


def test_in_chunks_equals_all_at_once(network, images, monkeypatch):
    image, label = images
    want = embedded.from_features(network(image), jnp.asarray(label), 40)
    monkeypatch.setattr(embedded, "CHUNK", 17)
    done = []
    got = embedded.embed(network, image, label, 40, done.append)
    assert sum(done) == 90
    np.testing.assert_array_equal(got.features, want.features)
    np.testing.assert_array_equal(got.label, want.label)
    np.testing.assert_allclose(
        got.moments.m2, want.moments.m2, rtol=1e-5, atol=1e-5
    )  # float32, another order
    assert got.moments.count == 90 and len(got.features) == 40


def test_remembered_under_all_that_it_depends_on(network, images, tmp_path):
    image, label = images
    calls = []
    first = embedded.cached(tmp_path, network, image, label, 40, calls.append)
    again = embedded.cached(tmp_path, network, image, label, 40, calls.append)
    assert len(calls) == 1
    jax.tree.map(np.testing.assert_array_equal, first, again)
    other = image.copy()
    other[0, 0, 0, 0] ^= 1
    for change in (
        (network, other, label, 40), (network, image, label[::-1].copy(), 40), (network, image,
        label, 41), (network.__class__(**{**vars_of(network), "sha256": "1" * 64}), image, label,
        40), (network.__class__(**{**vars_of(network), "resize": "clean"}), image, label, 40),
    ):  # fmt: skip
        before = len(calls)
        embedded.cached(tmp_path, *change, calls.append)
        assert len(calls) == before + 1


def vars_of(network):
    return {name: getattr(network, name) for name in network.__dataclass_fields__}


@pytest.mark.parametrize("broken", [b"", b"PK\x03\x04 torn", b"not a zip"])
def test_a_broken_file_is_replaced(network, images, tmp_path, broken):
    want = embedded.cached(tmp_path, network, *images, 40)
    (file,) = tmp_path.iterdir()
    file.write_bytes(broken)
    jax.tree.map(
        np.testing.assert_array_equal, embedded.cached(tmp_path, network, *images, 40), want
    )
    assert len(file.read_bytes()) > len(broken)


def test_compare(network, images):
    image, label = images
    features = network(image)
    real = embedded.from_features(features, jnp.asarray(label), 100)
    generated = embedded.from_features(features[::2] + 1, jnp.asarray(label[::2]), 100)
    result = embedded.compare(jax.random.key(0), real, generated, 4)
    assert result.frechet == frechet.frechet_distance(features, features[::2] + 1)
    assert result.frechet_by_class[1] == frechet.frechet_distance(
        features[label == 1], (features[::2] + 1)[label[::2] == 1]
    )
    assert np.isnan(result.frechet_by_class[3])  # no image of the class
    assert np.isfinite([result.kid.mean, result.kid.std, *result.neighbours]).all()
    # Of more images than the sample holds, the distance is still over all: from their moments, in
    # float32 (1e-4).
    few = embedded.from_features(features, jnp.asarray(label), 30)
    assert embedded.compare(jax.random.key(0), few, generated, 4).frechet == pytest.approx(
        result.frechet, rel=1e-4
    )


def test_total_variance(network, images):
    features = network(images[0])
    held = embedded.from_features(features, jnp.asarray(images[1]), 10)
    assert embedded.total_variance(held) == pytest.approx(
        features.var(axis=0, ddof=1).sum(), rel=1e-5
    )
    nothing = embedded.Embedded(
        moments.empty(D), np.zeros((0, D), np.float32), np.zeros(0, np.int32)
    )
    assert np.isnan(embedded.total_variance(nothing))

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloop.features.network import Network


def means(traced: list) -> Network:
    """Means of the channels times a weight. `traced` notes each compilation."""

    def apply(variables, image):
        assert isinstance(
            variables["weight"], jax.core.Tracer
        )  # an argument of the compiled function, not a constant in it
        traced.append(image.shape)
        return image.astype(jnp.float32).mean(axis=(1, 2)) * variables["weight"]

    return Network("inception", 3, "tf", "0" * 64, {"weight": np.float32(0.5)}, apply)


def pictures(n: int, h: int = 4, w: int = 6) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, h, w, 3), dtype=np.uint8)


@pytest.mark.parametrize("n", [0, 1, 32, 77])
def test_any_number_of_images(n):
    image = pictures(n)
    features = means([])(image)
    assert (
        isinstance(features, np.ndarray)
        and features.dtype == np.float32
        and features.shape == (n, 3)
    )
    # Sums of 24 whole numbers are exact in float32; dividing rounds once.
    np.testing.assert_allclose(features, image.mean(axis=(1, 2)) / 2, rtol=1e-6)
    np.testing.assert_array_equal(means([])(jnp.asarray(image)), features)


def test_it_is_compiled_once_for_an_image_size():
    traced: list = []
    network = means(traced)
    for n in (5, 40, 0, 32):
        network(pictures(n))
    network(pictures(3, 8, 8))
    assert traced == [(32, 4, 6, 3), (32, 8, 8, 3)]


def test_a_batch_is_spread_over_the_devices():
    _, embed = means([])._compiled
    features = embed(pictures(32))
    assert len(features.sharding.device_set) == jax.local_device_count() > 1
    assert features.addressable_shards[0].data.shape == (32 // jax.local_device_count(), 3)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((2, 4, 4, 1), np.uint8),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((2, 0, 4, 3), np.uint8),
    ],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match=r"image must be uint8 \[n h w 3\]"):
        means([])(image)

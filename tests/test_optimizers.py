import numpy as np
import optax
import pytest

from jaxloop import optimizers
from jaxloop.spec import Classifier


def test_constant_is_a_number():
    assert optimizers.learning_rate(Classifier(learning_rate=0.1), 100) == 0.1


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_and_cosine(schedule):
    fields = Classifier(learning_rate=0.1, schedule=schedule, warmup=0.2)
    rate = optimizers.learning_rate(fields, 100)
    assert [float(rate(s)) for s in (0, 10, 20)] == pytest.approx([0, 0.05, 0.1])
    wanted = 0.05 * (1 + np.cos(np.pi * 0.5)) if schedule == "cosine" else 0.1
    assert float(rate(60)) == pytest.approx(wanted)
    assert float(rate(100)) == pytest.approx(0 if schedule == "cosine" else 0.1)


def test_cosine_without_warm_up_starts_at_the_top():
    rate = optimizers.learning_rate(Classifier(learning_rate=0.1, schedule="cosine"), 50)
    assert float(rate(0)) == pytest.approx(0.1) and float(rate(50)) == pytest.approx(0)


def test_weight_decay_is_decoupled():
    params = {"w": np.float32(2.0)}
    zero = {"w": np.float32(0.0)}
    optimizer = optimizers.adam(Classifier(learning_rate=0.1, weight_decay=0.5), 10)
    change, _ = optimizer.update(zero, optimizer.init(params), params)
    assert float(change["w"]) == pytest.approx(-0.1 * 0.5 * 2.0)
    plain = optimizers.adam(Classifier(learning_rate=0.1), 10)
    change, _ = plain.update(zero, plain.init(params), params)
    assert float(change["w"]) == 0.0


def test_muon_makes_the_step_of_a_kernel_orthogonal_and_leaves_vectors_to_nadam(standard_promotion):
    """Newton-Schulz iterations bring singular values near one size: about 0.7 to 1.2 of it."""
    draw = np.random.default_rng(0)
    params = {"kernel": np.zeros((3, 3, 4, 8), np.float32), "bias": np.zeros(8, np.float32)}
    gradient = {name: draw.normal(size=x.shape).astype(np.float32) for name, x in params.items()}
    gradient["kernel"][..., 0] *= 1000  # Adam would follow each entry; Muon sees the matrix
    muon, adam = optimizers.muon(Classifier(learning_rate=0.1), 10), optax.nadam(0.1, 0.9, 0.99)
    change, _ = muon.update(gradient, muon.init(params), params)
    values = np.linalg.svd(np.asarray(change["kernel"]).reshape(36, 8), compute_uv=False)
    given = np.linalg.svd(gradient["kernel"].reshape(36, 8), compute_uv=False)
    assert given.max() > 200 * given.min() and values.max() < 2.2 * values.min()
    size = float(np.sqrt(np.mean(np.square(change["kernel"]))))
    assert size == pytest.approx(0.1 * 0.2, rel=0.5)  # the root mean square of Adam's, about
    wanted, _ = adam.update(gradient, adam.init(params), params)
    np.testing.assert_allclose(change["bias"], wanted["bias"], rtol=1e-5)

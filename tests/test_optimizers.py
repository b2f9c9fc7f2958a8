import numpy as np
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

"""Which scalars TensorBoard is given, and, where TensorFlow is installed, that they arrive."""

import importlib
import importlib.util
from types import SimpleNamespace

import pytest

from jaxloop.run import tensorboard

RECORD = {"seed": 3, "generation": 2, "subject": "lenet", "metric": "accuracy", "value": 0.5}
RECORDS = [
    RECORD,
    RECORD | {"rank": 1, "value": 0.25},
    RECORD | {"metric": "loss", "split": "training", "epoch": 7, "value": 1.5},
    RECORD | {"metric": "meo", "value": None, "reason": "one_group"},
    RECORD | {"class": 1, "value": 0.75},
    RECORD | {"seed": 4, "subject": "generator", "metric": "kid", "network": "lenet"},
]
SCALARS = [
    ("seed_3", 2, {"lenet/accuracy": 0.5, "lenet/accuracy/rank_1": 0.25}),
    ("seed_3", 7, {"lenet/loss/training/generation_2": 1.5}),
    ("seed_4", 2, {"generator/kid/lenet": 0.5}),
]


def test_scalars_by_seed_and_step(monkeypatch, tmp_path):
    """Neither a value of a class nor one that does not exist; signals have their epoch as step."""
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            self.write_scalars = lambda *given: written.append((folder, *given))

        def close(self):
            pass

    writers = SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setattr(importlib, "import_module", lambda name: writers)
    tensorboard.Writer(tmp_path).write(RECORDS)
    assert written == [(str(tmp_path / "tensorboard" / seed), *rest) for seed, *rest in SCALARS]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="the extra tensorboard")
def test_event_files(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    tensorboard.Writer(tmp_path).write(RECORDS)
    for seed, step, scalars in SCALARS:
        events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard" / seed))
        events.Reload()
        for tag, value in scalars.items():
            assert (step, value) in [
                (e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)
            ]

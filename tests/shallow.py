"""Networks of a few blocks, for tests of what surrounds them."""

import pytest

from jaxloop.classifiers import deit, mobilenet_v3, resnet, vgg


@pytest.fixture
def shallow(monkeypatch):
    """Networks with a few blocks of every kind: the same code in a fraction of the time to compile.

    test_parity.py holds the whole networks to their oracles.
    """
    monkeypatch.setattr(resnet, "STAGES", ((64, 1), (128, 1), (256, 2)))
    monkeypatch.setattr(vgg, "STAGES", tuple((channels, 1) for channels, _ in vgg.STAGES))
    monkeypatch.setattr(deit, "BLOCKS", 2)
    # Rows with and without expansion, shortcut, squeeze and stride, and both activations.
    few = {"large": (0, 1, 2, 3, 6), "small": (0, 1, 2, 3, 4)}
    for variant, (rows, hidden) in list(mobilenet_v3.VARIANTS.items()):
        shorter = (tuple(rows[i] for i in few[variant]), hidden)
        monkeypatch.setitem(mobilenet_v3.VARIANTS, variant, shorter)

"""What a step trains of a network: all, its head, or first its head; and label smoothing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxloop.classifiers import torch_names, training, updates
from jaxloop.classifiers.pretrained import Weights
from jaxloop.devices import make_mesh
from jaxloop.spec import Classifier


class Small(nn.Module):
    """A network with a normalisation, and the name of ResNet-50's head."""

    @nn.compact
    def __call__(self, x, *, train: bool, features: bool = False):
        x = nn.Conv(4, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x).mean(axis=(1, 2))
        return nn.Dense(3, name=torch_names.head("resnet50"))(nn.relu(x))


X = jax.random.normal(jax.random.key(1), (8, 6, 6, 3))
LABEL = jnp.arange(8, dtype=jnp.int32) % 3


def stepped(epoch: int = 0, **fields):
    """Take a step -> (variables before and after, the loss)."""
    config = Classifier(weight_decay=0.1, **fields)
    mesh = make_mesh(1, jax.devices()[:1])
    trainer = training.create(Small(), config, 6, mesh, 10)
    trainer = trainer._replace(pretrained=Weights("w", "resnet50", 3, "", "", None))
    before = Small().init(jax.random.key(0), X, train=False)
    moments = trainer.optimizer.init(before["params"])
    step = jax.jit(lambda *given: updates.update(trainer, jax.random.key(2), *given))
    after, _, loss, _ = step(before, moments, X, LABEL, jnp.int32(epoch))
    return before, after, loss


def changed(before, after) -> set[str]:
    """Return the layers and statistics that differ."""
    names = {f"{c}/{layer}" for c, layers in before.items() for layer in layers}
    same = jax.tree.map(np.array_equal, before, after)
    return {name for name in names if not all(jax.tree.leaves(_at(same, name)))}


def _at(tree, name):
    collection, layer = name.split("/")
    return tree[collection][layer]


ALL = {"params/Conv_0", "params/BatchNorm_0", "params/fc", "batch_stats/BatchNorm_0"}


@pytest.mark.parametrize(
    ("trained", "epoch", "wanted"),
    [
        ("all", 0, ALL),
        ("head", 0, {"params/fc"}),  # no decay of the rest, and no statistics of batches
        ("head", 99, {"params/fc"}),
        ("head_first", updates.HEAD_EPOCHS - 1, {"params/fc", "batch_stats/BatchNorm_0"}),
        ("head_first", updates.HEAD_EPOCHS, ALL),
    ],
)
def test_what_is_trained(trained, epoch, wanted):
    before, after, _ = stepped(epoch, trained=trained)
    assert changed(before, after) == wanted


def test_the_head_is_trained_as_on_fixed_features():
    """By hand: AdamW's first step on the head, over features in evaluation."""
    before, after, loss = stepped(trained="head")
    rest = {**before, "params": {**before["params"]}}

    def mean_loss(head):
        rest["params"]["fc"] = head
        logits = Small().apply(rest, X, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, LABEL).mean()

    wanted, gradient = jax.value_and_grad(mean_loss)(before["params"]["fc"])
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)
    head = before["params"]["fc"]["kernel"]
    move = -1e-3 * (np.sign(gradient["kernel"]) + 0.1 * head)
    # Adam's epsilon beside gradients of this size.
    np.testing.assert_allclose(after["params"]["fc"]["kernel"] - head, move, rtol=2e-3, atol=1e-7)


def test_label_smoothing_is_as_defined():
    """-sum_k q_k log p_k with q = (1 - a) [k = y] + a / L (Szegedy et al. 2016)."""
    before, _, plain = stepped()
    _, _, loss = stepped(label_smoothing=0.2)
    logits, _ = Small().apply(before, X, train=True, mutable=["batch_stats"])
    log_p = np.asarray(jax.nn.log_softmax(logits), np.float64)
    q = 0.8 * np.eye(3)[np.asarray(LABEL)] + 0.2 / 3
    assert float(loss) == pytest.approx(-(q * log_p).sum(axis=1).mean(), rel=1e-5)
    assert float(plain) != float(loss)


def test_every_published_head_is_a_layer():
    """The mask goes by names: a wrong one would train nothing."""
    for name in torch_names.NAMES:
        assert torch_names.head(name) in torch_names.LAYERS[name]

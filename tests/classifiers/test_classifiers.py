import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxloop import classifiers
from jaxloop.classifiers import training, updates
from jaxloop.data.source import InMemory
from jaxloop.devices import make_mesh
from jaxloop.errors import InputError
from jaxloop.ops.pixels import to_unit
from jaxloop.spec import Classifier
from jaxloop.types import Samples
from tests.classifiers.networks import drawn, jit_once

pytestmark = pytest.mark.usefixtures("shallow")

SIZE = 16


def picture_of(label: np.ndarray) -> np.ndarray:
    """Return images that tell their class: a bright column at the place of the label, and noise."""
    image = np.random.default_rng(0).integers(0, 60, (len(label), SIZE, SIZE, 3))
    image[np.arange(len(label)), :, 2 * label, :] = 255
    return image.astype(np.uint8)


def samples(n: int, shuffled: bool = False) -> Samples:
    label = np.arange(n) % 5
    visible = np.random.default_rng(1).permutation(label) if shuffled else label
    image = jnp.asarray(picture_of(visible))
    return Samples(image, jnp.asarray(label, jnp.int32), jnp.zeros(n, jnp.int32))


def source(n: int, shuffled: bool = False) -> InMemory:
    return InMemory.from_samples(samples(n, shuffled))


@functools.cache
def trainer(name: str, **changes) -> training.Trainer:
    """One object for each set of fields, so that what was compiled for it is found again."""
    fields = {"batch_size": 20, "width": 0.1, "epochs": 50, "patience": 3, **changes}
    spec = Classifier(**{"learning_rate": 1e-2, **fields})
    module = classifiers.create(name, 5, "small", spec.width)
    return training.create(module, spec, SIZE, make_mesh(1, jax.devices()[:1]), steps_per_epoch=10)


def data(real: InMemory, queue: Samples, valid, validation: InMemory) -> training.Data:
    """Return all real images and the valid slots of the queue."""
    used = jnp.concatenate([jnp.ones(len(real.label), bool), jnp.asarray(valid)])
    return training.Data(real, queue, used, validation)


@partial(jit_once, static_argnums=0)
def run(one: training.Trainer, state, given: training.Data, first, count):
    by_epoch = partial(jax.random.fold_in, jax.random.key(7))
    return training.train(one, by_epoch, state, given, jnp.int32(first), jnp.int32(count))


@partial(jit_once, static_argnums=0)
def start(one: training.Trainer) -> training.State:
    return training.init(one, jax.random.key(0), None)


logits = jit_once(training.logits, static_argnums=0)


def epochs(one: training.Trainer, real: InMemory, num: int) -> list:
    """Return the state before training, and after each epoch."""
    given = data(real, samples(40), np.zeros(40, bool), source(50))
    per_epoch = one.steps_per_epoch
    states = [start(one)]
    for epoch in range(num):
        states.append(run(one, states[-1], given, epoch * per_epoch, per_epoch))
    return states


@pytest.fixture(scope="module")
def stopped() -> list:
    """The states of a training that overfits, as labels have nothing to do with images."""
    return epochs(trainer("lenet"), source(200, shuffled=True), 20)


@pytest.mark.parametrize("name, width", [("lenet", 0.1), ("alexnet", 0.06), ("resnet50", 0.04)])
def test_learns_what_is_there_to_learn(name, width):
    """Without more, with dropout, with batch normalisation."""
    one = trainer(name, learning_rate=3e-3, width=width)
    state = epochs(one, source(200), 12)[-1]
    predicted = logits(one, state.best, samples(50).image).argmax(axis=1)
    assert float((predicted == samples(50).label).mean()) > 0.9
    assert not bool(state.diverged)


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_shapes_and_evaluation_mode(name, monkeypatch):
    monkeypatch.setattr(training, "EVALUATION_BATCH", 4)
    one = trainer(name)
    variables = drawn(classifiers.shapes(one.module, SIZE))
    image = samples(7).image
    compute = jit_once(partial(training.logits, one))
    features = jax.eval_shape(partial(training.features, one), variables, image)
    assert features.ndim == 2 and len(features) == 7
    all_logits = compute(variables, image)
    assert all_logits.shape == (7, 5)
    # rows do not depend on the company they are in (batch norm and dropout are off)
    beside_others = compute(variables, image.at[2:].set(255 - image[2:]))
    assert not np.allclose(beside_others[2:], all_logits[2:])
    np.testing.assert_allclose(beside_others[:2], all_logits[:2], rtol=1e-5, atol=1e-6)


def test_early_stopping_keeps_the_best_and_then_stands_still(stopped):
    losses = [float(s.best_loss) for s in stopped[1:]]
    assert losses == sorted(losses, reverse=True)
    last = next(i for i, s in enumerate(stopped) if bool(s.stopped))
    assert int(stopped[last].since_best) == 3 and int(stopped[last].epoch) == last < 20
    for later in stopped[last:]:
        jax.tree.map(np.testing.assert_array_equal, later, stopped[last])


@pytest.mark.parametrize("count", [3, 11, 25])
def test_how_steps_are_cut_into_calls_changes_no_bit(count):
    """Ten steps an epoch: calls end inside epochs and run over several."""
    one = trainer("lenet", epochs=5, augment="crop")
    given = data(source(200), samples(40), np.zeros(40, bool), source(50))
    whole, state = run(one, start(one), given, 0, 1000), start(one)
    for first in range(0, 50, count):
        state = run(one, state, given, first, count)
    jax.tree.map(np.testing.assert_array_equal, state, whole)
    assert whole.steps.tolist() == [10] * 5 and int(whole.epoch) == 5


def test_the_best_is_of_the_epoch_with_the_lowest_validation_loss(stopped):
    validation, num = source(50), int(stopped[-1].epoch)

    def loss(variables):
        values = logits(trainer("lenet"), variables, validation.image)
        losses = optax.softmax_cross_entropy_with_integer_labels(values, validation.label)
        return float(losses.mean())

    all_losses = [loss(s.variables) for s in stopped[1 : num + 1]]
    assert loss(stopped[-1].best) == pytest.approx(min(all_losses), rel=1e-5)
    assert float(stopped[-1].best_loss) == pytest.approx(min(all_losses), rel=1e-5)
    np.testing.assert_allclose(stopped[-1].validation_loss[:num], all_losses, rtol=1e-5)
    mean_training_loss = np.asarray(stopped[-1].loss[:num]) / np.asarray(stopped[-1].steps[:num])
    assert np.isfinite(mean_training_loss).all() and float(stopped[-1].gradient_norm[0]) > 0


def test_divergence_is_recorded_and_stops():
    states = epochs(trainer("lenet", learning_rate=1e30), source(200), 3)
    assert bool(states[1].diverged) and bool(states[1].stopped)
    assert int(states[-1].epoch) == int(states[1].epoch)


def test_only_valid_queue_images_are_trained_on():
    one, real = trainer("lenet"), source(200)
    queue, validation = samples(40, shuffled=True), source(50)
    other = Samples(255 - queue.image, queue.label, queue.group)
    none, every = np.zeros(40, bool), np.ones(40, bool)
    without, also_without, with_queue = (
        run(one, start(one), data(real, images, valid, validation), 0, 2)
        for images, valid in ((queue, none), (other, none), (queue, every))
    )
    jax.tree.map(np.testing.assert_array_equal, without, also_without)
    first = [jax.tree.leaves(state.variables)[0] for state in (with_queue, without)]
    assert not np.array_equal(*first)


def test_without_an_image_there_is_no_training():
    one, real = trainer("lenet"), source(200)
    nothing = training.Data(real, samples(40), jnp.zeros(240, bool), source(50))
    state = run(one, start(one), nothing, 0, 100)
    assert bool(state.diverged) and bool(state.stopped)
    jax.tree.map(np.testing.assert_array_equal, state.variables, start(one).variables)
    jax.tree.map(np.testing.assert_array_equal, run(one, state, nothing, 0, 100), state)


@pytest.mark.parametrize("num_used", [19, 130, 240])
def test_an_epoch_has_the_same_steps_however_many_images_there_are(num_used):
    one, real = trainer("lenet", epochs=2), source(200)
    given = training.Data(real, samples(40), jnp.arange(240) < num_used, source(50))
    state = run(one, start(one), given, 0, 1000)
    assert state.steps.tolist() == [10, 10] and not bool(state.diverged)
    cut = run(one, run(one, start(one), given, 0, 13), given, 13, 1000)
    jax.tree.map(np.testing.assert_array_equal, cut, state)


def test_augmentation_moves_training_images_and_nothing_else():
    plain, moved = (trainer("lenet", epochs=5, augment=how) for how in ("none", "crop"))
    given = data(source(200), samples(40), np.zeros(40, bool), source(50))
    states = [run(one, start(plain), given, 0, 2) for one in (plain, moved)]
    assert not np.array_equal(*(jax.tree.leaves(s.variables)[0] for s in states))
    values = [logits(one, start(plain).variables, source(50).image) for one in (plain, moved)]
    np.testing.assert_array_equal(*values)


def test_images_as_classifiers_take_them():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)), jnp.uint8)
    assert jnp.array_equal(training.as_input(image, Classifier()), to_unit(image))
    larger = training.as_input(image, Classifier(image_size=16))
    assert larger.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(larger.mean(), to_unit(image).mean(), atol=0.02)
    normalised = training.as_input(image, Classifier(pretrained=("x.safetensors",)))
    pixel = np.asarray(image[0, 0, 0]) / 255
    wanted = (pixel - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(normalised[0, 0, 0], wanted, rtol=1e-5)


def test_the_group_does_not_matter():
    one, real = trainer("lenet"), source(200)
    queue, every = samples(40), np.ones(40, bool)
    results = [
        run(one, start(one), data(real._replace(group=group), queue, every, source(50)), 0, 4)
        for group in (real.group, real.group + 2)
    ]
    jax.tree.map(np.testing.assert_array_equal, *results)


def test_one_step_is_adam_on_the_mean_cross_entropy():
    one, batch = trainer("lenet"), samples(20)
    variables, x = start(one).variables, to_unit(batch.image)
    step = jit_once(partial(updates.update, one))
    stepped, _, loss, norm = step(
        jax.random.key(0), variables, start(one).optimizer, x, batch.label
    )
    apply = jit_once(partial(one.module.apply, train=False))
    logits = np.asarray(apply(variables, x), np.float64)
    picked = logits[np.arange(20), np.asarray(batch.label)]
    wanted = (np.log(np.exp(logits).sum(axis=1)) - picked).mean()
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    # Adam's first step has the size of the learning rate wherever there is a gradient
    bias = [v["params"]["Dense_2"]["bias"] for v in (stepped, variables)]
    np.testing.assert_allclose(np.abs(np.asarray(bias[0] - bias[1])), 1e-2, rtol=1e-3)

    def mean_loss(params):
        logits = one.module.apply({"params": params}, x, train=False)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.label).mean()

    gradient = jit_once(jax.grad(mean_loss))(variables["params"])
    squares = sum(float((np.asarray(g, np.float64) ** 2).sum()) for g in jax.tree.leaves(gradient))
    assert float(norm) == pytest.approx(squares**0.5, rel=1e-4)


def test_refusals():
    with pytest.raises(InputError, match="config.classifiers='lenett'.*lenet, alexnet"):
        classifiers.create("lenett", 10)
    with pytest.raises(InputError, match="config.classifier.stem='large'.*imagenet, small"):
        classifiers.create("lenet", 10, "large")

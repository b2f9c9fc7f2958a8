import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxloop import classifiers, config
from jaxloop.classifiers import training
from jaxloop.devices import make_mesh
from jaxloop.errors import InputError
from jaxloop.ops.pixels import to_unit
from jaxloop.types import Samples

SIZE = 16


def picture_of(label: np.ndarray) -> np.ndarray:
    """Images that tell their class: a bright column at the place of the label, and noise."""
    image = np.random.default_rng(0).integers(0, 60, (len(label), SIZE, SIZE, 3))
    image[np.arange(len(label)), :, 2 * label, :] = 255
    return image.astype(np.uint8)


def samples(n: int, shuffled: bool = False) -> Samples:
    label = np.arange(n) % 5
    shown = np.random.default_rng(1).permutation(label) if shuffled else label
    return Samples(
        jnp.asarray(picture_of(shown)), jnp.asarray(label, jnp.int32), jnp.zeros(n, jnp.int32)
    )


def trainer(name: str, **changes) -> training.Trainer:
    spec = config.Classifier(
        **{"batch_size": 20, "width": 0.1, "epochs": 50, "patience": 3, **changes}
    )
    module = classifiers.create(name, 5, "small", spec.width)
    return training.create(module, spec, SIZE, make_mesh(1, jax.devices()[:1]))


def used(real: Samples, valid) -> jnp.ndarray:
    """All real images, and those slots of the queue."""
    return jnp.concatenate([jnp.ones(len(real.label), bool), jnp.asarray(valid)])


def train(
    made: training.Trainer, real: Samples, validation: Samples, epochs: int
) -> list[training.State]:
    queue, valid = samples(10), np.zeros(10, bool)
    step = jax.jit(made.epoch)
    states = [made.init(jax.random.key(0), None)]
    for i in range(epochs):
        states.append(
            step(jax.random.key(i), states[-1], real, queue, used(real, valid), validation)
        )
    return states


@pytest.mark.parametrize("name", ["lenet", "alexnet", "resnet50"])
def test_learns_what_is_there_to_learn(name):
    made = trainer(name, learning_rate=3e-3)
    state = train(made, samples(200), samples(50), epochs=12)[-1]
    predicted = made.logits(state.best, samples(50).image).argmax(axis=1)
    assert float((predicted == samples(50).label).mean()) > 0.9
    assert not bool(state.diverged)


@pytest.mark.parametrize("name", classifiers.NAMES)
def test_shapes_and_evaluation_mode(name):
    made = trainer(name)
    state = made.init(jax.random.key(0), None)
    image = samples(7).image
    logits, features = made.logits(state.variables, image), made.features(state.variables, image)
    assert logits.shape == (7, 5) and features.ndim == 2 and len(features) == 7
    # rows do not depend on the company they are in (batch norm and dropout are off)
    np.testing.assert_allclose(
        made.logits(state.variables, image[:2]), logits[:2], rtol=1e-5, atol=1e-6
    )


def test_early_stopping_keeps_the_best_and_then_stands_still():
    states = train(
        trainer("lenet", learning_rate=1e-2), samples(200, shuffled=True), samples(50), epochs=20
    )
    losses = [float(s.best_loss) for s in states[1:]]
    assert losses == sorted(losses, reverse=True)
    last = next(i for i, s in enumerate(states) if bool(s.stopped))
    assert int(states[last].since_best) == 3 and int(states[last].epoch) == last < 20
    for later in states[last:]:
        jax.tree.map(np.testing.assert_array_equal, later, states[last])


def test_the_best_is_of_the_epoch_with_the_lowest_validation_loss():
    made = trainer("lenet", learning_rate=1e-2, patience=50)
    validation = samples(50)
    states = train(made, samples(200, shuffled=True), validation, epochs=8)

    def loss(variables):
        logits = made.logits(variables, validation.image)
        return float(
            optax.softmax_cross_entropy_with_integer_labels(logits, validation.label).mean()
        )

    all_losses = [loss(s.variables) for s in states[1:]]
    assert loss(states[-1].best) == pytest.approx(min(all_losses), rel=1e-5)
    assert float(states[-1].best_loss) == pytest.approx(min(all_losses), rel=1e-5)


def test_divergence_is_recorded_and_stops():
    states = train(trainer("alexnet", learning_rate=1e30), samples(200), samples(50), epochs=3)
    assert bool(states[1].diverged) and bool(states[1].stopped)
    assert int(states[-1].epoch) == int(states[1].epoch)


def test_only_valid_queue_images_are_trained_on():
    made, real = trainer("lenet"), samples(40)
    queue = samples(40, shuffled=True)
    start = made.init(jax.random.key(0), None)
    step = jax.jit(made.epoch)
    without = step(
        jax.random.key(1), start, real, queue, used(real, np.zeros(40, bool)), samples(20)
    )
    other = Samples(255 - queue.image, queue.label, queue.group)
    also_without = step(
        jax.random.key(1), start, real, other, used(real, np.zeros(40, bool)), samples(20)
    )
    jax.tree.map(np.testing.assert_array_equal, without, also_without)
    with_queue = step(
        jax.random.key(1), start, real, queue, used(real, np.ones(40, bool)), samples(20)
    )
    assert not np.array_equal(
        jax.tree.leaves(with_queue.variables)[0], jax.tree.leaves(without.variables)[0]
    )


def test_without_a_whole_batch_there_is_no_training():
    made, real = trainer("lenet"), samples(40)
    start = made.init(jax.random.key(0), None)
    few = jnp.arange(80) < 19
    state = jax.jit(made.epoch)(jax.random.key(1), start, real, real, few, real)
    assert bool(state.diverged) and bool(state.stopped)
    jax.tree.map(np.testing.assert_array_equal, state.variables, start.variables)
    with pytest.raises(ValueError, match="used must be bool \\[80\\]"):
        made.epoch(jax.random.key(1), start, real, real, few[:40], real)


def test_augmentation_moves_training_images_and_nothing_else():
    real = samples(40)
    plain, moved = (trainer("lenet", augment=how) for how in ("none", "crop"))
    start = plain.init(jax.random.key(0), None)
    of_real = used(real, np.zeros(40, bool))
    states = [
        jax.jit(made.epoch)(jax.random.key(1), start, real, real, of_real, real)
        for made in (plain, moved)
    ]
    assert not np.array_equal(*(jax.tree.leaves(s.variables)[0] for s in states))
    np.testing.assert_array_equal(
        *(made.logits(start.variables, real.image) for made in (plain, moved))
    )


def test_what_a_classifier_sees():
    image = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)), jnp.uint8)
    assert jnp.array_equal(training.seen(image, config.Classifier()), image / 127.5 - 1)
    larger = training.seen(image, config.Classifier(image_size=16))
    assert larger.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(larger.mean(), (image / 127.5 - 1).mean(), atol=0.02)
    of_weights = training.seen(image, config.Classifier(pretrained=("x.safetensors",)))
    one = (image[0, 0, 0] / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(of_weights[0, 0, 0], one, rtol=1e-5)


def test_the_group_is_not_seen():
    made = trainer("lenet")
    start, real = made.init(jax.random.key(0), None), samples(40)
    step = jax.jit(made.epoch)
    results = [
        step(jax.random.key(1), start, real._replace(group=group), real, jnp.ones(80, bool), real)
        for group in (real.group, real.group + 2)
    ]
    jax.tree.map(np.testing.assert_array_equal, *results)


def test_one_step_is_adam_on_the_mean_cross_entropy():
    module = classifiers.create("lenet", 5, "small")
    batch = samples(20)
    variables = module.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)), train=False)
    optimizer = optax.adam(0.1)
    stepped, _, loss = training.step(
        module,
        optimizer,
        jax.random.key(0),
        variables,
        optimizer.init(variables["params"]),
        to_unit(batch.image),
        batch.label,
    )
    logits = np.asarray(
        module.apply(variables, batch.image.astype(jnp.float32) / 127.5 - 1, train=False),
        np.float64,
    )
    picked = logits[np.arange(20), np.asarray(batch.label)]
    assert float(loss) == pytest.approx(
        (np.log(np.exp(logits).sum(axis=1)) - picked).mean(), rel=1e-5
    )
    # Adam's first step has the size of the learning rate wherever there is a gradient
    moved = np.abs(
        np.asarray(stepped["params"]["Dense_2"]["bias"] - variables["params"]["Dense_2"]["bias"])
    )
    np.testing.assert_allclose(moved, 0.1, rtol=1e-3)


def test_refusals():
    with pytest.raises(InputError, match="config.classifiers='lenett'.*lenet, alexnet"):
        classifiers.create("lenett", 10)
    with pytest.raises(InputError, match="config.classifier.stem='large'.*imagenet, small"):
        classifiers.create("lenet", 10, "large")

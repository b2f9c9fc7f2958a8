"""Training a classifier: cross-entropy, Adam, early stopping on validation images, real ones.

An epoch is a number of steps, the same in every generation and arm, and not a pass over a set that
grows: what differs between two classifiers is then what they saw, not how long they were trained.
`patience` counts these epochs, so two trainings have the same most steps and may stop at different
ones.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh

from jaxloop import devices, keys, optimizers, spec
from jaxloop.classifiers import dropout, pretrained
from jaxloop.classifiers.updates import update
from jaxloop.data import batches
from jaxloop.data.augment import augment
from jaxloop.data.source import InMemory, Source
from jaxloop.ops.pixels import normalized, to_unit
from jaxloop.types import Array, PyTree, Samples

EVALUATION_BATCH = 256


class State(NamedTuple):
    """A classifier in training. Every leaf is an array, so that a leading seed axis fits on all.

    optimizer: state of the optimiser.
    best, best_loss: variables of the epoch with the lowest validation loss, which are measured;
      that loss, float32 [].
    since_best, epoch: int32 [], epochs.  stopped: bool [].
    diverged: bool [], the validation loss (so some weight) is not finite, or nothing to train on.
    loss, gradient_norm: float32 [E], sums over the steps of each epoch.
    validation_loss: float32 [E].
    steps: int32 [E], steps of each epoch; 0 where there was none.
    """

    variables: PyTree
    optimizer: PyTree
    best: PyTree
    best_loss: Array
    since_best: Array
    epoch: Array
    stopped: Array
    diverged: Array
    loss: Array
    gradient_norm: Array
    validation_loss: Array
    steps: Array


class Trainer(NamedTuple):
    """What the pure functions below need of one architecture, all of it static."""

    module: nn.Module
    config: spec.Classifier
    optimizer: optax.GradientTransformation
    steps_per_epoch: int
    image_size: int
    mesh: Mesh
    pretrained: pretrained.Weights | None  # without its arrays


class Data(NamedTuple):
    """What epochs draw from: the images that are used, of real and then queue, and validation.

    used: bool [len(real) + len(queue)].
    """

    real: Source
    queue: Samples
    used: Array
    validation: InMemory


def create(
    module: nn.Module,
    config: spec.Classifier,
    image_size: int,
    mesh: Mesh,
    steps_per_epoch: int,
    weights: pretrained.Weights | None = None,
) -> Trainer:
    """Return the Trainer of a Linen module for images of `image_size` pixels as they are stored.

    weights: to start from; their variables are an argument of `init`.
    """
    weights = weights and weights._replace(variables=None)
    optimizer = optimizers.adam(config, steps_per_epoch * config.epochs)
    return Trainer(module, config, optimizer, steps_per_epoch, image_size, mesh, weights)


def init(trainer: Trainer, key: Array, weights: PyTree | None) -> State:
    """Return a new classifier. weights: the variables of pretrained weights, or None."""
    size = trainer.image_size
    blank = as_input(jnp.zeros((1, size, size, 3), jnp.uint8), trainer.config)
    variables: Any = trainer.module.init(key, blank, train=False)
    if trainer.pretrained is not None:
        variables = pretrained.start(variables, trainer.pretrained._replace(variables=weights))
    by_epoch = jnp.zeros(trainer.config.epochs, jnp.float32)
    return State(
        variables=variables,
        optimizer=trainer.optimizer.init(variables["params"]),
        best=variables,
        best_loss=jnp.float32(jnp.inf),
        since_best=jnp.int32(0),
        epoch=jnp.int32(0),
        stopped=jnp.bool_(False),
        diverged=jnp.bool_(False),
        **dict.fromkeys(("loss", "gradient_norm", "validation_loss"), by_epoch),
        steps=by_epoch.astype(jnp.int32),
    )


def train(
    trainer: Trainer, keys_by_epoch, state: State, data: Data, first: Array, count: Array
) -> State:
    """Take steps first, first + 1, ... first + count - 1 of all epochs, with early stopping.

    Nothing happens after `state.stopped`. How the steps are cut into calls changes no bit.

    An epoch has `steps_per_epoch` batches, in a random order of its own of the images in use: of
    more images than these hold the rest waits for another epoch, fewer are gone through again.

    keys_by_epoch: epoch -> key.
    """
    per_epoch = trainer.steps_per_epoch
    state = jax.lax.cond(data.used.any(), lambda state: state, _nothing_to_train_on, state)
    end = jnp.minimum(first + count, most_steps(trainer))

    def going_on(carry):
        step, state = carry
        return (step < end) & ~state.stopped

    def one_epoch(carry):
        """Take the steps of one epoch that lie in this call; end the epoch with its last step."""
        step, state = carry
        begin = step % per_epoch
        stop = jnp.minimum(per_epoch, begin + end - step)
        order = epoch_order(keys_by_epoch, state.epoch, data.used)
        epoch_keys = keys.parts(keys_by_epoch(state.epoch), "dropout", "augment")
        state = _steps(trainer, order, epoch_keys, state, data, begin, stop)
        ended = partial(end_epoch, trainer, validation=data.validation)
        state = jax.lax.cond(stop == per_epoch, ended, lambda state: state, state)
        return step + stop - begin, state

    return jax.lax.while_loop(going_on, one_epoch, (first, state))[1]


def most_steps(trainer: Trainer) -> int:
    """Return the steps of a training that never stops early."""
    return trainer.steps_per_epoch * trainer.config.epochs


def lengths(trainer: Trainer) -> dict[str, int]:
    """Return the images of a step, the steps of an epoch and the most epochs, by these names."""
    config, steps = trainer.config, trainer.steps_per_epoch
    return {"batch_size": config.batch_size, "steps": steps, "epochs": config.epochs}


def steps_in_all(seeded: PyTree, done: int, total: int) -> int:
    """Return how many steps a training has: `done`, once every seed has stopped, else `total`.

    seeded: State, a seeded tree (`jaxloop.devices`).
    """
    stopped = done and all(devices.to_host(devices.select(seeded, lambda s: s.stopped)))
    return done if stopped else total


def epoch_order(keys_by_epoch, epoch: Array, used: Array) -> Array:
    """Return the indices in the order in which an epoch goes through them, int32 [N]."""
    return batches.epoch_order(keys.parts(keys_by_epoch(epoch), "order")[0], used)


def _steps(
    trainer: Trainer, order: Array, epoch_keys, state: State, data: Data, begin: Array, end: Array
) -> State:
    """Take steps begin..end - 1 of the epoch that `state` is in."""
    (dropout_key, augment_key), num_used = epoch_keys, data.used.sum()

    def body(i, carry):
        variables, optimizer_state, loss_sum, norm_sum = carry
        index = batches.batch_of(order, num_used, i, trainer.config.batch_size)
        batch = devices.split_batch(trainer.mesh, batches.take(data.real, data.queue, index))
        image = augment(jax.random.fold_in(augment_key, i), batch.image, trainer.config.augment)
        x = as_input(image, trainer.config)
        step_key = jax.random.fold_in(dropout_key, i)
        variables, optimizer_state, loss, norm = update(
            trainer, step_key, variables, optimizer_state, x, batch.label, epoch
        )
        return variables, optimizer_state, loss_sum + loss, norm_sum + norm

    epoch = state.epoch
    carry = state.variables, state.optimizer, state.loss[epoch], state.gradient_norm[epoch]
    variables, optimizer_state, loss, norm = jax.lax.fori_loop(begin, end, body, carry)
    return state._replace(
        variables=variables,
        optimizer=optimizer_state,
        loss=state.loss.at[epoch].set(loss),
        gradient_norm=state.gradient_norm.at[epoch].set(norm),
        steps=state.steps.at[epoch].add(end - begin),
    )


def end_epoch(trainer: Trainer, state: State, validation: InMemory) -> State:
    """Validate, keep the best variables, and decide whether training stops.

    It stops after `patience` epochs without a better validation loss, at divergence, or at the last
    epoch.
    """
    logit = logits(trainer, state.variables, validation.image)
    loss = optax.softmax_cross_entropy_with_integer_labels(logit, validation.label).mean()
    better, diverged = loss < state.best_loss, ~jnp.isfinite(loss)
    since_best = jnp.where(better, 0, state.since_best + 1)
    epoch = state.epoch + 1
    exhausted = (since_best >= trainer.config.patience) | (epoch >= trainer.config.epochs)
    return state._replace(
        best=jax.tree.map(lambda a, b: jnp.where(better, a, b), state.variables, state.best),
        best_loss=jnp.where(better, loss, state.best_loss),
        since_best=since_best,
        epoch=epoch,
        stopped=diverged | exhausted,
        diverged=diverged,
        validation_loss=state.validation_loss.at[state.epoch].set(loss),
    )


def _nothing_to_train_on(state: State) -> State:
    epoch = state.epoch + (~state.stopped).astype(jnp.int32)
    return state._replace(stopped=jnp.bool_(True), diverged=jnp.bool_(True), epoch=epoch)


def as_input(image: Array, config: spec.Classifier) -> Array:
    """Return uint8 [n h w 3] as the classifiers of `config` take images: float, resized.

    Scaled to [-1, 1], or normalised as pretrained weights expect; bilinear to `config.image_size`.
    """
    x = normalized(image) if config.pretrained else to_unit(image)
    side = config.image_size or image.shape[1]
    if side == image.shape[1]:
        return x
    return jax.image.resize(x, (len(x), side, side, x.shape[-1]), "bilinear")


def logits(trainer: Trainer, variables: PyTree, image: Array, features: bool = False) -> Array:
    """Return logits [n L] (or the last hidden layer [n d]) of uint8 [n h w c], in evaluation."""

    def one_batch(image):
        x = as_input(image, trainer.config)
        return trainer.module.apply(variables, x, train=False, features=features)

    return devices.in_batches(one_batch, EVALUATION_BATCH, image)


features = partial(logits, features=True)


def dropout_logits(
    trainer: Trainer, key: Array, variables: PyTree, image: Array, passes: int
) -> Array:
    """Return [n L], the log of the mean prediction over `passes` passes with dropout on."""

    def one_batch(image, row):
        batch_key = jax.random.fold_in(key, row[0])
        x = as_input(image, trainer.config)
        return dropout.mean_log_probability(trainer.module, batch_key, variables, x, passes)

    return devices.in_batches(one_batch, EVALUATION_BATCH, image, jnp.arange(len(image)))

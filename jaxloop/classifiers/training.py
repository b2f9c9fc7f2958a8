"""Training a classifier: cross-entropy, Adam, early stopping on a validation split of real images."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh

from jaxloop import config, devices, keys
from jaxloop.classifiers import dropout, pretrained
from jaxloop.data import batches
from jaxloop.data.augment import augment
from jaxloop.ops.pixels import normalized, to_unit
from jaxloop.types import Array, PyTree, Samples

EVALUATION_BATCH = 256


class State(NamedTuple):
    """A classifier in training. All scalars are arrays, so that a leading seed axis fits on everything."""

    variables: PyTree
    optimizer: PyTree
    best: PyTree  # the variables of the epoch with the lowest validation loss: what is measured
    best_loss: Array  # float32 []
    since_best: Array  # int32 [], epochs
    epoch: Array  # int32 []
    stopped: Array  # bool []
    diverged: Array  # bool []: the validation loss (and so some weight) is not finite, or there was nothing to train on


class Trainer(NamedTuple):
    """The pure functions of one architecture.

    init: (key, weights) -> State. `weights`: the variables of the pretrained weights that `create` was given, or None.
    epoch: (key, state, real: Samples, queue: Samples, used bool [len(real) + len(queue)], validation: Samples) -> State. Once
      over the images that are used, of real and then queue; does nothing once `state.stopped`.
    logits: (variables, uint8 images [n h w c]) -> [n L], in evaluation mode.
    features: the same -> last hidden layer [n d].
    dropout_logits: (key, variables, images, passes) -> [n L], the log of the mean prediction over passes with dropout.
    """

    init: Callable[[Array, PyTree | None], State]
    epoch: Callable[..., State]
    logits: Callable[[PyTree, Array], Array]
    features: Callable[[PyTree, Array], Array]
    dropout_logits: Callable[[Array, PyTree, Array, int], Array]


def step(
    module: nn.Module,
    optimizer,
    key: Array,
    variables: PyTree,
    moments: PyTree,
    x: Array,
    label: Array,
):
    """One step of Adam on the mean cross-entropy of a batch -> (variables, moments, loss). x: float [b h w 3]."""

    def loss(params):
        logits, statistics = module.apply(
            {**variables, "params": params},
            x,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), statistics

    (value, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
    change, moments = optimizer.update(gradient, moments, variables["params"])
    return (
        {"params": optax.apply_updates(variables["params"], change), **statistics},
        moments,
        value,
    )


def seen(image: Array, spec: config.Classifier) -> Array:
    """uint8 [n h w 3] -> float, as the classifiers of `spec` see images: scaled (or normalised as pretrained weights expect)
    and resized to spec.image_size."""
    x = normalized(image) if spec.pretrained else to_unit(image)
    side = spec.image_size or image.shape[1]
    return (
        x
        if side == image.shape[1]
        else jax.image.resize(x, (len(x), side, side, x.shape[-1]), "bilinear")
    )


def create(
    module: nn.Module,
    spec: config.Classifier,
    image_size: int,
    mesh: Mesh,
    weights: pretrained.Weights | None = None,
) -> Trainer:
    """The Trainer of a Linen module (see `jaxloop.classifiers`), for images of `image_size` pixels as they are stored."""
    optimizer = optax.adam(spec.learning_rate)

    def init(key: Array, given: PyTree | None) -> State:
        blank = seen(jnp.zeros((1, image_size, image_size, 3), jnp.uint8), spec)
        variables = module.init(key, blank, train=False)
        if weights is not None:
            variables = pretrained.start(variables, weights._replace(variables=given))
        return State(
            variables=variables,
            optimizer=optimizer.init(variables["params"]),
            best=variables,
            best_loss=jnp.float32(jnp.inf),
            since_best=jnp.int32(0),
            epoch=jnp.int32(0),
            stopped=jnp.bool_(False),
            diverged=jnp.bool_(False),
        )

    def evaluate(variables: PyTree, image: Array, **how) -> Array:
        apply = lambda piece: module.apply(variables, seen(piece, spec), train=False, **how)  # noqa: E731
        return devices.in_batches(apply, EVALUATION_BATCH, image)

    def dropout_logits(key: Array, variables: PyTree, image: Array, passes: int) -> Array:
        def piece(image, row):
            of_piece = jax.random.fold_in(key, row[0])
            return dropout.mean_log_probability(
                module, of_piece, variables, seen(image, spec), passes
            )

        return devices.in_batches(piece, EVALUATION_BATCH, image, jnp.arange(len(image)))

    def epoch(
        key: Array, state: State, real: Samples, queue: Samples, used: Array, validation: Samples
    ) -> State:
        length = len(real.label) + len(queue.label)
        if used.shape != (length,):
            raise ValueError(
                f"used must be bool [{length}], of real and then queue; it is {used.shape}"
            )

        def run(state: State) -> State:
            variables, moments = _pass_over(
                key, state.variables, state.optimizer, real, queue, used
            )
            loss = optax.softmax_cross_entropy_with_integer_labels(
                evaluate(variables, validation.image), validation.label
            ).mean()
            trained = batches.num_batches(used.sum(), spec.batch_size) > 0
            return _after_epoch(state, variables, moments, jnp.where(trained, loss, jnp.nan), spec)

        return jax.lax.cond(state.stopped, lambda state: state, run, state)

    def _pass_over(key, variables, moments, real, queue, used):
        order_key, dropout_key, augment_key = keys.parts(key, "order", "dropout", "augment")
        order = batches.epoch_order(order_key, used)

        def body(i, carry):
            index = jax.lax.dynamic_slice_in_dim(order, i * spec.batch_size, spec.batch_size)
            batch = devices.split_batch(mesh, batches.take(real, queue, index))
            image = augment(jax.random.fold_in(augment_key, i), batch.image, spec.augment)
            of_step = jax.random.fold_in(dropout_key, i)
            return step(module, optimizer, of_step, *carry, seen(image, spec), batch.label)[:2]

        return jax.lax.fori_loop(
            0, batches.num_batches(used.sum(), spec.batch_size), body, (variables, moments)
        )

    return Trainer(init, epoch, evaluate, partial(evaluate, features=True), dropout_logits)


def _after_epoch(
    state: State, variables: PyTree, moments: PyTree, loss: Array, spec: config.Classifier
) -> State:
    """Early stopping: keeps the best variables; stops after `patience` epochs without a better loss, or at divergence."""
    better = loss < state.best_loss
    diverged = ~jnp.isfinite(loss)
    since_best = jnp.where(better, 0, state.since_best + 1)
    done = state.epoch + 1
    return State(
        variables=variables,
        optimizer=moments,
        best=jax.tree.map(lambda new, old: jnp.where(better, new, old), variables, state.best),
        best_loss=jnp.where(better, loss, state.best_loss),
        since_best=since_best,
        epoch=done,
        stopped=diverged | (since_best >= spec.patience) | (done >= spec.epochs),
        diverged=diverged,
    )

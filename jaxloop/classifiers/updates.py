"""One step of a classifier's optimiser, and what it trains of a network that starts from published
weights: all of it, or its head."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxloop.classifiers import torch_names
from jaxloop.types import Array, PyTree

HEAD_EPOCHS = 5  # of "head_first", in which the head alone is trained


def update(
    trainer: Any,
    key: Array,
    variables: PyTree,
    optimizer_state,
    x: Array,
    label: Array,
    epoch: Array | int = 0,
):
    """Take one optimiser step on the mean cross-entropy of a batch: x float [b h w 3], label [b].

    Where the head alone is trained, the rest of the network computes as in evaluation.

    trainer: training.Trainer.  epoch: int32 [], from 0.

    Returns (variables, optimizer_state, loss, gradient norm).
    """
    trained, smoothing = trainer.config.trained, trainer.config.label_smoothing
    in_training = partial(
        trainer.module.apply,
        train=trained != "head",
        rngs={"dropout": key},
        mutable=["batch_stats"],
    )

    def mean_loss(params):
        logits, statistics = in_training({**variables, "params": params}, x)
        if not smoothing:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        else:
            target = optax.smooth_labels(jax.nn.one_hot(label, logits.shape[-1]), smoothing)
            losses = optax.softmax_cross_entropy(logits, target)
        return losses.mean(), statistics

    architecture = trainer.pretrained.architecture if trainer.pretrained else ""
    mask = partial(masked, trained=trained, architecture=architecture, epoch=epoch)
    params = variables["params"]
    (loss, statistics), gradient = jax.value_and_grad(mean_loss, has_aux=True)(params)
    gradient = mask(gradient)
    change, optimizer_state = trainer.optimizer.update(gradient, optimizer_state, params)
    params = optax.apply_updates(params, mask(change))  # weight decay moves the frozen ones too
    return {"params": params, **statistics}, optimizer_state, loss, optax.tree.norm(gradient)


def masked(params: PyTree, trained: str, architecture: str, epoch: Array | int) -> PyTree:
    """Return a gradient, or a change, with zeros where nothing is trained in an epoch.

    Args:
      params: in the tree of the parameters.
      trained: "all"; "head", the last layer alone; "head_first", that for HEAD_EPOCHS, then all.
      architecture: of torch_names.  epoch: int32 [], from 0.
    """
    if trained == "all":
        return params
    head = torch_names.head(architecture)
    frozen = jnp.asarray(trained == "head" or epoch < HEAD_EPOCHS)

    def one(path: tuple, x: Array) -> Array:
        name = "/".join(key.key for key in path)
        return x if name.startswith(f"{head}/") else jnp.where(frozen, jnp.zeros_like(x), x)

    return jax.tree_util.tree_map_with_path(one, params)

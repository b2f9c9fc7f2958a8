"""The optimiser of a part, from its fields."""

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from jaxloop.spec import Optimizer
from jaxloop.types import Array, PyTree


def adam(
    spec: Optimizer, num_steps: int, betas: tuple[float, float] = (0.9, 0.999)
) -> optax.GradientTransformation:
    """Return Adam, or AdamW where `spec.weight_decay` > 0, with the step size of `spec.schedule`.

    Args:
      num_steps: that training may take at most: the length of warm-up and cosine.
    """
    rate = learning_rate(spec, num_steps)
    if spec.weight_decay:
        optimizer = optax.adamw(rate, *betas, weight_decay=spec.weight_decay)
    else:
        optimizer = optax.adam(rate, *betas)
    return _with_standard_promotion(optimizer)


def muon(spec: Optimizer, num_steps: int) -> optax.GradientTransformation:
    """Return Muon for matrices and convolutions and Nadam for all else (Jordan et al. 2024).

    Steps have the size of Adam's. num_steps: as of `adam`.
    """

    def dimensions(params: PyTree) -> PyTree:
        def of_kernel(x: Array):  # [..., out] as a matrix: all axes but the last are its input
            inputs = tuple(range(x.ndim - 1))
            return contrib.MuonDimensionNumbers(inputs, (x.ndim - 1,)) if inputs else None

        return jax.tree.map(of_kernel, params)

    decay = spec.weight_decay
    optimizer = contrib.muon(
        learning_rate(spec, num_steps), adam_b2=0.99, consistent_rms=0.2, weight_decay=decay,
        adam_weight_decay=decay, muon_weight_dimension_numbers=dimensions,
    )  # fmt: skip
    return _with_standard_promotion(optimizer)


def _with_standard_promotion(optimizer: optax.GradientTransformation):
    """Let a Python float meet an int32 count inside optax, which strict promotion refuses."""

    def update(updates, state, params=None):
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def averaged(average: PyTree, params: PyTree, step: Array, decay: float) -> PyTree:
    """Move the moving average of weights towards `params`, after step `step` (int32 [], from 0).

    At the start it decays faster than by `decay`: the first steps would else be remembered.
    """
    step = step.astype(jnp.float32)
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return optax.incremental_update(params, average, 1.0 - kept)


def learning_rate(spec: Optimizer, num_steps: int) -> optax.ScalarOrSchedule:
    """Return the step size: a number where it is constant, else a function of the step."""
    warmup = round(spec.warmup * num_steps)
    if spec.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0 if warmup else spec.learning_rate,
            spec.learning_rate,
            warmup,
            max(num_steps, warmup + 1),
        )
    if warmup:
        return optax.linear_schedule(0.0, spec.learning_rate, warmup)
    return spec.learning_rate

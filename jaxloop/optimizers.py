"""The optimiser of a part, from its fields."""

import jax
import optax

from jaxloop.spec import Optimizer


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

    def update(updates, state, params=None):
        # Inside optax a Python float meets an int32 count: not for strict promotion.
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


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

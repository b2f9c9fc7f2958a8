"""How much a measure of one trained classifier owes to the choice of test images: the bootstrap (Efron, 1979).

A resample draws as many test images as there are, with replacement. Every measure depends on the images only through how many
of each kind there are (class, group, right or wrong), and the kinds of n images drawn with replacement are multinomial. So a
resample is drawn as its counts: exactly the same distribution, at a cost that does not grow with the number of images.

The interval is the basic one: the quantiles of (resampled - measured), turned round. Gaps such as MD are never below 0, and
resampling widens them further; the plain quantiles of a classifier without any bias would all lie above 0. Near 0 bias the
basic interval holds the truth nine times in ten (tests/metrics/test_bootstrap.py), away from it about 95 in 100. A rate of exactly 0
or 1 has no spread in any resample, and so an interval without width, as has a gap of exactly 0.

This is the spread within one seed: the same network, other test images. The spread over seeds is the report's own matter.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxloop.metrics import fairness
from jaxloop.metrics.counts import Counts
from jaxloop.types import Array

LEVEL = 0.95
MAY_LACK = 0.05  # of the resamples: with more than that without a value, the interval would describe the others alone


@partial(jax.jit, static_argnames=("resamples",))
def resample(key: Array, counts: Counts, resamples: int) -> Counts:
    """Counts of `resamples` sets of test images, each drawn with replacement and as large as the original.

    Args:
      key: from `jaxloop.keys`.
      counts: [L G], fewer than 2^24 images (float32 counts them exactly up to there).

    Returns:
      Counts with a leading axis of `resamples`. Images of unknown group are drawn like all others.
    """
    right, wrong = counts.correct, counts.total - counts.correct
    unknown_right = counts.all_correct - right.sum()
    unknown_wrong = counts.all_total - counts.all_correct - wrong.sum()
    kinds = jnp.concatenate(
        [right.ravel(), wrong.ravel(), jnp.stack([unknown_right, unknown_wrong])]
    )
    weight = kinds.astype(jnp.float32)
    drawn = jax.random.multinomial(
        key,
        counts.all_total.astype(jnp.float32),
        weight / jnp.maximum(weight.sum(), 1),
        shape=(resamples, kinds.size),
    ).astype(jnp.int32)
    shape, cells = (resamples, *right.shape), right.size
    right, wrong = drawn[:, :cells].reshape(shape), drawn[:, cells : 2 * cells].reshape(shape)
    all_right = right.sum(axis=(1, 2)) + drawn[:, -2]
    return Counts(right, right + wrong, all_right, drawn.sum(axis=1))


@partial(jax.jit, static_argnames=("resamples",))
def intervals(key: Array, counts: Counts, resamples: int = 1000) -> dict[str, Array]:
    """The 95 % basic bootstrap interval of every measure of `fairness.from_counts`, over resampled test images, in one pass.

    Args:
      key, counts: as in `resample`.
      resamples: how many; a Python int.

    Returns:
      measure -> float32 [2 ...], (low, high) before the measure's own shape, within the measure's range and around the value. NaN where more than one resample in twenty
      lacks the value (an empty group, say); where fewer do, it is that of the others.
    """
    measured = fairness.from_counts(counts)
    resampled = jax.vmap(fairness.from_counts)(resample(key, counts, resamples))
    ends = jnp.array([(1 + LEVEL) / 2, (1 - LEVEL) / 2])

    def interval(name: str) -> Array:
        values = resampled[name]
        lacking = jnp.isnan(values).mean(axis=0)
        least = -jnp.inf if name.startswith("di") else 0  # DI alone has no least value
        low, high = jnp.clip(
            2 * measured[name][None] - jnp.nanquantile(values, ends, axis=0), least, 1
        )
        # A gap near 0 may be turned past itself: what was measured is never left out.
        found = jnp.stack([jnp.minimum(low, measured[name]), jnp.maximum(high, measured[name])])
        return jnp.where(lacking[None] > MAY_LACK, jnp.nan, found)

    return {name: interval(name) for name in measured}

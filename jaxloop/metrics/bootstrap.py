"""How much a measure of one trained classifier owes to the choice of test images: the bootstrap.

A resample draws as many test images as there are, with replacement (Efron, 1979). Every measure
depends on how many there are of each kind (class, group, right or wrong) and on nothing else. The
kinds of n images drawn with replacement are multinomial. So a resample is drawn as its counts: the
same distribution, at a cost that does not grow with the number of images.

The interval is the basic one: the quantiles of (resampled - measured), turned round. The plain
quantiles of a gap such as MD, which is never below 0, would lie above 0 even without bias. Near 0
the basic interval holds the truth nine times in ten, elsewhere about 95 in 100. It has no width at
a rate of exactly 0 or 1, or a gap of exactly 0.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxloop.metrics import fairness
from jaxloop.metrics.counts import Counts
from jaxloop.statistics import CONFIDENCE
from jaxloop.types import Array

MAX_LACKING = 0.05  # share of resamples without a value; with more, an interval would mislead


@partial(jax.jit, static_argnames=("resamples",))
def resample(key: Array, counts: Counts, resamples: int) -> Counts:
    """Return counts of sets of test images, drawn with replacement and as large as the original.

    Args:
      counts: [L G], fewer than 2^24 images (float32 counts them exactly up to there).
      resamples: how many sets, the leading axis of what is returned; a Python int.
    """
    right, wrong = counts.correct, counts.total - counts.correct
    unknown_right = counts.all_correct - right.sum()
    unknown_wrong = counts.all_total - counts.all_correct - wrong.sum()
    unknown = jnp.stack([unknown_right, unknown_wrong])
    weight = jnp.concatenate([right.ravel(), wrong.ravel(), unknown]).astype(jnp.float32)
    drawn = jax.random.multinomial(
        key,
        counts.all_total.astype(jnp.float32),
        weight / jnp.maximum(weight.sum(), 1),
        shape=(resamples, weight.size),
    ).astype(jnp.int32)
    shape, cells = (resamples, *right.shape), right.size
    right, wrong = drawn[:, :cells].reshape(shape), drawn[:, cells : 2 * cells].reshape(shape)
    all_right = right.sum(axis=(1, 2)) + drawn[:, -2]
    return Counts(right, right + wrong, all_right, drawn.sum(axis=1))


@partial(jax.jit, static_argnames=("resamples",))
def intervals(key: Array, counts: Counts, resamples: int = 1000) -> dict[str, Array]:
    """Return {measure of `fairness.from_counts`: its 95 % basic bootstrap interval}.

    float32 [2 ...], (low, high) before the measure's axes, within its range and around its value.
    NaN where more than one resample in twenty lacks the value; where fewer do, it is that of the
    others.
    """
    measures = fairness.from_counts(counts)
    resampled = jax.vmap(fairness.from_counts)(resample(key, counts, resamples))
    ends = jnp.array([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])

    def interval(name: str) -> Array:
        value, values = measures[name], resampled[name]
        least = -jnp.inf if name.startswith("di") else 0  # DI alone has no least value
        low, high = jnp.clip(2 * value[None] - jnp.nanquantile(values, ends, axis=0), least, 1)
        # A gap near 0 may be turned past itself: what was measured is never left out.
        low_high = jnp.stack([jnp.minimum(low, value), jnp.maximum(high, value)])
        lacking = jnp.isnan(values).mean(axis=0)
        return jnp.where(lacking[None] > MAX_LACKING, jnp.nan, low_high)

    return {name: interval(name) for name in measures}

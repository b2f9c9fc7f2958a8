"""Shares of subgroups among images that only a fallible judge has named.

Among images of a class whose subgroups have the shares s, the judge names subgroup h in a share
q_h = sum_g s_g C_gh. C_gh, how often it names h in an image of g, is known from real test images.
Given C, s is estimated by maximum likelihood, by EM (Vardi & Lee 1993, "From image deblurring to
optimal investments"): unlike q C^-1 it lies in [0, 1] and sums to 1.

The interval is of both sources of chance: what the judge says of a finite number of generated
images, and of a finite number of test images. Both are Dirichlet, with one more image spread over
the subgroups, so that an error that was never seen is not impossible. It supposes that the judge
errs on generated images as it does on real ones of the same subgroup.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics.counts import cells
from jaxloop.types import Array

STEPS = 200  # of EM
TINY = 1e-9


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def confusion(named: Array, label: Array, group: Array, num_classes: int, num_groups: int) -> Array:
    """Count test images by class, subgroup and the subgroup that the judge names: int32 [L G G].

    named, label, group: int [n].
    """
    cell = label * num_groups + group
    counts = cells(cell, named, num_classes * num_groups, num_groups, jnp.ones(label.shape, bool))
    return counts.reshape(num_classes, num_groups, num_groups)


@jax.jit
def shares(confusion: Array, named: Array) -> Array:
    """Return the share of each subgroup in its class: float32 [L G].

    confusion: [L G G] as above, or probabilities.  named: [L G], images that the judge names so.
    A subgroup without test images has the share 0. NaN where a class has no images, or no test
    images.
    """
    confusion, named = jnp.float32(confusion), jnp.float32(named)
    total = confusion.sum(axis=2)
    exists = jnp.float32(total > 0)
    rates = confusion / jnp.maximum(total, TINY)[:, :, None]
    start = exists / jnp.maximum(exists.sum(axis=1, keepdims=True), 1)

    def step(_, share: Array) -> Array:
        expected = jnp.einsum("lg,lgh->lh", share, rates)
        ratio = jnp.where(expected > 0, named / jnp.maximum(expected, TINY), 0)
        share = share * jnp.einsum("lgh,lh->lg", rates, ratio)
        return share / jnp.maximum(share.sum(axis=1, keepdims=True), TINY)

    share = jax.lax.fori_loop(0, STEPS, step, start)
    known = (total > 0).any(axis=1) & (named.sum(axis=1) > 0)
    return jnp.where(known[:, None], share, jnp.nan)


def resampled(key: Array, confusion, named, resamples: int) -> Array:
    """Return `shares` of resamples of test images and of generated ones: float32 [R K L G].

    named: [K L G], counts of K sets of images, which share the test images of a resample.
    """
    # NumPy's gamma: JAX's takes ten seconds to compile.
    draw = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    confusion, named = np.asarray(confusion), np.asarray(named)
    exists = confusion.sum(axis=2) > 0
    rows = _drawn(draw, confusion, exists[:, :, None] & exists[:, None], resamples)
    images = _drawn(draw, named, exists & (named.sum(axis=-1, keepdims=True) > 0), resamples)
    return jax.vmap(jax.vmap(shares, in_axes=(None, 0)))(rows, images)


def _drawn(draw: np.random.Generator, counts, possible, resamples: int) -> np.ndarray:
    """Return draws of the probabilities, times any number, that gave `counts`: [R ...].

    Dirichlet along the last axis, over where it is possible, with one more count spread there.
    """
    prior = possible / np.maximum(possible.sum(axis=-1, keepdims=True), 1)
    return draw.standard_gamma((counts + prior) * possible, (resamples, *counts.shape))

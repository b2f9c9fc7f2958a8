"""Shares of subgroups among images that only a fallible judge has named.

Among images of a class whose subgroups have the shares s, the judge names subgroup h in a share
q_h = sum_g s_g C_gh. C_gh, how often it names h in an image of g, is known from real test images.
So s = q C^-1 (Rogan & Gladen 1978; Buonaccorsi 2010, *Measurement Error*, chapter 2). Chance can
take it below 0 or above 1; kept so, sums over classes have no bias, which estimates forced into
[0, 1] have. Who shows one value clips it.

Resamples tell the standard error: of what the judge says of a finite number of generated images,
and of a finite number of test images. Both are Dirichlet, with one more image spread over the
subgroups, so that an error that was never seen is not impossible. All of it supposes that the judge
errs on these images as it does on real ones of the same subgroup; so it does not hold where images
were chosen by what makes a judge err.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.metrics.counts import cells
from jaxloop.types import Array

SMALLEST = 0.1  # singular value of C with which the judge can tell: chance in q grows tenfold
SINGULAR = 1e-6  # below it a resample has no solution
TINY = 1e-9


@partial(jax.jit, static_argnames=("num_classes", "num_groups"))
def confusion(named: Array, label: Array, group: Array, num_classes: int, num_groups: int) -> Array:
    """Count test images by class, subgroup and the subgroup that the judge names: int32 [L G G].

    named, label, group: int [n].
    """
    cell = label * num_groups + group
    counts = cells(cell, named, num_classes * num_groups, num_groups, jnp.ones(label.shape, bool))
    return counts.reshape(num_classes, num_groups, num_groups)


def shares(confusion: np.ndarray, named: np.ndarray) -> np.ndarray:
    """Return the share of each subgroup in its class, unclipped: float64 [... L G].

    confusion: [... L G G] as above, or probabilities.  named: [... L G], images that the judge
    names so. A subgroup without test images has the share 0. NaN where a class has no images or no
    test images, and where the judge cannot tell its subgroups apart: the smallest singular value of
    C is below SMALLEST.
    """
    return _solved(confusion, named, SMALLEST)


def _solved(confusion: np.ndarray, named: np.ndarray, smallest: float) -> np.ndarray:
    """Return `shares`, NaN where the smallest singular value of C is below `smallest`."""
    total = confusion.sum(axis=-1, keepdims=True)
    lacking = np.eye(confusion.shape[-1]) * (total == 0)
    rates = confusion / np.maximum(total, TINY) + lacking
    known = (total > 0).any(axis=(-2, -1)) & (named.sum(axis=-1) > 0)
    known &= np.linalg.svd(rates, compute_uv=False)[..., -1] >= smallest
    rates = np.where(known[..., None, None], rates, np.eye(confusion.shape[-1]))
    q = named / np.maximum(named.sum(axis=-1, keepdims=True), TINY)
    share = np.linalg.solve(np.swapaxes(rates, -1, -2), q[..., None])[..., 0]
    return np.where(known[..., None], share, np.nan)


def resampled(key: jax.Array, confusion, named, resamples: int) -> np.ndarray:
    """Return `shares` of resamples of test images and of generated ones: float64 [R K L G].

    named: [K L G], counts of K sets of images, which share the test images of a resample. Resamples
    in which the judge could tell little are there, far out.
    """
    draw = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    exists = confusion.sum(axis=2) > 0
    rows = _drawn(draw, confusion, exists[:, :, None] & exists[:, None], resamples)
    images = _drawn(draw, named, exists & (named.sum(axis=-1, keepdims=True) > 0), resamples)
    return _solved(rows[:, None], images, SINGULAR)


def _drawn(draw: np.random.Generator, counts, possible, resamples: int) -> np.ndarray:
    """Return draws of the probabilities, times any number, that gave `counts`: [R ...].

    Dirichlet along the last axis, over where it is possible, with one more count spread there.
    """
    prior = possible / np.maximum(possible.sum(axis=-1, keepdims=True), 1)
    return draw.standard_gamma((counts + prior) * possible, (resamples, *counts.shape))

"""A mean over seeds and test images, with its uncertainty over both.

Every seed is measured on the same test images: the two are crossed factors, and an interval over
seeds alone leaves out the luck of the test set. With x_si the contribution of image i in seed s,
the estimate is the mean over seeds of sum_i x_si, and

    Var = sigma_s^2 / S  +  sigma_i^2 / n  +  sigma_si^2 / (S n).

The variance between seeds holds the first and the last term, that between images the second and the
last; the last is taken off once. The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2,
1946).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from jaxloop.statistics import CONFIDENCE, NEGLIGIBLE

POWER = 0.80


class Crossed(NamedTuple):
    """An estimate of something that is 0 where nothing changes.

    estimate: None without any seed.
    error: its standard error; None with one seed, or where neither seeds nor images differ.
    degrees: of freedom of the error.
    by_seed, by_image, by_both: the parts of error^2, as shares of it would not add up where one is
      estimated below 0 and set to 0.  between: the variance of the mean between seeds, which is
      by_seed + by_both but for that; the degrees are of it and by_image.
    num_seeds, num_missing: seeds with a value, and without.  num_images: test images used.
    """

    estimate: float | None
    error: float | None
    degrees: float | None
    by_seed: float
    by_image: float
    by_both: float
    between: float
    num_seeds: int
    num_missing: int
    num_images: int

    def interval(self) -> tuple[float | None, float | None]:
        """Return the two-sided interval of CONFIDENCE."""
        if self.estimate is None or self.error is None:
            return None, None
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees)) * self.error
        return self.estimate - half, self.estimate + half

    def width(self) -> float | None:
        """Return how wide `interval` is; None without one."""
        low, high = self.interval()
        return None if low is None or high is None else high - low

    def p(self) -> float | None:
        """Return the two-sided p value of "it is 0"."""
        if self.estimate is None or self.error is None:
            return None
        return float(2 * stats.t.sf(abs(self.estimate) / self.error, self.degrees))

    def p_smaller(self, margin: float) -> float | None:
        """Return the p value of "it is at least `margin` away from 0": two one-sided t-tests."""
        if self.estimate is None or self.error is None:
            return None
        return float(stats.t.sf((margin - abs(self.estimate)) / self.error, self.degrees))

    def smallest_detectable(self, num_tests: int = 1) -> float | None:
        """Return the smallest change told from 0 with power POWER, at the first of Holm's steps."""
        if self.error is None or self.degrees is None:
            return None
        alpha = (1 - CONFIDENCE) / num_tests
        return self.error * _reach(self.degrees, alpha)

    def planned(self, num_seeds: int, images: float = 1.0, num_tests: int = 1) -> float | None:
        """Return `smallest_detectable` of so many seeds and `images` times the test images."""
        if self.error is None:
            return None
        seeds = self.by_seed * self.num_seeds / num_seeds
        both = self.by_both * self.num_seeds / (num_seeds * images)
        image = self.by_image / images
        error = math.sqrt(seeds + both + image)
        now = self.by_seed + self.by_both
        between = self.between * (seeds + both) / now if now else 0.0
        degrees = _satterthwaite(between, num_seeds, image, self.num_images * images)
        return error * _reach(degrees, (1 - CONFIDENCE) / num_tests)


def crossed(values: np.ndarray, contribution: np.ndarray, stratum: np.ndarray) -> Crossed:
    """Return the mean over seeds.

    Args:
      values: float [S], NaN where a seed has none.
      contribution: float [S n], what each image adds to the value of a seed (see `gaps.Gap`).
      stratum: int [n], among whose images the choice of test images is random; -1: not used.
    """
    has = np.isfinite(values)
    num, missing, used = int(has.sum()), int((~has).sum()), stratum >= 0
    nothing = Crossed(None, None, None, 0.0, 0.0, 0.0, 0.0, num, missing, int(used.sum()))
    if num == 0:
        return nothing
    estimate = float(np.mean(values[has]))
    estimate = 0.0 if abs(estimate) < NEGLIGIBLE else estimate
    if num == 1:
        return nothing._replace(estimate=estimate)
    between = float(np.var(values[has], ddof=1)) / num
    over_images, both = _image_variances(contribution[has][:, used], stratum[used])
    variance = max(between + over_images - both, between, over_images)
    if variance < NEGLIGIBLE**2:
        return nothing._replace(estimate=estimate)
    image = max(over_images - both, 0.0)
    return Crossed(
        estimate=estimate,
        error=math.sqrt(variance),
        degrees=_satterthwaite(between, num, image, int(used.sum())),
        by_seed=max(variance - image - both, 0.0),
        by_image=image,
        by_both=min(both, variance - image),
        between=between,
        num_seeds=num,
        num_missing=missing,
        num_images=int(used.sum()),
    )


def _image_variances(contribution: np.ndarray, stratum: np.ndarray) -> tuple[float, float]:
    """Return the variance of the mean over seeds between images, and its part of seed x image.

    A stratum of one image is given the mean variance of the others' images.
    """
    num_seeds = len(contribution)
    _, index, size = np.unique(stratum, return_inverse=True, return_counts=True)
    membership = np.eye(len(size))[index] / size[index][:, None]
    mean = contribution.mean(axis=0)
    centred = mean - (mean @ membership)[index]
    residual = contribution - mean
    residual = residual - (residual @ membership)[:, index]
    squares = np.stack([centred**2, (residual**2).sum(axis=0) / (num_seeds * (num_seeds - 1))])
    free = size > 1
    factor = np.where(free, size / np.maximum(size - 1, 1), 0)[index]
    known = squares @ factor
    lonely, others = int((~free).sum()), int(size[free].sum())
    image, both = known * (1 + lonely / others) if others else known
    return float(image), float(both)


def _satterthwaite(between: float, num_seeds: int, image: float, num_images: float) -> float:
    squares = between**2 / (num_seeds - 1) + image**2 / max(num_images - 1, 1)
    return max((between + image) ** 2 / squares, 1.0) if squares > 0 else num_seeds - 1.0


def _reach(degrees: float, alpha: float) -> float:
    return float(stats.t.isf(alpha / 2, degrees) + stats.t.ppf(POWER, degrees))

"""The Fréchet distance between two sets of features, eq. (1) of the paper (Heusel et al., 2017).

    |mean_a - mean_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

With any factors A^T A = S_a and B^T B = S_b, the last trace is the sum of the singular values of A B^T, since their squares
are the eigenvalues of S_a S_b that are not 0. That needs no matrix square root, and holds whether or not there are more
images than features; the usual formula loses digits when there are not, as S is then singular.

Computed in float64 on the host, once a generation: float32 gives a plausible number that is wrong by several percent.
It is "FID" only in the features of the Inception-V3 of record.
"""

import numpy as np

from jaxloop.metrics.moments import Moments
from jaxloop.types import Array


def frechet_distance(features_a: Array, features_b: Array) -> float:
    """The Fréchet distance of eq. (1), with unbiased covariances, from the features themselves.

    Args:
      features_a: float [n d].  features_b: float [m d]. Any n, m and d.

    Returns:
      The distance (squared length in feature units), in [0, inf). NaN with fewer than two images on either side, or if
      a feature is not finite.

    Raises:
      ValueError: an argument is not [n d] with d >= 1, or the two differ in d.
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    for name, features in {"features_a": a, "features_b": b}.items():
        if features.ndim != 2 or features.shape[1] < 1:
            raise ValueError(f"{name} must be [n d] with d >= 1; its shape is {features.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features_a and features_b differ in d: {a.shape[1]} and {b.shape[1]}")
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    return _distance(a.mean(axis=0), _features_factor(a), b.mean(axis=0), _features_factor(b))


def from_moments(a: Moments, b: Moments) -> float:
    """The Fréchet distance of eq. (1) from gathered moments, for sets too large to keep.

    Moments are float32, so with fewer images than features (S singular) this is good to about 1e-4 relative only, where
    `frechet_distance` is exact.

    Args:
      a, b: Moments of features in the same space.

    Returns:
      As `frechet_distance`.

    Raises:
      ValueError: the two differ in d.
    """
    if np.shape(a.mean) != np.shape(b.mean):
        raise ValueError(f"moments differ in the number of features: {np.shape(a.mean)} and {np.shape(b.mean)}")
    if min(int(a.count), int(b.count)) < 2 or not all(np.isfinite(x).all() for x in (*a, *b)):
        return float("nan")
    mean_a, mean_b = np.asarray(a.mean, np.float64), np.asarray(b.mean, np.float64)
    return _distance(mean_a, _moments_factor(a), mean_b, _moments_factor(b))


def _distance(mean_a: np.ndarray, factor_a: np.ndarray, mean_b: np.ndarray, factor_b: np.ndarray) -> float:
    """Eq. (1) from means [d] and factors [k d] of the covariances."""
    cross = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(factor_a**2) + np.sum(factor_b**2) - 2 * cross
    return max(float(distance), 0.0)  # never negative but for rounding


def _features_factor(features: np.ndarray) -> np.ndarray:
    """[min(n, d), d], A with A^T A = the covariance: the centred features, or their triangular factor if smaller."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred


def _moments_factor(moments: Moments) -> np.ndarray:
    """[d d], A with A^T A = the covariance. Eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(np.asarray(moments.m2, np.float64) / (int(moments.count) - 1))
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T

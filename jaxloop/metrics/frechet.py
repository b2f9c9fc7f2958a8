"""The Fréchet distance between two sets of features, eq. (1) of the paper (Heusel et al., 2017).

    |mean_a - mean_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

It needs no matrix square root. The eigenvalues of S_a S_b that are not 0 are those of M = L^T S_b
L, for any L L^T = S_a, and M is symmetric. They are also the squares of the singular values of A
B^T, for any factors A^T A = S_a, B^T B = S_b. Hence two ways to the last trace, in float64 on the
host (float32 would be wrong by several percent):

- by covariances: a Cholesky factor L and the eigenvalues of M. Rounding moves an eigenvalue by up
  to ROUNDING |S_a| |S_b|, so a root that is near 0 loses half of its digits. The bound of what all
  roots are off by, all roundings of one sign, is computed with them; errors were below a hundredth
  of it.
- by factors: the singular values of A B^T, without squares, so exact to rounding whatever the rank:
  fewer images than features, a constant feature, equal sets. It takes about three times as long.

The first is taken where it exists and its bound is below TOLERANCE of the distance. The distance is
"FID" only in the features of the Inception-V3 of record.
"""

import numpy as np

from jaxloop.metrics.moments import Moments

TOLERANCE = 1e-3  # of the distance: the worst case that is let pass
ROUNDING = 2.0**-52  # of |S_a| |S_b| (Frobenius norms): the error of M's eigenvalues


def frechet_distance(features_a, features_b) -> float:
    """Return the Fréchet distance of eq. (1), with unbiased covariances, from the features.

    features_a, features_b: float [n d] and [m d], any n, m and d >= 1. In [0, inf), squared feature
    units; NaN with fewer than two images on either side, or if a feature is not finite.
    """
    a, b = _check(features_a, features_b)
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    (mean_a, a), (mean_b, b) = _centred(a), _centred(b)
    apart = np.sum((mean_a - mean_b) ** 2) + np.vdot(a, a) + np.vdot(b, b)
    full_rank = min(len(a), len(b)) > a.shape[1]
    distance = _by_covariances(apart, a.T @ a, b.T @ b) if full_rank else None
    return _by_factors(apart, _short(a), _short(b)) if distance is None else distance


def from_moments(a: Moments, b: Moments) -> float:
    """Return `frechet_distance` from gathered moments, for sets too large to keep.

    Moments are float32. With more images than features that moves the distance by 1e-7 to 1e-5 of
    itself; by more where the mean is large (2e-4 at 1,000 deviations), or where variances fall over
    more than eight decades (4e-4 at eleven). With fewer images than features S is singular: each
    zero eigenvalue comes out as about 1e-8 of the largest, and its root counts: 1e-5 to 1e-3.
    """
    if np.shape(a.mean) != np.shape(b.mean):
        raise ValueError(f"moments differ in d: {np.shape(a.mean)} and {np.shape(b.mean)}")
    if min(int(a.count), int(b.count)) < 2 or not all(np.isfinite(x).all() for x in (*a, *b)):
        return float("nan")
    covariance_a, covariance_b = (np.asarray(x.m2, np.float64) / (int(x.count) - 1) for x in (a, b))
    gap = np.asarray(a.mean, np.float64) - np.asarray(b.mean, np.float64)
    apart = np.sum(gap**2) + np.trace(covariance_a) + np.trace(covariance_b)
    distance = _by_covariances(apart, covariance_a, covariance_b)
    factors = (_root(x) for x in (covariance_a, covariance_b))
    return _by_factors(apart, *factors) if distance is None else distance


def by_class(features_a, label_a, features_b, label_b, num_classes: int) -> np.ndarray:
    """Return `frechet_distance` within each class: float64 [num_classes].

    label_a: int [n], label_b: int [m]; an image with a label outside [0, L) is in no class.
    """
    a, b = _check(features_a, features_b)
    label_a, label_b = np.asarray(label_a), np.asarray(label_b)
    for name, label, features in (("label_a", label_a, a), ("label_b", label_b, b)):
        if label.shape != features.shape[:1]:
            raise ValueError(f"{name} must have shape {features.shape[:1]}, not {label.shape}")
    classes = range(num_classes)
    return np.array([frechet_distance(a[label_a == c], b[label_b == c]) for c in classes], float)


def _check(features_a, features_b) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(features_a), np.asarray(features_b)
    for name, features in {"features_a": a, "features_b": b}.items():
        if features.ndim != 2 or features.shape[1] < 1:
            raise ValueError(f"{name} must be [n d] with d >= 1; its shape is {features.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features_a and features_b differ in d: {a.shape[1]} and {b.shape[1]}")
    return a, b


def _by_covariances(apart: float, covariance_a, covariance_b) -> float | None:
    """Return eq. (1) from `apart`, the sum of its other terms; None where not good enough."""
    try:
        factor = np.linalg.cholesky(covariance_a)
        values = np.clip(np.linalg.eigvalsh(factor.T @ covariance_b @ factor), 0, None)
    except np.linalg.LinAlgError:  # not of full rank; or, hardly ever, without convergence
        return None
    distance = apart - 2 * np.sqrt(values).sum()
    off = ROUNDING * np.linalg.norm(covariance_a) * np.linalg.norm(covariance_b)
    # |sqrt(v + off) - sqrt(v)| is at most off / sqrt(v), and at most sqrt(off).
    error = 2 * np.sum(off / np.sqrt(np.maximum(values, off))) if off > 0 else 0.0
    return float(distance) if error <= TOLERANCE * distance else None


def _by_factors(apart: float, factor_a: np.ndarray, factor_b: np.ndarray) -> float:
    """Return eq. (1) from `apart`, the sum of its other terms, and factors [k d], [l d]."""
    distance = apart - 2 * np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    return max(float(distance), 0.0)  # never negative but for rounding


def _centred(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean [d], and the centred features as a factor [n d] of the covariance."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    centred /= np.sqrt(len(features) - 1)
    return mean, centred


def _short(factor: np.ndarray) -> np.ndarray:
    """Return a factor of the same covariance with at most d rows."""
    rows, d = factor.shape
    return np.asarray(np.linalg.qr(factor, mode="r")) if rows > d else factor


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return A [d d] with A^T A = the covariance. Eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T

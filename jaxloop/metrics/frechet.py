"""The Fréchet distance between two sets of features, eq. (1) of the paper (Heusel et al., 2017).

    |mean_a - mean_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))

It needs no matrix square root. The eigenvalues of S_a S_b that are not 0 are those of M = L^T S_b L, for any L L^T = S_a,
and M is symmetric. They are also the squares of the singular values of A B^T, for any factors A^T A = S_a, B^T B = S_b. Hence
two roads to the last trace, both in float64 on the host, whatever the features' type and the backend:

- by covariances: a Cholesky factor L and the eigenvalues of M. Rounding moves an eigenvalue by up to ROUNDING |S_a| |S_b|, so
  a root that is near 0 loses half of its digits. What all roots can be off by together is computed with them.
- by factors: the singular values of A B^T, without squares, so exact to rounding whatever the rank: fewer images than
  features, a constant feature, equal sets. With 10,000 x 2,048 features it takes about three times as long.

The first is taken where it exists and that bound is below TOLERANCE of the distance; else the second. The bound is for the
worst case, all roundings of one sign: over spectra from flat to 1 : 10^-11 the error was below a hundredth of it.

float32 would give a plausible number that is wrong by several percent. It is "FID" only in the features of the
Inception-V3 of record.
"""

import numpy as np

from jaxloop.metrics.moments import Moments
from jaxloop.types import Array

TOLERANCE = 1e-3  # of the distance: the worst case that is let pass
ROUNDING = np.finfo(
    np.float64
).eps  # of |S_a| |S_b| (Frobenius norms): what an eigenvalue of M may be off by


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
    a, b = _check(features_a, features_b)
    if min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    (mean_a, a), (mean_b, b) = _centred(a), _centred(b)
    apart = np.sum((mean_a - mean_b) ** 2) + np.vdot(a, a) + np.vdot(b, b)
    distance = (
        _by_covariances(apart, a.T @ a, b.T @ b) if min(len(a), len(b)) > a.shape[1] else None
    )
    return _by_factors(apart, _short(a), _short(b)) if distance is None else distance


def from_moments(a: Moments, b: Moments) -> float:
    """The Fréchet distance of eq. (1) from gathered moments, for sets too large to keep.

    Moments are float32. With more images than features that moves the distance by 1e-7 to 1e-5 of itself; by more where the
    mean is large, of which float32 keeps seven digits (2e-4 at 1,000 deviations), or where variances fall over more than eight
    decades (4e-4 at eleven). With fewer images than features S is singular: each of its zero eigenvalues comes out as about 1e-8 of the
    largest, and the root of that counts: 1e-5 to 1e-3. Where the features can be kept, `frechet_distance` has none of this.

    Args:
      a, b: Moments of features in the same space.

    Returns:
      As `frechet_distance`.

    Raises:
      ValueError: the two differ in d.
    """
    if np.shape(a.mean) != np.shape(b.mean):
        raise ValueError(
            f"moments differ in the number of features: {np.shape(a.mean)} and {np.shape(b.mean)}"
        )
    if min(int(a.count), int(b.count)) < 2 or not all(np.isfinite(x).all() for x in (*a, *b)):
        return float("nan")
    covariance_a, covariance_b = (np.asarray(x.m2, np.float64) / (int(x.count) - 1) for x in (a, b))
    gap = np.asarray(a.mean, np.float64) - np.asarray(b.mean, np.float64)
    apart = np.sum(gap**2) + np.trace(covariance_a) + np.trace(covariance_b)
    distance = _by_covariances(apart, covariance_a, covariance_b)
    return (
        _by_factors(apart, _root(covariance_a), _root(covariance_b))
        if distance is None
        else distance
    )


def by_class(
    features_a: Array, label_a: Array, features_b: Array, label_b: Array, num_classes: int
) -> np.ndarray:
    """`frechet_distance` within each class: how far the images of class l on one side are from those on the other.

    Args:
      features_a: float [n d].  features_b: float [m d].
      label_a: int [n], in [0, L); an image with any other label is in no class.  label_b: int [m].
      num_classes: L.

    Returns:
      float64 [L] in [0, inf); NaN for a class with fewer than two images on either side, or a feature that is not finite.

    Raises:
      ValueError: as `frechet_distance`, or a label is not a vector as long as its features.
    """
    a, b = _check(features_a, features_b)
    label_a, label_b = np.asarray(label_a), np.asarray(label_b)
    for name, label, features in (("label_a", label_a, a), ("label_b", label_b, b)):
        if label.shape != features.shape[:1]:
            raise ValueError(
                f"{name} must have shape {features.shape[:1]}, as its features have; it is {label.shape}"
            )
    return np.array(
        [frechet_distance(a[label_a == c], b[label_b == c]) for c in range(num_classes)], np.float64
    )


def _check(features_a: Array, features_b: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both on the host; ValueError, naming the argument, unless they are [n d] and [m d]."""
    a, b = np.asarray(features_a), np.asarray(features_b)
    for name, features in {"features_a": a, "features_b": b}.items():
        if features.ndim != 2 or features.shape[1] < 1:
            raise ValueError(f"{name} must be [n d] with d >= 1; its shape is {features.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features_a and features_b differ in d: {a.shape[1]} and {b.shape[1]}")
    return a, b


def _by_covariances(
    apart: float, covariance_a: np.ndarray, covariance_b: np.ndarray
) -> float | None:
    """Eq. (1) from `apart`, its terms before the last, and the covariances [d d]; None where it would not be good enough."""
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
    """Eq. (1) from `apart`, its terms before the last, and factors [k d], [l d] of the covariances."""
    distance = apart - 2 * np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    return max(float(distance), 0.0)  # never negative but for rounding


def _centred(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean [d], and the factor [n d] of the covariance that the centred features are; float64."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    centred /= np.sqrt(len(features) - 1)
    return mean, centred


def _short(factor: np.ndarray) -> np.ndarray:
    """A factor of the same covariance with at most d rows."""
    return np.linalg.qr(factor, mode="r") if factor.shape[0] > factor.shape[1] else factor


def _root(covariance: np.ndarray) -> np.ndarray:
    """[d d], A with A^T A = the covariance. Eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T

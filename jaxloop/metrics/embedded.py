"""A set of images in a network's features, and how far a generated set is from a real one in them.

The moments are over every image. All else uses a stratified sample of at most `limit` images, so
that memory and time are bounded.
"""

import contextlib
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxloop.features.network import Network
from jaxloop.files import write_atomic
from jaxloop.metrics import frechet, kid, moments, neighbours
from jaxloop.metrics.moments import Moments
from jaxloop.types import Array

CHUNK = 4096  # images embedded at a time: their features are all that is held of them
CACHE = "jaxloop-statistics/2"  # changes where a cached file would no longer be what `embed` gives


class Embedded(NamedTuple):
    """moments: of all images.  features: float32 [k d] and label: int32 [k], of the sample."""

    moments: Moments
    features: Array | np.ndarray
    label: Array | np.ndarray


class Comparison(NamedTuple):
    """frechet: of all images, eq. (1); all else of the samples.  frechet_by_class: float64 [L].

    NaN where a value does not exist.
    """

    frechet: float
    frechet_by_class: np.ndarray
    kid: kid.Kid
    neighbours: neighbours.Neighbours


def even(label: Array, limit: int) -> Array:
    """Return a stratified sample, each class with its share: int [min(n, limit)], ascending."""
    number = label.shape[0]
    size = min(number, limit)
    # Even steps through the set in its order would miss classes that take turns in it.
    by_class = jnp.argsort(jnp.asarray(label), stable=True)
    return jnp.sort(by_class[np.arange(size) * number // max(size, 1)])


def from_features(features: Array, label: Array, limit: int) -> Embedded:
    """Return `Embedded` of features [n d] that are all in memory. Pure."""
    index = even(label, limit)
    sample = features[index].astype(jnp.float32)
    return Embedded(moments.from_batch(features), sample, label[index].astype(jnp.int32))


def embed(
    network: Network, image: Array, label: Array, limit: int, progress=lambda n: None
) -> Embedded:
    """Return `Embedded` of images (uint8 [n h w 3]) that need not fit in memory as features.

    progress: called after every chunk, with the number of images in it.
    """
    index, sample = np.asarray(even(label, limit)), [np.zeros((0, network.dim), np.float32)]
    total = moments.empty(network.dim)
    for start in range(0, len(image), CHUNK):
        features = network(image[start : start + CHUNK])
        total = moments.merge(total, moments.from_batch(features))
        inside = index[(index >= start) & (index < start + CHUNK)]
        sample.append(features[inside - start])
        progress(len(features))
    return Embedded(total, np.concatenate(sample), np.asarray(label)[index].astype(np.int32))


def cached(
    folder: Path, network: Network, image: Array, label: Array, limit: int, progress=lambda n: None
) -> Embedded:
    """Return `embed`, kept in `folder` under a hash of all that it depends on.

    A file that is broken is replaced; where none can be written, nothing is kept.
    """
    path = folder / f"{_hash(network, image, label, limit)}.npz"
    if (embedded := _read(path)) is None:
        embedded = embed(network, image, label, limit, progress)
        arrays = embedded.moments._asdict() | embedded._asdict()
        del arrays["moments"]
        np.savez(out := io.BytesIO(), **arrays)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, out.getvalue())
    return embedded


def compare(key: Array, real: Embedded, generated: Embedded, num_classes: int) -> Comparison:
    """Return every distance between both sets, in one network's features; `key` is for KID."""
    features = real.features, generated.features
    # The features are exact where the moments, in float32, are not quite: with fewer images than d.
    if all(len(side.features) == int(side.moments.count) for side in (real, generated)):
        distance = frechet.frechet_distance(*features)
    else:
        distance = frechet.from_moments(real.moments, generated.moments)
    return Comparison(
        distance,
        frechet.by_class(features[0], real.label, features[1], generated.label, num_classes),
        kid.kernel_distance(key, *features),
        neighbours.prdc(*features),
    )


def total_variance(embedded: Embedded) -> float:
    """Return the trace of the covariance of the features; NaN below two images."""
    number = int(embedded.moments.count)
    trace = float(np.trace(np.asarray(embedded.moments.m2, np.float64)))
    return trace / (number - 1) if number > 1 else float("nan")


def _hash(network: Network, image: Array, label: Array, limit: int) -> str:
    settings = (
        CACHE, network.name, network.resize, network.sha256, network.settings, limit, image.shape,
        jax.__version__, jax.devices()[0].device_kind,
    )  # fmt: skip
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(np.ascontiguousarray(image).data)
    digest.update(np.ascontiguousarray(label, np.int32).data)
    return digest.hexdigest()


def _read(path: Path) -> Embedded | None:
    try:
        # np.load would leave a file open that is no archive.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*Moments._fields, "features", "label")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    features, label = arrays.pop("features"), arrays.pop("label")
    return Embedded(Moments(**arrays), features, label)

"""A set of images as a network sees it, and how far a generated set is from a real one in those features.

The moments are over every image. What needs the features themselves (KID, precision, recall, density, coverage, distances by
class) looks at an even sample of at most `limit` images, so that memory and time are bounded.
"""

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Callable
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
    """Features of a set of n images.

    moments: Moments of all n.
    features: float32 [k d], of the sample, k = min(n, limit).  label: int32 [k].
    """

    moments: Moments
    features: Array
    label: Array


class Comparison(NamedTuple):
    """A generated set beside a real one; NaN where a value does not exist.

    frechet: of all images, eq. (1).  frechet_by_class: float64 [L], of the samples.
    kid: mean and standard deviation over subsets of the samples.  neighbours: precision, recall, density, coverage.
    """

    frechet: float
    frechet_by_class: np.ndarray
    kid: kid.Kid
    neighbours: neighbours.Neighbours


def even(label: Array, limit: int) -> Array:
    """int [min(n, limit)], ascending: a sample in which every class has its share, in whatever order the images are.

    Pure; may be called inside jit.
    """
    number = label.shape[0]
    size = min(number, limit)
    # Even steps through the set in its own order would miss classes that take turns in it.
    by_class = jnp.argsort(jnp.asarray(label), stable=True)
    return jnp.sort(by_class[np.arange(size) * number // max(size, 1)])


def from_features(features: Array, label: Array, limit: int) -> Embedded:
    """`Embedded` of features [n d] that are all at hand. Pure; may be called inside jit."""
    index = even(label, limit)
    return Embedded(
        moments.from_batch(features),
        features[index].astype(jnp.float32),
        label[index].astype(jnp.int32),
    )


def embed(
    network: Network,
    image: Array,
    label: Array,
    limit: int,
    each: Callable[[int], None] = lambda n: None,
) -> Embedded:
    """`Embedded` of images that need not fit in memory as features.

    Args:
      image: uint8 [n h w 3].  label: int [n].
      limit: of the sample.
      each: called with the number of images done after every chunk.
    """
    wanted, found = np.asarray(even(label, limit)), []
    total = moments.empty(network.dim)
    for start in range(0, len(image), CHUNK):
        features = network(image[start : start + CHUNK])
        total = moments.merge(total, moments.from_batch(features))
        here = wanted[(wanted >= start) & (wanted < start + CHUNK)]
        found.append(features[here - start])
        each(len(features))
    sample = np.concatenate(found) if found else np.zeros((0, network.dim), np.float32)
    return Embedded(total, sample, np.asarray(label)[wanted].astype(np.int32))


def cached(
    folder: Path, network: Network, image: Array, label: Array, limit: int, each=lambda n: None
) -> Embedded:
    """`embed`, remembered in `folder` under a hash of all that it depends on: images, labels, limit, network, device, JAX.

    A file that is broken is made again; where none can be written, nothing is remembered.
    """
    path = folder / f"{_name(network, image, label, limit)}.npz"
    if (found := _read(path)) is None:
        found = embed(network, image, label, limit, each)
        out = io.BytesIO()
        np.savez(out, **found.moments._asdict(), features=found.features, label=found.label)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, out.getvalue())
    return found


def compare(key: Array, real: Embedded, made: Embedded, num_classes: int) -> Comparison:
    """Every distance between a real and a generated set, in one network's features. On the host.

    Args:
      key: for the subsets of KID, from `jaxloop.keys`.
      real, made: of the same network.
      num_classes: L.
    """
    # The features are exact where the moments, in float32, are not quite: with fewer images than features.
    whole = all(len(side.features) == int(side.moments.count) for side in (real, made))
    return Comparison(
        frechet=frechet.frechet_distance(real.features, made.features)
        if whole
        else frechet.from_moments(real.moments, made.moments),
        frechet_by_class=frechet.by_class(
            real.features, real.label, made.features, made.label, num_classes
        ),
        kid=kid.kid(key, real.features, made.features),
        neighbours=neighbours.neighbours(real.features, made.features),
    )


def total_variance(embedded: Embedded) -> float:
    """The trace of the covariance of the features: the mean squared distance of an image from the mean. NaN below two images."""
    number = int(embedded.moments.count)
    return (
        float(np.trace(np.asarray(embedded.moments.m2, np.float64))) / (number - 1)
        if number > 1
        else float("nan")
    )


def _name(network: Network, image: Array, label: Array, limit: int) -> str:
    told = (
        CACHE, network.name, network.resize, network.sha256, network.settings, limit, image.shape,
        jax.__version__, jax.devices()[0].device_kind,
    )  # fmt: skip
    digest = hashlib.sha256(repr(told).encode())
    digest.update(np.ascontiguousarray(image))
    digest.update(np.ascontiguousarray(label, np.int32))
    return digest.hexdigest()


def _read(path: Path) -> Embedded | None:
    try:
        # Opened here: np.load leaves a file that is no archive open.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in (*Moments._fields, "features", "label")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Embedded(
        Moments(*(arrays[name] for name in Moments._fields)), arrays["features"], arrays["label"]
    )

"""How far the generated images are from the real ones, as records: in the reference's features and in every network's."""

import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from jaxloop import files, keys
from jaxloop.features import inception
from jaxloop.loop.generation import Parts
from jaxloop.loop.log import Log
from jaxloop.metrics import embedded
from jaxloop.metrics.embedded import Embedded
from jaxloop.types import Samples


def embed_real(parts: Parts) -> Parts:
    """The same parts with the real training images in the features of every network: looked up, or worked out once."""
    limit, train = parts.spec.measure.images, Samples(*(np.asarray(x) for x in parts.train))
    real = {}
    for name, network in parts.networks.items():
        total, quiet = len(train.label), not sys.stderr.isatty()
        with tqdm(
            total=total, desc=f"real images in the features of {name}", unit="", leave=False, disable=quiet
        ) as bar:
            real[name] = embedded.cached(
                files.cache("statistics"), network, train.image, train.label, limit, bar.update
            )
    return parts._replace(real=real)


def add_real(log: Log, network: str, real: Embedded) -> None:
    """The total variance of the real images' features: the scale that a Fréchet distance is to be read on."""
    log.add("real", f"feature_variance_{network}", embedded.total_variance(real))


def add(log: Log, parts: Parts, network: str, real: Embedded, made: Embedded | None, why: str | None) -> None:
    """Every distance in the features of `network`, for one seed and generation. `made` is None where `why` says so."""
    name = "fid" if network == "inception" else f"fd_{network}"
    pairs = (f"{measure}_{network}" for measure in ("kid", "kid_std", "precision", "recall", "density", "coverage"))
    if made is None:
        for metric in (name, *pairs):
            log.add("generator", metric, np.nan, why)
        return
    key = keys.stage_key(keys.root_key(log.seed), f"kid/{network}", log.generation)
    found = embedded.compare(key, real, made, parts.num_classes)
    told = parts.networks.get(network)
    d = made.features.shape[1]
    facts = {"d": d, "resize": told.resize if told else "none", "sha256": told.sha256 if told else None}
    sizes = lambda a, b: {"n": int(a), "n_real": int(b), **facts}  # noqa: E731

    of_all = sizes(made.moments.count, real.moments.count)
    log.add("generator", name, found.frechet, "fewer than two images", features=of_all)
    if warned := [*_short(of_all), *_foreign(network, facts["sha256"])]:
        log.note("generator", name, "; ".join(warned))
    of_sample = sizes(len(made.features), len(real.features))
    for metric, value in zip(pairs, (found.kid.mean, found.kid.std, *found.neighbours), strict=True):
        log.add("generator", metric, value, "too few images", features=of_sample)
    for label, value in enumerate(found.frechet_by_class):
        of_class = sizes(*((np.asarray(side.label) == label).sum() for side in (made, real)))
        log.add("generator", name, value, "fewer than two images of the class", features=of_class, **{"class": label})


def _short(of: dict) -> Iterator[str]:
    """The warning that a Fréchet distance needs where a covariance has not full rank."""
    n, d = min(of["n"], of["n_real"]), of["d"]
    if n < d:
        yield f"{n} images are fewer than the {d} features: the distance is biased upward, compare equal n only"


def _foreign(network: str, sha256: str | None) -> Iterator[str]:
    """The warning that a number called FID needs where the weights are not those of the literature."""
    if network == "inception" and sha256 != inception.SHA256:
        yield "the weights are not those published for the FID: compare within this run only"

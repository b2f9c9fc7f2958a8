"""How far the generated images are from the real ones, as records: in the reference's features and in every network's."""

import sys

import numpy as np
from tqdm import tqdm

from jaxloop import files, keys
from jaxloop.features import inception
from jaxloop.records import Log
from jaxloop.loop.experiment import Parts
from jaxloop.metrics import embedded
from jaxloop.metrics.embedded import Embedded
from jaxloop.types import Samples


def embed_real(parts: Parts) -> Parts:
    """The same parts with the real training images in the features of every network: looked up, or worked out once."""
    if not parts.networks:
        return parts
    limit, train = parts.spec.measure.images, Samples(*(np.asarray(x) for x in parts.train))
    real = {}
    for name, network in parts.networks.items():
        total, quiet = len(train.label), not sys.stderr.isatty()
        with tqdm(
            total=total,
            desc=f"real images in the features of {name}",
            unit="",
            leave=False,
            disable=quiet,
        ) as bar:
            real[name] = embedded.cached(
                files.cache("statistics"), network, train.image, train.label, limit, bar.update
            )
    return parts._replace(real=real)


def add_real(log: Log, network: str, real: Embedded | None) -> None:
    """The total variance of the real images' features: the scale that a Fréchet distance is to be read on."""
    value = np.nan if real is None else embedded.total_variance(real)
    log.add("real", f"feature_variance_{network}", value, f"{network} diverged in generation 0")


def add(
    log: Log, parts: Parts, network: str, real: Embedded, made: Embedded | None, why: str | None
) -> None:
    """Every distance in the features of `network`, for one seed and generation. `made` is None where `why` says so."""
    told = parts.networks.get(network)
    sha256 = told.sha256 if told else None
    # Only in the features of record is it the FID: other weights give other numbers, and get another name.
    name = "fid" if sha256 == inception.SHA256 else f"fd_{network}"
    pairs = [
        f"{measure}_{network}"
        for measure in ("kid", "kid_std", "precision", "recall", "density", "coverage")
    ]
    if made is None:
        for metric in (name, *pairs):
            log.add("generator", metric, np.nan, why)
        for label in range(parts.num_classes):
            log.add("generator", name, np.nan, why, **{"class": label})
        return
    key = keys.stage_key(keys.root_key(log.seed), f"kid/{network}", log.generation)
    found = embedded.compare(key, real, made, parts.num_classes)
    facts = {
        "d": made.features.shape[1],
        "resize": told.resize if told else "none",
        "sha256": sha256,
    }
    finite = all(np.isfinite(side.features).all() for side in (real, made))
    why = "too few images" if finite else "a feature is not finite"

    def add_distance(value: float, n: int, n_real: int, **where: int) -> None:
        of = {"n": n, "n_real": n_real, **facts}
        log.add("generator", name, value, why, features=of, **where)
        if min(n, n_real) <= of["d"] and np.isfinite(
            value
        ):  # the covariance of n images has rank n - 1 at most
            short = f"with {min(n, n_real)} images and {of['d']} features the distance is biased upward: compare equal n only"
            log.note("generator", name, short, **where)

    add_distance(found.frechet, int(made.moments.count), int(real.moments.count))
    for label, value in enumerate(found.frechet_by_class):
        of_class = (int((np.asarray(side.label) == label).sum()) for side in (made, real))
        add_distance(value, *of_class, **{"class": label})
    of_sample = {"n": len(made.features), "n_real": len(real.features), **facts}
    for metric, value in zip(
        pairs, (found.kid.mean, found.kid.std, *found.neighbours), strict=True
    ):
        subset = {"subset_size": found.kid.subset_size} if metric.startswith("kid") else {}
        log.add("generator", metric, value, why, features=of_sample | subset)

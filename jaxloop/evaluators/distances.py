"""How far generated images are from real ones, in the reference's features and in every
network's."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxloop import files, keys
from jaxloop.classifiers import training
from jaxloop.data.source import InMemory
from jaxloop.devices import join, select, to_host
from jaxloop.evaluators.generation import kept_samples
from jaxloop.features import inception
from jaxloop.features.network import Network
from jaxloop.loop.experiment import Constants, Experiment, nothing, over_seeds
from jaxloop.loop.state import LoopState
from jaxloop.metrics import embedded
from jaxloop.metrics.embedded import Embedded
from jaxloop.records import Log

PAIRED = ("kid", "kid_std", "precision", "recall", "density", "coverage")


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    constants, networks = experiment.constants, experiment.networks
    limit, reference = experiment.spec.measure.images, experiment.reference
    real_in_networks = _embed_real(networks, constants.train.in_memory, limit)
    real_in_reference: list[Embedded] = []  # one a seed, as soon as there is a reference
    embed_real = over_seeds(experiment, embed_train)
    embed_generated = over_seeds(experiment, embed_kept)

    def evaluate(state: LoopState) -> list[dict]:
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        diverged = to_host(select(state.reference, lambda r: r.diverged))
        if not real_in_reference:
            embedded_real = embed_real(nothing(state.reference), state.reference, constants)
            real_in_reference.extend(to_host(embedded_real))
        if state.cursor.generation == 0:
            for log, real, unknown in zip(logs, real_in_reference, diverged, strict=True):
                for network, real_features in real_in_networks.items():
                    _add_variance(log, network, real_features)
                _add_variance(log, reference, None if unknown else real)
            return [record for log in logs for record in log.records]
        index = select(state.selection, lambda s: s.kept_index)
        inputs = join(state.reference, state.samples, index)
        generated = to_host(embed_generated(nothing(inputs), inputs, ()))
        for i, (log, kept, broken) in enumerate(zip(logs, *kept_samples(state), strict=True)):
            reason = "generator_diverged" if broken else None
            unseen = reason or ("reference_diverged" if diverged[i] else None)
            features = None if unseen else generated[i]
            _add(log, reference, None, real_in_reference[i], features, experiment, unseen)
            for name, network in networks.items():
                features = None
                if not broken:
                    features = embedded.embed(network, kept.image, kept.label, limit)
                _add(log, name, network, real_in_networks[name], features, experiment, reason)
        return [record for log in logs for record in log.records]

    return evaluate


def embed_train(experiment: Experiment, state, reference, constants: Constants) -> Embedded:
    """Return the real training images in the features of the reference."""
    train = constants.train.in_memory
    return _embed(experiment, reference, train.image, train.label)


def embed_kept(experiment: Experiment, state, inputs, constants) -> Embedded:
    """Return the kept images in the features of the reference."""
    reference, samples, index = inputs
    return _embed(experiment, reference, samples.image[index], samples.label[index])


def _embed(experiment: Experiment, reference, image, label) -> Embedded:
    trainer = experiment.trainers[experiment.reference]
    features = training.features(trainer, reference.variables, image)
    return embedded.from_features(features, label, experiment.spec.measure.images)


def _embed_real(networks: dict[str, Network], train: InMemory, limit: int) -> dict[str, Embedded]:
    """Return the real training images in the features of every network: cached, or computed
    once."""
    real = {}
    for name, network in networks.items():
        image: Any = np.asarray(train.image)
        label: Any = np.asarray(train.label)
        title, quiet = f"real images in the features of {name}", not sys.stderr.isatty()
        with tqdm(total=len(label), desc=title, unit="", leave=False, disable=quiet) as bar:
            folder = files.cache("statistics")
            real[name] = embedded.cached(folder, network, image, label, limit, bar.update)
    return real


def _add_variance(log: Log, network: str, real: Embedded | None) -> None:
    """Add the total variance of the real features: the scale of a Fréchet distance."""
    value = np.nan if real is None else embedded.total_variance(real)
    log.add("real", "feature_variance", value, "reference_diverged", network=network)


def _add(
    log: Log,
    name: str,
    network: Network | None,
    real: Embedded,
    kept: Embedded | None,
    experiment: Experiment,
    reason: str | None,
) -> None:
    """Add every distance in one network's features. `kept` is None where `reason` says so."""
    sha256, num_classes = network.sha256 if network else None, experiment.num_classes
    # Only in the features of record is it the FID: other weights give other numbers.
    metric = "fid" if sha256 == inception.SHA256 else "frechet_distance"
    if kept is None:
        for one_metric in (metric, *PAIRED):
            log.add("generator", one_metric, np.nan, reason, network=name)
        for label in range(num_classes):
            where: dict[str, Any] = {"class": label}
            log.add("generator", metric, np.nan, reason, network=name, **where)
        return
    key = keys.stage_key(keys.root_key(log.seed), f"kid/{name}", log.generation)
    comparison = embedded.compare(key, real, kept, num_classes)
    dim = kept.features.shape[1]
    facts = {"d": dim, "resize": network.resize if network else "none", "sha256": sha256}
    finite = all(np.isfinite(side.features).all() for side in (real, kept))
    reason = "too_few_images" if finite else "nonfinite_feature"

    def add_frechet(value: float, n: int, n_real: int, **where: Any) -> None:
        caveat = "rank_deficient" if min(n, n_real) <= dim else None
        features = {"n": n, "n_real": n_real, **facts}
        log.add(
            "generator", metric, value, reason,
            caveat=caveat, features=features, network=name, **where,
        )  # fmt: skip

    add_frechet(comparison.frechet, int(kept.moments.count), int(real.moments.count))
    for label, value in enumerate(comparison.frechet_by_class):
        n, n_real = (int((np.asarray(side.label) == label).sum()) for side in (kept, real))
        add_frechet(value, n, n_real, **{"class": label})
    sampled = {"n": len(kept.features), "n_real": len(real.features), **facts}
    values = comparison.kid.mean, comparison.kid.std, *comparison.neighbours
    for one_metric, value in zip(PAIRED, values, strict=True):
        kid = one_metric.startswith("kid")
        subset = {"subset_size": comparison.kid.subset_size} if kid else {}
        log.add("generator", one_metric, value, reason, features=sampled | subset, network=name)

"""What a generation leaves behind, as records (see report/records.py for the log that they go into)."""

import numpy as np

from jaxloop import keys
from jaxloop.devices import unstack
from jaxloop.evaluators import distances
from jaxloop.evaluators import filtering as audit
from jaxloop.records import Log
from jaxloop.loop.experiment import Parts
from jaxloop.loop.stages import Compiled
from jaxloop.loop.state import LoopState
from jaxloop.metrics import bootstrap, embedded, fairness, generated
from jaxloop.types import Samples

PER_CLASS = ("meo_per_class", "di_per_class", "md_per_class")


def of_data(parts: Parts) -> list[dict]:
    """What is known of the real training set, once a seed (generation 0): what the generated set is compared with."""
    shares = generated.subgroup_share(
        parts.train.group, parts.train.label, parts.num_classes, parts.num_groups
    )
    records = []
    for seed in parts.spec.seeds:
        log = Log(seed, 0)
        _add_shares(log, "real", shares)
        audit.add_real(log, parts)
        for network, real in parts.real.items():
            distances.add_real(log, network, real)
        records += log.records
    return records


def of_generation(parts: Parts, compiled: Compiled, state: LoopState, own_seeds) -> list[dict]:
    """Every record of the generation that `state` has just finished, for all seeds."""
    generation = state.cursor.generation
    per_seed = {
        name: unstack(compiled.classify[name]((own_seeds, state.classifiers[name]), parts.test))
        for name in parts.trainers
    }
    stopped = {name: unstack(state.classifiers[name]) for name in parts.trainers}
    looked = (
        unstack(
            compiled.look(
                (own_seeds, state.reference, state.pending.samples, state.pending.kept_index)
            )
        )
        if generation
        else None
    )
    rest = unstack((state.pending, state.reference, state.generator_diverged))
    resamples = parts.spec.measure.bootstrap
    records = []
    for i, seed in enumerate(parts.spec.seeds):
        log = Log(seed, generation)
        for name in parts.trainers:
            key = keys.stage_key(keys.root_key(seed), f"bootstrap/{name}", generation)
            _add_classifier(log, name, per_seed[name][i], stopped[name][i], key, resamples)
        pending, reference, diverged = rest[i]
        if generation == 0:
            distances.add_real(
                log, parts.reference, None if bool(reference.diverged) else reference.real
            )
        if looked:
            _add_generator(log, parts, *looked[i], pending, reference, bool(diverged))
            audit.add(log, parts, pending, bool(diverged))
        records += log.records
    return records


def _add_classifier(log: Log, name: str, counted, state, key, resamples: int) -> None:
    diverged = bool(state.diverged)
    broken = (
        f"diverged in epoch {int(state.epoch)} (or had nothing to train on): no measure of it exists"
        if diverged
        else None
    )
    log.add(name, "diverged", diverged)
    log.add(name, "epochs_trained", state.epoch)
    log.add(name, "validation_loss", np.nan if diverged else state.best_loss, broken)
    measures = {m: np.asarray(value) for m, value in fairness.from_counts(counted).items()}
    reasons = fairness.why_missing(counted)
    if diverged:
        measures = {m: np.full_like(value, np.nan) for m, value in measures.items()}
        reasons = dict.fromkeys(measures, broken)
    spread = bootstrap.intervals(key, counted, resamples) if resamples and not diverged else {}
    spread = {m: np.asarray(ends) for m, ends in spread.items()}

    def within(metric: str, *index: int):
        return spread[metric][:, *index] if spread else None

    for metric in ("accuracy", "meo", "di", "md", *PER_CLASS):
        log.add(name, metric, measures[metric], reasons.get(metric), within(metric))
        if not np.isnan(measures[metric]) and metric in reasons:
            log.note(name, metric, reasons[metric])  # a mean that leaves classes out
    for rank, value in enumerate(measures["acc_rank"], start=1):
        log.add(
            name, f"acc_rank_{rank}", value, reasons.get("acc_rank"), within("acc_rank", rank - 1)
        )
    for group, value in enumerate(measures["group_accuracy"]):
        log.add(
            name,
            "group_accuracy",
            value,
            reasons.get("group_accuracy"),
            within("group_accuracy", group),
            group=group,
        )
    for (label, group), value in np.ndenumerate(measures["class_group_accuracy"]):
        ends = within("class_group_accuracy", label, group)
        log.add(
            name,
            "group_accuracy",
            value,
            reasons.get("class_group_accuracy"),
            ends,
            **{"class": label, "group": group},
        )


def _add_generator(
    log: Log, parts: Parts, predicted, seen, pending, reference, diverged: bool
) -> None:
    """Measures of the kept images. Those that need the reference do not exist if it diverged."""
    broken = (
        "the generator diverged (or had nothing to train on): nothing of this generation was pushed"
        if diverged
        else None
    )
    blind = (
        f"{parts.reference} diverged in generation 0: nobody can judge"
        if bool(reference.diverged)
        else None
    )
    unjudged = broken or blind
    log.add("generator", "diverged", diverged)
    kept = Samples(*(np.asarray(x)[np.asarray(pending.kept_index)] for x in pending.samples))
    agreement = np.nan if unjudged else generated.label_agreement(predicted, kept.label)
    distances.add(log, parts, parts.reference, reference.real, None if unjudged else seen, unjudged)
    for name, network in parts.networks.items():
        made = (
            None
            if diverged
            else embedded.embed(network, kept.image, kept.label, parts.spec.measure.images)
        )
        distances.add(log, parts, name, parts.real[name], made, broken)
    log.add("generator", "label_agreement", agreement, unjudged)
    diversity = generated.within_class_diversity(
        kept.image, kept.label, parts.train.image, parts.train.label, parts.num_classes
    )
    few = "a class has fewer than two images, or all of its real ones are alike"
    log.add("generator", "within_class_diversity", np.nan if diverged else diversity, broken or few)
    shares = generated.subgroup_share(kept.group, kept.label, parts.num_classes, parts.num_groups)
    if diverged:
        shares = generated.Shares(*(np.full_like(share, np.nan) for share in shares))
    _add_shares(log, "generator", shares, broken or "no image of the class was kept")


def _add_shares(log: Log, subject: str, shares: generated.Shares, why: str | None = None) -> None:
    for group, value in enumerate(np.asarray(shares.overall)):
        log.add(subject, "subgroup_share", value, why, group=group)
    for (label, group), value in np.ndenumerate(np.asarray(shares.by_class)):
        log.add(subject, "subgroup_share", value, why, **{"class": label, "group": group})
    log.add(subject, "unknown_share", shares.unknown, why)

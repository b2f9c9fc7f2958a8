"""What the filter did: which images it dropped, and what share of the kept ones each subgroup has.

Subgroups are also named by rarity: the k-th rarest of its class among the real training images,
pooled over classes, 1 = rarest. Where every class has another majority, as in digits whose classes
prefer different colours, only this shows what becomes of minorities: pooled by name, the majority
of one class hides the minority of another.
"""

from collections.abc import Callable

import numpy as np

from jaxloop import filters, statistics
from jaxloop.devices import to_host
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState, Selection
from jaxloop.metrics import generated
from jaxloop.records import Log


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    train = experiment.constants.train
    label, group = np.asarray(train.label), np.asarray(train.group)
    real, _ = _counts(experiment, np.ones(len(label), bool), label, group)
    order = np.argsort(real[:, :-1], axis=1, kind="stable")  # rarest first; ties by their number

    def evaluate(state: LoopState) -> list[dict]:
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        if state.cursor.generation == 0:
            for log in logs:
                _add_shares_by_rarity(log, "real", _by_rarity(real, order), real.sum(), None)
            return [record for log in logs for record in log.records]
        columns = (state.samples, state.selection, state.generator_diverged)
        for log, samples, selection, diverged in zip(logs, *map(to_host, columns), strict=True):
            counts = _counts(experiment, selection.kept, samples.label, samples.group)
            _add(log, experiment, selection, counts, order, bool(diverged))
        return [record for log in logs for record in log.records]

    return evaluate


def _add(
    log: Log, experiment: Experiment, selection: Selection, counts, order, diverged: bool
) -> None:
    """Add what the filter did with one generation; of a generator that diverged nothing exists."""
    reason = "generator_diverged" if diverged else None
    total, dropped = np.zeros_like(counts) if diverged else counts
    unknown = "no_images" if experiment.image_group else "group_unknown"
    by_rarity = _by_rarity(total, order), _by_rarity(dropped, order)
    _add_rates(
        log,
        experiment,
        total,
        dropped,
        by_rarity,
        reason or unknown,
        _caveat(experiment, selection),
    )
    kept = (total - dropped).sum() if experiment.image_group else 0
    kept_by_rarity = by_rarity[0] - by_rarity[1]
    _add_shares_by_rarity(log, "generator", kept_by_rarity, kept, reason or unknown)
    deleted = (dropped.sum(axis=1) == total.sum(axis=1)).sum()
    log.add("filter", "deleted_classes", np.nan if diverged else deleted, reason)
    if experiment.filter.needs(filters.PEOPLE):
        _add_votes(log, selection, reason)


def _add_rates(log: Log, experiment: Experiment, total, dropped, by_rarity, reason, caveat) -> None:
    """Add drop rates over all, by class, by subgroup, by both and by rarity.

    Intervals are Wilson's, of a share of this generation's images; a little wide, since how many
    are dropped is fixed. Over all, and of a class that is ranked by itself, the rate is set and no
    estimate, and has none.
    """
    drops = experiment.filter.drops

    def add(total: int, dropped: int, estimated: bool = True, **where) -> None:
        interval = None
        if total and estimated and drops:
            interval = statistics.wilson(int(dropped), int(total))
        rate = dropped / total if total else np.nan
        log.add("filter", "drop_rate", rate, reason, interval=interval, caveat=caveat, **where)

    add(total.sum(), dropped.sum(), estimated=False)
    for group in range(experiment.num_groups):
        add(total[:, group].sum(), dropped[:, group].sum(), group=group)
    over_all = experiment.filter.ranking == "all"
    for label in range(experiment.num_classes):
        add(total[label].sum(), dropped[label].sum(), over_all, **{"class": label})
        for group in range(experiment.num_groups):
            add(
                total[label, group], dropped[label, group], True, **{"class": label, "group": group}
            )
    for rarity, (one_total, one_dropped) in enumerate(zip(*by_rarity, strict=True), start=1):
        add(one_total, one_dropped, rarity=rarity)


def _add_votes(log: Log, selection: Selection, reason: str | None) -> None:
    """Add how many images were voted on, and how many votes the number S overruled."""
    votes, kept = selection.by_expert["human"], selection.kept
    counts = {
        "voted_share": np.isfinite(votes).mean(),
        "voted_out_kept": ((votes < 0) & kept).sum(),
        "voted_in_dropped": ((votes > 0) & ~kept).sum(),
    }
    for metric, value in counts.items():
        log.add("filter", metric, np.nan if reason else value, reason)


def _caveat(experiment: Experiment, selection: Selection) -> str | None:
    """Return the code for a filter that went without last generation's classifier."""
    if selection.unscored:
        return "random_choice"
    for name, expert in experiment.filter.experts.items():
        needs_classifier = expert.needs in (filters.CLASSIFIER, filters.DROPOUT)
        if needs_classifier and not np.isfinite(selection.by_expert[name]).any():
            return "expert_missing"
    return None


def _counts(experiment: Experiment, kept, label, group) -> np.ndarray:
    """Return (images, dropped images) by class and subgroup, the last one unknown: int [2 L
    G+1]."""
    shape = experiment.num_classes, experiment.num_groups
    return np.stack([np.asarray(x) for x in generated.drops(kept, label, group, *shape)])


def _by_rarity(count: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return counts of subgroups, int [L G+1], pooled by rarity: int [G]."""
    return np.take_along_axis(count, order, axis=1).sum(axis=0)


def _add_shares_by_rarity(log: Log, subject: str, counts, total: int, reason: str | None) -> None:
    for rarity, count in enumerate(counts, start=1):
        value = count / total if total else np.nan
        log.add(subject, "subgroup_share", value, reason, rarity=rarity)

"""What the filter did: which images it dropped, and what share of the kept ones each subgroup has.

Subgroups are also named by rarity: the k-th rarest of its class among the real training images,
pooled over classes, 1 = rarest. Where every class has another majority, as in digits whose classes
prefer different colours, only this shows what becomes of minorities: pooled by name, the majority
of one class hides the minority of another.

With a judge of subgroups these are estimates, and generation 0 tells how accurate it is.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxloop import filters, statistics
from jaxloop.devices import to_host
from jaxloop.evaluators import subgroups
from jaxloop.evaluators.subgroups import Counts
from jaxloop.loop.experiment import Experiment
from jaxloop.loop.state import LoopState, Selection
from jaxloop.records import Log

FEWEST = 0.5  # images, of which a share is told: estimates may come near 0, or below it
Select = Callable[[np.ndarray], np.ndarray]  # counts [... L G+1] -> [...], those of one place


def create(experiment: Experiment) -> Callable[[LoopState], list[dict]]:
    train = experiment.constants.train
    label, group = np.asarray(train.label), np.asarray(train.group)
    real = subgroups.counted(experiment, np.ones(len(label), bool), label, group)
    # Rarest first; ties by their number.
    order = np.argsort(real.total[:, :-1], axis=1, kind="stable")
    judge = subgroups.Judging(experiment) if experiment.judge else None

    def evaluate(state: LoopState) -> list[dict]:
        logs = [Log(seed, state.cursor.generation) for seed in experiment.seeds.values]
        if state.cursor.generation == 0:
            for log in logs:
                _add_shares(log, "real", real, order, "no_images")
            if judge:
                for log, confusion in zip(logs, judge.confusions(state), strict=True):
                    _add_judge(log, confusion)
            return [record for log in logs for record in log.records]
        counts = judge.count(state) if judge else subgroups.count(experiment, state)
        columns = counts, to_host(state.selection), to_host(state.generator_diverged)
        for log, of_seed, selection, diverged in zip(logs, *columns, strict=True):
            _add(log, experiment, selection, of_seed, order, bool(diverged))
        return [record for log in logs for record in log.records]

    return evaluate


def _add(
    log: Log, experiment: Experiment, selection: Selection, counts: Counts, order, diverged: bool
) -> None:
    """Add what the filter did with one generation; of a generator that diverged nothing exists."""
    reason = "generator_diverged" if diverged else None
    if diverged:
        counts = jax.tree.map(np.zeros_like, counts)
    known = experiment.image_group or experiment.judge
    lacking = reason or ("no_images" if known else "group_unknown")
    _add_rates(log, experiment, counts, order, lacking, _caveat(experiment, selection))
    _add_shares(log, "generator", counts, order, lacking)
    total, dropped = counts.exact
    deleted = (dropped.sum(axis=1) == total.sum(axis=1)).sum()
    log.add("filter", "deleted_classes", np.nan if diverged else deleted, reason)
    if experiment.filter.needs(filters.PEOPLE):
        _add_votes(log, selection, reason)


def _places(order: np.ndarray) -> Iterator[tuple[dict, Select]]:
    """Yield (record parameters, which counts): over all, by subgroup, by class, by both, by
    rarity.

    order: int [L G], subgroups of a class from the rarest on.
    """
    num_classes, num_groups = order.shape
    yield {}, _of_all
    for group in range(num_groups):
        yield {"group": group}, lambda x, group=group: x[..., group].sum(axis=-1)
    for label in range(num_classes):
        yield {"class": label}, _of_class(label)
        for group in range(num_groups):
            where = {"class": label, "group": group}
            yield where, lambda x, label=label, group=group: x[..., label, group]
    for rarity, groups in enumerate(order.T, start=1):
        rows = np.arange(num_classes)
        yield {"rarity": rarity}, lambda x, rows=rows, g=groups: x[..., rows, g].sum(axis=-1)


def _of_all(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=(-2, -1))


def _of_class(label: int) -> Select:
    return lambda x: x[..., label, :].sum(axis=-1)


def _add_rates(log: Log, experiment: Experiment, counts: Counts, order, reason, caveat) -> None:
    """Add drop rates over all, by class, by subgroup, by both and by rarity.

    Intervals are Wilson's, of a share of this generation's images; a little wide, since how many
    are dropped is fixed. Over all, and of a class that is ranked by itself, the rate is set and no
    estimate, and has none. Those of a judge's estimates are `Counts.interval`.
    """
    for where, select in _places(order):
        estimated = counts.estimated and {"group", "rarity"} & set(where)
        total, dropped = map(select, counts[:2] if estimated else counts.exact)
        chosen = where and (experiment.filter.ranking == "all" or set(where) != {"class"})
        interval, why = None, _reason(total, select(counts.exact[0]), reason)
        if estimated:
            interval = counts.interval(lambda t, d, s=select: _ratio(s(d), s(t)))
        elif total and chosen and experiment.filter.drops:
            interval = statistics.wilson(int(dropped), int(total))
        log.add(
            "filter", "drop_rate", np.clip(_ratio(dropped, total), 0, 1), why, interval=interval,
            caveat="estimated" if estimated else caveat, **where,
        )  # fmt: skip


def _add_shares(log: Log, subject: str, counts: Counts, order, reason: str) -> None:
    """Add the share of the kept images: of a subgroup, of one in its class, by rarity, unknown."""

    def add(metric: str, part: Select, whole: Select, **where) -> None:
        def share(total: np.ndarray, dropped: np.ndarray) -> np.ndarray:
            return _ratio(part(total - dropped), whole(total - dropped))

        value = share(*counts[:2])
        if reason == "group_unknown" and metric == "subgroup_share":
            value = np.nan
        caveat = "estimated" if counts.estimated else None
        interval = counts.interval(share)
        images = whole(np.subtract(*counts.exact))
        why = _reason(whole(counts.total), images, reason)
        value = np.clip(value, 0, 1)
        log.add(subject, metric, value, why, interval=interval, caveat=caveat, **where)

    for where, select in _places(order):
        if {"group", "rarity"} & set(where):
            label = where.get("class")
            add("subgroup_share", select, _of_all if label is None else _of_class(label), **where)
    if not counts.estimated:
        add("unknown_share", lambda x: x[..., -1].sum(axis=-1), _of_all)


def _add_judge(log: Log, confusion: np.ndarray) -> None:
    """Add how often the judge is right about test images: over all, and by class and subgroup."""
    right, total = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2)
    log.add("judge", "subgroup_accuracy", _ratio(right.sum(), total.sum()), "empty_cell")
    for (label, group), number in np.ndenumerate(total):
        value = _ratio(right[label, group], number)
        interval = statistics.wilson(int(right[label, group]), int(number)) if number else None
        where = {"class": label, "group": group}
        log.add("judge", "subgroup_accuracy", value, "empty_cell", interval=interval, **where)


def _reason(estimate, images, reason: str | None) -> str | None:
    """Return why a share of `estimate` images is NaN, if it is: of `images`, that the judge saw."""
    if images and np.isnan(estimate):
        return "judge_unable"
    few = estimate != 0 and estimate < FEWEST  # so by chance
    return "too_few_images" if few and reason == "no_images" else reason


def _ratio(part, whole) -> np.ndarray:
    """Return part / whole, NaN where there are fewer than FEWEST images."""
    whole = np.asarray(whole, np.float64)
    return np.divide(part, whole, where=whole >= FEWEST, out=np.full(whole.shape, np.nan))


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

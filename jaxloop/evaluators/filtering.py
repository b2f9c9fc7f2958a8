"""The audit of the filter, as records: whom it dropped, and what share of what it kept every subgroup has.

Subgroups are also told by their rarity: the k-th rarest of its class among the real training images, pooled over classes, 1 =
rarest. Where every class has another majority, as in digits whose classes prefer different colours, only this shows what becomes
of minorities: pooled by name, the majority of one class hides the minority of another.
"""

import numpy as np

from jaxloop import filters
from jaxloop.records import Log
from jaxloop.loop.experiment import Parts
from jaxloop.loop.state import Pending
from jaxloop.metrics import generated
from jaxloop.provenance import study


def add_real(log: Log, parts: Parts) -> None:
    """The share of the real training images that the k-th rarest subgroups of all classes make up."""
    made = _real_counts(parts)
    _add_shares_by_rarity(log, "real", _by_rarity(made, made), made.sum(), None)


def add(log: Log, parts: Parts, pending: Pending, diverged: bool) -> None:
    """What the filter did with the images of a generation; of a generator that diverged everything is missing."""
    broken = (
        "the generator diverged (or had nothing to train on): there was nothing to filter"
        if diverged
        else None
    )
    made, dropped = _counts(pending.kept, pending.samples.label, pending.samples.group, parts)
    if diverged:
        made = dropped = np.zeros_like(made)
    nobody = (
        "no image of the subgroup"
        if parts.image_group
        else "pixels do not tell the subgroup of a generated image"
    )
    real = _real_counts(parts)
    of_rarity = _by_rarity(made, real), _by_rarity(dropped, real)
    _add_rates(log, made, dropped, of_rarity, parts, broken or nobody)
    total = (made - dropped).sum() if parts.image_group else 0
    _add_shares_by_rarity(log, "generator", of_rarity[0] - of_rarity[1], total, broken or nobody)
    deleted = (dropped.sum(axis=1) == made.sum(axis=1)).sum()
    log.add("filter", "deleted_classes", np.nan if diverged else deleted, broken)
    if parts.filter.asks(filters.PEOPLE):
        _add_votes(log, pending, broken)
    if not diverged:
        _note_of_judge(log, parts, pending)


def _add_rates(log: Log, made, dropped, of_rarity, parts: Parts, why: str) -> None:
    """Drop rates over all, by class, by subgroup, by both and by rarity.

    Intervals are Wilson's, of a share of this generation's images; a little wide, since how many are dropped is fixed. Over all,
    and of a class that is ranked by itself, the rate is set and no estimate, and has none.
    """
    over_all = parts.filter.ranking == "all"

    def add(metric: str, made: int, dropped: int, by_scores: bool = True, **where: int) -> None:
        interval = (
            study.wilson(int(dropped), int(made))
            if made and by_scores and parts.filter.drops
            else None
        )
        log.add("filter", metric, dropped / made if made else np.nan, why, interval, **where)

    add("drop_rate", made.sum(), dropped.sum(), by_scores=False)
    for group in range(parts.num_groups):
        add("drop_rate", made[:, group].sum(), dropped[:, group].sum(), group=group)
    for label in range(parts.num_classes):
        add("drop_rate", made[label].sum(), dropped[label].sum(), over_all, **{"class": label})
        for group in range(parts.num_groups):
            add(
                "drop_rate",
                made[label, group],
                dropped[label, group],
                **{"class": label, "group": group},
            )
    for rank, (of_made, of_dropped) in enumerate(zip(*of_rarity, strict=True), start=1):
        add(f"drop_rate_rarity_{rank}", of_made, of_dropped)


def _add_votes(log: Log, pending: Pending, broken: str | None) -> None:
    """How many images were voted on, and how many votes could not be followed, since exactly S images are kept."""
    votes, kept = np.asarray(pending.scores["human"]), np.asarray(pending.kept)
    counts = {
        "voted_share": np.isfinite(votes).mean(),
        "voted_out_kept": ((votes < 0) & kept).sum(),
        "voted_in_dropped": ((votes > 0) & ~kept).sum(),
    }
    for metric, value in counts.items():
        log.add("filter", metric, np.nan if broken else value, broken)


def _note_of_judge(log: Log, parts: Parts, pending: Pending) -> None:
    """Whether the filter had to go without last generation's classifier."""
    for name, expert in parts.filter.experts.items():
        asks = expert.asks in (filters.CLASSIFIER, filters.DROPOUT)
        if asks and not np.isfinite(np.asarray(pending.scores[name])).any():
            chosen = (
                "the kept images are a random choice"
                if pending.lost
                else f"the filter went without its {name}"
            )
            log.note("filter", "drop_rate", f"last generation's {parts.judge} diverged: {chosen}")


def _counts(kept, label, group, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """(made, dropped), int [L G+1] each: `generated.drops` on the host."""
    made, dropped = generated.drops(kept, label, group, parts.num_classes, parts.num_groups)
    return np.asarray(made), np.asarray(dropped)


def _real_counts(parts: Parts) -> np.ndarray:
    """Real training images by class and subgroup: int [L G+1]."""
    train = parts.train
    return _counts(np.ones(len(train.label), bool), train.label, train.group, parts)[0]


def _by_rarity(count: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Counts of subgroups, int [L G+1] -> int [G], of the k-th rarest of every class; equally rare ones by their number."""
    order = np.argsort(real[:, :-1], axis=1, kind="stable")
    return np.take_along_axis(count, order, axis=1).sum(axis=0)


def _add_shares_by_rarity(
    log: Log, subject: str, of_rarity: np.ndarray, total: int, why: str | None
) -> None:
    """of_rarity: of _by_rarity.  total: all images, 0 where nothing can be told."""
    for rank, of_rank in enumerate(of_rarity, start=1):
        log.add(subject, f"subgroup_share_rarity_{rank}", of_rank / total if total else np.nan, why)

"""Is the generator fit to answer, and did the loop collapse?

What happens to bias in the loop is the generator's doing where its own images have other subgroups
than the real ones, or are copies, or are of another class. The gate looks at generation 1, whose
generator saw real images alone; the profile at what becomes of it.
"""

from typing import NamedTuple

from jaxloop import statistics
from jaxloop.analysis import answers, shares
from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run
from jaxloop.statistics import Difference, Estimate

GENERATOR = "generator"


class Check(NamedTuple):
    """One limit of the gate.

    metric: as the log calls it; "imbalance" is made of recorded shares.
    value: over seeds, of generation 1; for "imbalance" in excess of chance.
    limit: of `answer`; at most where `metric` is "imbalance", else at least.
    passed: judged by the mean.
    """

    metric: str
    value: Estimate
    limit: float
    passed: bool


class Change(NamedTuple):
    """A measure of the generator at generation 1 and at the last one; difference paired by seed."""

    name: Name
    first: Estimate
    last: Estimate
    difference: Difference


def gate(run: Run) -> list[Check]:
    """Return the limits that could be looked at; none before generation 1."""
    limits = answers.settings(run)
    u = shares.excess(run)
    checks = []
    if u is not None:
        over = Estimate(u, None, len(run.seeds), 0)
        checks.append(Check("imbalance", over, limits.max_imbalance, u <= limits.max_imbalance))
    asked = {
        "recall": limits.min_recall,
        "coverage": limits.min_coverage,
        "label_agreement": limits.min_agreement,
        "within_group_diversity": limits.min_diversity,
    }
    for metric, limit in asked.items():
        name = next((n for n in run.names if n[:2] == (GENERATOR, metric) and run.has(n)), None)
        value = statistics.estimate(run.values(name, 1).tolist() if name else [])
        if value.mean is not None:
            checks.append(Check(metric, value, limit, value.mean >= limit))
    return checks


def profile(run: Run) -> list[Change]:
    """Return what became of the generator between generation 1 and the last that it has.

    Recall, coverage, diversity, label agreement, and memorisation: the distance to the nearest real
    image, 1 = as far as real test images are.
    """
    last, changes = run.last(GENERATOR), []
    metrics = ("recall", "coverage", "within_class_diversity", "within_group_diversity")
    for metric in (*metrics, "label_agreement", "nearest_real"):
        for name in run.names:
            if name[:2] == (GENERATOR, metric) and name.class_ is None and last > 1:
                ends = [run.values(name, g).tolist() for g in (1, last)]
                paired = statistics.paired(*ends)
                if paired.estimate.mean is not None:
                    first, end = map(statistics.estimate, ends)
                    changes.append(Change(name, first, end, paired))
    return changes


def rarest_factor(run: Run) -> float | None:
    """Return the share of every class's rarest subgroup in generation 1 over its real share.

    Over seeds together; None where either does not exist.
    """
    real, generated = (
        statistics.estimate(run.values(Name(subject, "subgroup_share", rarity=1), g).tolist()).mean
        for subject, g in (("real", 0), (GENERATOR, 1))
    )
    return generated / real if real and generated is not None else None


def waterfall(run: Run) -> list[dict]:
    """Return where a bias comes in, by generation: shares of each class's commonest subgroup, and
    the alignment gap of each classifier (means over seeds).

    Keys: generation, real, generated (before the filter), kept (after it), and the classifiers.
    Nothing where no share by rarity is known, or there is no alignment gap.
    """
    both = answers.arms(run)
    num = len(run.group_names)
    real = statistics.estimate(run.values(Name("real", "subgroup_share", rarity=num), 0).tolist())
    if both is None or real.mean is None or answers.primary_measure(both.loop) != answers.ALIGNMENT:
        return []
    rows = []
    num_generations = max((len(right[0]) for right in both.loop.right.values()), default=0)
    for g in range(num_generations):
        kept, generated = shares.by_rarity(run, g)
        row = {"generation": g, "real": real.mean, "generated": generated, "kept": kept}
        for name in both.loop.right:
            gap = both.loop.gap(name, answers.ALIGNMENT).value[:, g]
            row[name] = statistics.estimate(gap.tolist()).mean
        rows.append(row)
    return rows

"""Imbalance u of the generated images: how far their subgroup shares are from the real ones."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis.measures import Name
from jaxloop.analysis.run_folder import Run


class Series(NamedTuple):
    """table: values by seed (index) and generation (columns), NaN = none.  remark: how it was read.

    lacks: the record that is missing altogether, or "".
    """

    table: pd.DataFrame
    lacks: str = ""
    remark: str = ""


def imbalances(run: Run) -> Series:
    """Return u by seed and generation: in [0, 1], NaN where no image's subgroup is known.

    The total variation distance between the subgroup shares of a class among generated images and
    among real training images, each made to sum to 1 over the known subgroups, as a mean over
    classes.
    """
    tables = {
        (n.subject, n.class_, n.group): run.table(n)
        for n in run.names
        if n.metric == "subgroup_share" and n.class_ is not None and n.group is not None
    }
    generated = [key for key in tables if key[0] == "generator"]
    generations = sorted({g for key in generated for g in tables[key].columns})
    classes = sorted({class_ for _, class_, _ in generated})
    groups = sorted({group for *_, group in tables})
    # [class, group, seed, generation]; 0 of a subgroup that a class does not have.
    shares = np.zeros((len(classes), len(groups), len(run.seeds), len(generations)))
    real = np.zeros((len(classes), len(groups), len(run.seeds), 1))
    for (subject, class_, group), table in tables.items():
        if class_ in classes:
            part, columns = (shares, generations) if subject == "generator" else (real, [0])
            cell = classes.index(class_), groups.index(group)
            part[cell] = table.reindex(columns=columns)
    distance = np.abs(_normalized(shares) - _normalized(real)).sum(1) / 2
    known = np.isfinite(distance).sum(0)
    u = np.where(known > 0, np.nansum(distance, 0) / np.maximum(known, 1), np.nan)
    remark = "u compares subgroup shares with real ones"
    if is_estimated(run):
        remark += ", estimated by the judge of subgroups, whose noise adds to it"
    if (shares.sum(1) < 1 - 1e-4).any():
        remark += ", over the images whose subgroup is known"
    if blind := int(((known > 0) & (known < len(classes))).sum()):
        remark += (
            f"; in {blind} (generation, seed) pairs it leaves out classes of which no image's "
            "subgroup is known"
        )
    return Series(pd.DataFrame(u, run.seeds, generations), remark=f"{remark}.")


def excess(run: Run) -> float | None:
    """Return u of generation 1 in excess of chance, of all seeds' kept images together.

    Chance is what u is on average where as many images have the real shares (normal approximation:
    sqrt(2 p (1 - p) / (pi n)) is the mean absolute error of a share p of n images). None where no
    class has known shares.
    """
    excesses, groups = [], range(len(run.group_names))
    generation, num_classes = run.config.get("generation", {}), len(run.class_names)
    even = [generation.get("kept", 0) / max(num_classes, 1)] * num_classes
    kept_by_class = generation.get("kept_by_class", even)
    for class_ in range(len(run.class_names)):
        by_group = [
            [run.values(Name(subject, "subgroup_share", class_, group), g) for group in groups]
            for subject, g in (("real", 0), ("generator", 1))
        ]
        real, generated = np.array(by_group)
        known = np.isfinite(generated).all(axis=0) & (np.nansum(generated, axis=0) > 0)
        known &= np.isfinite(real).all(axis=0)
        if not known.any():
            continue
        images = kept_by_class[class_] * np.nansum(generated[:, known])
        p = _normalized(real[:, known].mean(axis=1)[None])[0]
        share = _normalized(np.nansum(generated[:, known], axis=1)[None])[0]
        chance = np.sqrt(2 * p * (1 - p) / (np.pi * max(images, 1)))
        excesses.append(float((np.abs(share - p) - chance).sum() / 2))
    return float(np.mean(excesses)) if excesses else None


def by_rarity(run: Run, generation: int) -> tuple[float, float]:
    """Return the share of each class's commonest subgroup among kept and among generated images.

    Means over seeds, NaN where unknown. The generated ones are worked out from kept shares and drop
    rates by rarity, and are unknown where the filter dropped all of a subgroup.
    """
    rarities = range(1, len(run.group_names) + 1)
    shares, rates = (
        np.array([run.values(Name(*name, rarity=k), generation) for k in rarities])
        for name in (("generator", "subgroup_share"), ("filter", "drop_rate"))
    )
    rates = np.nan_to_num(rates)  # no rate: nothing was there to drop
    before = shares / np.where(rates < 1, 1 - rates, np.nan)
    with np.errstate(invalid="ignore"):  # 0 / 0: no image of a known subgroup
        kept_share, share = (_mean(x[-1] / x.sum(axis=0)) for x in (shares, before))
    return kept_share, share


def _mean(values: np.ndarray) -> float:
    """Return the mean of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def is_estimated(run: Run) -> bool:
    """Return whether shares of generated images are a judge's estimates (loop/judging.py)."""
    shares = run.records[run.records.metric == "subgroup_share"]
    return bool((shares.caveat == "estimated").any())


def _normalized(shares: np.ndarray) -> np.ndarray:
    """Make shares sum to 1 over subgroups (axis 1); NaN where nothing is known."""
    total = shares.sum(1, keepdims=True)
    return shares / np.where(total > 0, total, np.nan)

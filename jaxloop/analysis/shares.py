"""Imbalance u of the generated images: how far their subgroup shares are from those of others."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis.run_folder import Run

REFERENCES = ("real", "uniform")


class Series(NamedTuple):
    """table: values by seed (index) and generation (columns), NaN = none.  remark: how it was read.

    lacks: the record that is missing altogether, or "".
    """

    table: pd.DataFrame
    lacks: str = ""
    remark: str = ""


def imbalances(run: Run, against: str) -> Series:
    """Return u by seed and generation: in [0, 1], NaN where no image's subgroup is known.

    The total variation distance between the subgroup shares of a class, each made to sum to 1 over
    the known subgroups, as a mean over classes.

    Args:
      against: one of REFERENCES: the shares of real training images, or uniform ones.
    """
    tables = {
        (n.subject, n.class_, n.group): run.table(n)
        for n in run.names
        if n.metric == "subgroup_share" and n.class_ is not None and n.group is not None
    }
    generated = [key for key in tables if key[0] == "generator"]
    generations = sorted({g for key in generated for g in tables[key].columns})
    classes = sorted({class_ for _, class_, _ in generated})
    groups = sorted({group for *_, group in tables} | set(range(len(run.group_names))))
    distances, leaves_out = [np.empty((0, len(run.seeds), len(generations)))], False
    for class_ in classes:
        shares = _stack(run, tables, "generator", class_, groups, generations)
        if against == "real":
            wanted = _stack(run, tables, "real", class_, groups, [0])
        else:
            names = run.subgroup_names[class_] if run.subgroup_names else run.group_names
            wanted = np.isin(groups, range(len(names)))[:, None, None].astype(float)
        leaves_out |= bool((shares.sum(0) < 1 - 1e-4).any())
        distances.append(np.abs(_normalized(shares) - _normalized(wanted)).sum(0)[None] / 2)
    distance = np.concatenate(distances)
    known = np.isfinite(distance).sum(0)
    u = np.where(known > 0, np.nansum(distance, 0) / np.maximum(known, 1), np.nan)
    remark = f"u compares subgroup shares with {against} ones"
    remark += ", over the images whose subgroup is known" if leaves_out else ""
    if blind := int(((known > 0) & (known < len(classes))).sum()):
        remark += (
            f"; in {blind} (generation, seed) pairs it leaves out classes of which no image's "
            "subgroup is known"
        )
    return Series(pd.DataFrame(u, run.seeds, generations), remark=f"{remark}.")


def _stack(run: Run, tables: dict, subject: str, class_: int, groups, generations) -> np.ndarray:
    """Shares [group, seed, generation] of a class; 0 of subgroups that it does not have."""
    empty = pd.DataFrame(0.0, run.seeds, generations)
    stacked = [
        tables.get((subject, class_, group), empty).reindex(columns=generations).to_numpy(float)
        for group in groups
    ]
    return np.stack(stacked)


def _normalized(shares: np.ndarray) -> np.ndarray:
    """Make them sum to 1 over subgroups; NaN where nothing is known."""
    total = shares.sum(0)
    return shares / np.where(total > 0, total, np.nan)

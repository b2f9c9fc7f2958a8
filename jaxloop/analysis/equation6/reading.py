"""From the records of runs to the curves of eq. (6): bias, quality q and imbalance u.

q = label_agreement / (1 + FD / V): how many images show what was asked for, times how near they are
to real ones. FD is the Fréchet distance, V the total variance of the real features in the same
network: FD / V is free of the network's units. u: see `shares.imbalances`. Both are in [0, 1]. On
the images of generation t (and on the queue) the classifiers of t are trained, so that q and u of t
belong to the step from t - 1 to t.
"""

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis import contrasts, labels
from jaxloop.analysis.equation6.conjecture import Curves
from jaxloop.analysis.measures import Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.shares import Series, imbalances


class Reading(NamedTuple):
    """What runs say.

    num_values, num_left_out: values of bias that are used, and that are not: the bias, or a q or u
      of the way to it, has no value.
    remarks: sentences on runs left out, on how q and u were read.
    """

    curves: Curves
    num_values: int
    num_left_out: int
    remarks: list[str]


def read(runs: Sequence[Run], bias: Bias) -> Reading:
    """Read every curve of every run; a run without the records that q needs is left out."""
    names, qs = labels.labels(runs), [qualities(run) for run in runs]
    us, starts = [imbalances(run) for run in runs], _starts(runs)
    used = [number for number, q in enumerate(qs) if not q.lacks]
    blind = [names[i] for i in used if not us[i].table.notna().any(axis=None)]
    remarks = [
        f"{name} is left out: it has no record {q.lacks}."
        for name, q in zip(names, qs, strict=True)
        if q.lacks
    ]
    remarks += dict.fromkeys(qs[number].remark for number in used)
    remarks += dict.fromkeys(us[number].remark for number in used if not blind)
    if blind:
        remarks.append(f"delta_U is left out: in {', '.join(blind)} no u is known.")
    generations = range(max((runs[number].reached for number in used), default=0) + 1)
    keys, tables = [], []
    for number in used:
        run = runs[number]
        q, u = (s.table.reindex(columns=generations).to_numpy() for s in (qs[number], us[number]))
        u = np.full_like(q, np.nan) if blind else u
        for classifier in run.classifiers:
            values = run.table(bias.name(classifier), bias.complement)
            tables.append([values.reindex(columns=generations).to_numpy(), q, u])
            about = architecture(run, classifier), dataset(run)
            keys += [(*about, f"{starts[number]}/{seed}") for seed in run.seeds]
    about = pd.DataFrame(keys, columns=["architecture", "dataset", "cluster"])
    values, q, u = np.concatenate(tables, axis=1) if tables else np.empty((3, 0, 1))
    has_factor = np.isfinite(q) & (np.isfinite(u) | bool(blind))
    has_factor[:, 0] = True
    values = np.where(np.logical_and.accumulate(has_factor, axis=1), values, np.nan)
    rows = np.isfinite(values).sum(axis=1) > 1
    num_values = int(np.isfinite(values[rows]).sum())
    planned = sum(
        (runs[i].reached + 1) * len(runs[i].seeds) * len(runs[i].classifiers) for i in used
    )
    curves = Curves(about, values, q, u).part(rows)
    return Reading(curves, num_values, planned - num_values, remarks)


def _starts(runs: Sequence[Run]) -> list[int]:
    """Return of each run the number of the first that it is compared with in pairs, or its own."""
    return [
        next((i for i in range(n) if contrasts.are_paired(runs[i], run)), n)
        for n, run in enumerate(runs)
    ]


def dataset(run: Run) -> str:
    """Return what tells data sets apart (not how they were drawn or split): name, size, colours."""
    data, color = run.spec.get("data", {}), labels.initialisation(run)
    parts = [labels.data_title(run), "{0}x{0}".format(data.get("image_size", "?"))]
    if color != labels.NOT_APPLICABLE:
        parts.append(color)
    if color == labels.BIASED:  # a digest, since two matrices may be as far from uniform
        parts.append(f"#{zlib.crc32(json.dumps(data['color']).encode()):08x}")
    if data.get("test_color") == "same":
        parts.append("tested alike")
    return " ".join(parts)


def architecture(run: Run, classifier: str) -> str:
    """Return the name and, where they differ from the usual, width, stem and first weights."""
    given = run.spec.get("classifier", {})
    parts = [classifier]
    if given.get("width", 1) != 1 and classifier != "lenet":  # width does not scale LeNet
        parts.append(f"width {given['width']:g}")
    if given.get("stem", "small") != "small":
        parts.append(f"stem {given['stem']}")
    if given.get("pretrained"):
        parts.append("pretrained")
    return ", ".join(parts)


def qualities(run: Run) -> Series:
    """Return q by seed and generation, in [0, 1]."""
    network = run.config.get("reference", "?")
    name = Name("generator", "label_agreement")
    distance = Name("generator", "frechet_distance", network=network)
    variance = Name("real", "feature_variance", network=network)
    lacks = ""
    if name not in run.names:
        lacks = "generator/label_agreement"
    elif not {distance, variance} <= set(run.names):
        lacks = "generator/frechet_distance with real/feature_variance (generation 0)"
        lacks += f" in features of {network}"
    agreement, scale = run.table(name), run.table(variance).reindex(columns=[0])[0]
    near = 1 / (1 + run.table(distance).div(scale.where(scale > 0), axis=0))
    ratio = "frechet_distance / feature_variance"
    remark = f"q is label agreement / (1 + {ratio}), in features of {network}."
    return Series(agreement * near.reindex(columns=agreement.columns), lacks, remark)

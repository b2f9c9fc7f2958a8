"""From the records of runs to the steps of eq. (6): bias before and after, quality q, imbalance u.

q = label_agreement / (1 + FD / V): how many images show what was asked for, times how near they are
to real ones. FD is the Fréchet distance, V the total variance of the real features in the same
network: FD / V is free of the network's units. u: see `shares.imbalances`. Both are in [0, 1].

The step from t to t + 1 takes q and u of generation t + 1: on its images (and on the queue) the
classifiers of t + 1 are trained.
"""

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis import labels
from jaxloop.analysis.measures import Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.shares import Series, imbalances

# A bias this near to 0 is what float32 leaves of 0; its logarithm would be a number of rounding.
NO_BIAS = 1e-6


class Reading(NamedTuple):
    """What runs say about the steps.

    steps: those that can be used, a row each: "run" (a number), "seed", "generation" (t),
      "architecture", "dataset", "log_ratio" (log B(t+1) - log B(t)), "q", "u" (NaN in all or none).
    left_out: {why: how many cannot}.
    remarks: sentences on runs left out, on how q and u were read.
    unknown_u: names of runs of which no step has a u; then no step has one, and delta_U no term.
    """

    steps: pd.DataFrame
    left_out: dict[str, int]
    remarks: list[str]
    unknown_u: list[str]


def read(runs: Sequence[Run], bias: Bias) -> Reading:
    """Read every step of every run; a run without the records that q needs is left out."""
    names, qs = labels.labels(runs), [qualities(run) for run in runs]
    us = [imbalances(run) for run in runs]
    used = [number for number, q in enumerate(qs) if not q.lacks]
    unknown = [names[number] for number in used if not us[number].table.notna().any(axis=None)]
    lacks = {name: q.lacks for name, q in zip(names, qs, strict=True) if q.lacks}
    remarks = [f"{name} is left out: it has no record {record}." for name, record in lacks.items()]
    remarks += dict.fromkeys(qs[number].remark for number in used)
    remarks += dict.fromkeys(us[number].remark for number in used if not unknown)
    parts = [
        _steps(run, classifier, bias, q, u).assign(run=number)
        for number, (run, q, u) in enumerate(zip(runs, qs, us, strict=True))
        for classifier in run.classifiers
    ]
    steps = pd.concat(parts, ignore_index=True).query("run in @used")
    steps = steps.assign(u=np.nan if unknown else steps.u)
    biases = steps[["before", "after"]]
    lacking = {
        "the bias has no value": biases.isna().any(axis=1),
        "the bias is 0 or less, which has no logarithm": biases.min(axis=1) <= NO_BIAS,
        "q has no value": steps.q.isna(),
        "u has no value": steps.u.isna() & (not unknown),
    }
    reason = pd.Series(np.select(list(lacking.values()), list(lacking), ""), steps.index)
    left_out = reason.loc[reason != ""].value_counts(sort=False).to_dict()
    steps = steps.loc[reason == ""].assign(log_ratio=lambda s: np.log(s.after) - np.log(s.before))
    return Reading(steps, left_out, remarks, unknown)


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


def _steps(run: Run, classifier: str, bias: Bias, q: Series, u: Series) -> pd.DataFrame:
    """Every step of a classifier, with the bias "before" and "after" it."""
    bias_table, ts = run.table(bias.name(classifier), bias.complement), np.arange(run.reached)
    seed, t = np.meshgrid(run.seeds, ts, indexing="ij")
    tables = {
        "seed": seed, "generation": t,
        "before": bias_table.reindex(columns=ts), "after": bias_table.reindex(columns=ts + 1),
        "q": q.table.reindex(columns=ts + 1), "u": u.table.reindex(columns=ts + 1),
    }  # fmt: skip
    steps = pd.DataFrame({name: np.ravel(table) for name, table in tables.items()})
    return steps.assign(architecture=architecture(run, classifier), dataset=dataset(run))

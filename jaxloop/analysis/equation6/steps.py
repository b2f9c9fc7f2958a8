"""From the records of runs to the steps of eq. (6): bias before and after, quality q, imbalance u.

q = label_agreement / (1 + FD / V): how many images show what was asked for, times how near they are
to real ones. FD is the Fréchet distance, V the total variance of the real features in the same
network: FD / V is free of the network's units. u: see `shares.imbalances`. Both are in [0, 1].

Which images? The classifiers of generation t + 1 are trained on images made in generation t + 1
(and on the queue), so the step from t to t + 1 takes q and u of generation t + 1. With `lag` it
takes those of generation t, which is the paper's index read literally; generation 0 has no images,
and so the first step is lost.
"""

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxloop.analysis import contrasts, labels
from jaxloop.analysis.equation6.conjecture import Step
from jaxloop.analysis.measures import Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.shares import Series, imbalances

QUALITIES = ("both", "agreement")
# A bias this near to 0 is what float32 leaves of 0; its logarithm would be a number of rounding.
NO_BIAS = 1e-6


class Reading(NamedTuple):
    """What runs say about the steps.

    steps: those that can be used.  left_out: {why: how many cannot}.
    remarks: sentences on runs left out, on how q and u were read.
    unknown_u: names of runs of which no step has a u; then no step has one, and delta_U no term.
    """

    steps: list[Step]
    left_out: dict[str, int]
    remarks: list[str]
    unknown_u: list[str]


def read(runs: Sequence[Run], bias: Bias, quality: str, against: str, lag: bool) -> Reading:
    """Read every step of every run.

    A run without the records that q needs is left out, and a remark says what it lacks.
    """
    names, remarks, used = labels.labels(runs), [], []
    for number, run in enumerate(runs):
        q = qualities(run, quality)
        if q.lacks:
            remarks.append(f"{names[number]} is left out: it has no record {q.lacks}.")
        else:
            used.append((number, run, q, imbalances(run, against)))
    unknown = [names[number] for number, _, _, u in used if not u.table.notna().any(axis=None)]
    steps, left_out = [], Counter()
    for number, run, q, u in used:
        usable, reasons = _steps(number, run, bias, q.table, None if unknown else u.table, lag)
        steps += usable
        left_out += Counter(reasons)
    remarks += dict.fromkeys(q.remark for _, _, q, _ in used)
    remarks += dict.fromkeys(u.remark for _, _, _, u in used if not unknown)
    return Reading(steps, dict(left_out), remarks, unknown)


def dataset(run: Run) -> str:
    """Return what tells data sets apart, not how they were drawn or split.

    Name, size, colours of the training set and of the test set.
    """
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
    """Return what tells architectures apart.

    The name and, where they differ from the usual, width, stem and first weights.
    """
    given = run.spec.get("classifier", {})
    parts = [classifier]
    if given.get("width", 1) != 1 and classifier != "lenet":  # width does not scale LeNet
        parts.append(f"width {given['width']:g}")
    if given.get("stem", "small") != "small":
        parts.append(f"stem {given['stem']}")
    if given.get("pretrained"):
        parts.append("pretrained")
    return ", ".join(parts)


def qualities(run: Run, quality: str) -> Series:
    """Return q by seed and generation, in [0, 1].

    Label agreement, times 1 / (1 + FD / V) unless quality is "agreement".
    """
    name = Name("generator", "label_agreement")
    agreement = run.table(name)
    if name not in run.names:
        return Series(agreement, "generator/label_agreement")
    if quality == "agreement":
        return Series(agreement, remark="q is the label agreement alone.")
    reference = run.config.get("reference", "?")
    for metric, network in (("frechet_distance", reference), ("fid", "inception")):
        distance = Name("generator", metric, network=network)
        variance = Name("real", "feature_variance", network=network)
        if {distance, variance} <= set(run.names):
            scale = run.table(variance).reindex(columns=[0])[0]
            near = 1 / (1 + run.table(distance).div(scale.where(scale > 0), axis=0))
            ratio = f"{metric} / feature_variance"
            remark = f"q is label agreement / (1 + {ratio}), in features of {network}."
            return Series(agreement * near.reindex(columns=agreement.columns), remark=remark)
    lacks = (
        f"generator/frechet_distance with real/feature_variance (generation 0) in features of "
        f"{reference}, nor fid with that of inception"
    )
    return Series(agreement, lacks)


def _steps(
    number: int, run: Run, bias: Bias, q: pd.DataFrame, u: pd.DataFrame | None, lag: bool
) -> tuple[list[Step], list[str]]:
    """Steps of each classifier, seed and pair of generations, and why there is none of others."""
    steps, reasons, generations = [], [], range(run.reached + 1)
    images = generations[:-1] if lag else generations[1:]
    q_at = q.reindex(columns=images).to_numpy()
    u_at = np.zeros_like(q_at) if u is None else u.reindex(columns=images).to_numpy()
    for classifier in run.classifiers:
        table = contrasts.turned(run, classifier, bias).reindex(columns=generations).to_numpy()
        before, after = table[:, :-1], table[:, 1:]
        lacking = {
            "there is no generated image before the first step": np.isin(images, [0])[None],
            "the bias has no value": np.isnan(before + after),
            "the bias is 0 or less, which has no logarithm": np.minimum(before, after) <= NO_BIAS,
            "q has no value": np.isnan(q_at),
            "u has no value": np.isnan(u_at),
        }
        reason = np.select(list(lacking.values()), list(lacking), "")
        reasons += reason[reason != ""].tolist()
        kind = architecture(run, classifier), dataset(run)
        for s, t in np.argwhere(reason == ""):
            ratio = float(np.log(after[s, t]) - np.log(before[s, t]))
            values = ratio, float(q_at[s, t]), None if u is None else float(u_at[s, t])
            steps.append(Step((number, run.seeds[s]), int(t), *kind, *values))
    return steps, reasons

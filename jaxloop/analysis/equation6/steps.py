"""From the records of runs to the steps of eq. (6): bias before and after, quality q and imbalance u of the images between.

q = label_agreement / (1 + FD / V): how many images show what was asked for, times how near they are to real ones. FD is
the Fréchet distance, V the total variance of the real features in the same network: FD / V is free of the network's
units. u: the total variation distance between the subgroup shares of generated and real images, a mean over classes.
Both are in [0, 1].

Which images? The classifiers of generation t + 1 are trained on images made in generation t + 1 (and on the queue), so
the step from t to t + 1 takes q and u of generation t + 1. With `lag` it takes those of generation t, which is the
paper's index read literally; generation 0 has no images, and so the first step is lost.
"""

import json
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxloop.analysis import labels
from jaxloop.analysis.equation6.conjecture import Step
from jaxloop.analysis.measures import Bias
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.statistics import is_number

QUALITIES, REFERENCES = ("both", "agreement"), ("real", "uniform")
# A bias this near to 0 is what float32 leaves of 0; its logarithm would be a number of rounding.
NO_BIAS = 1e-6


class Reading(NamedTuple):
    """What runs say about the steps.

    steps: those that can be used.  left_out: {why: how many cannot}.  remarks: sentences on runs left out, on how q and
    u were read.  unknown_u: names of runs of which no step has a u; then no step has one, and delta_U no term.
    """

    steps: list[Step]
    left_out: dict[str, int]
    remarks: list[str]
    unknown_u: list[str]


class Series(NamedTuple):
    """{(generation, seed): value or None}; lacks: what record is missing altogether, or ""; remark: how it was read."""

    values: dict[tuple[int, int], float | None]
    lacks: str = ""
    remark: str = ""


def read(runs: Sequence[Run], bias: Bias, quality: str, against: str, lag: bool) -> Reading:
    """Every step of every run; a run without the records that q needs is left out, and a remark says what it lacks."""
    names, lacking, used = labels.labels(runs), [], []
    for number, run in enumerate(runs):
        q = qualities(run, quality)
        if q.lacks:
            lacking.append(f"{names[number]} is left out: it has no record {q.lacks}.")
        else:
            used.append((number, run, q, imbalances(run, against)))
    unknown = [
        names[number]
        for number, _, _, u in used
        if all(value is None for value in u.values.values())
    ]
    steps, left_out = [], Counter()
    for number, run, q, u in used:
        for step in _steps(number, run, bias, q.values, None if unknown else u.values, lag):
            if isinstance(step, Step):
                steps.append(step)
            else:
                left_out[step] += 1
    remarks = dict.fromkeys(
        [q.remark for _, _, q, _ in used] + [u.remark for _, _, _, u in used if not unknown]
    )
    return Reading(steps, dict(left_out), [*lacking, *remarks], unknown)


def dataset(run: Run) -> str:
    """What tells data sets apart: name, size, colours of the training and of the test set; not how they were drawn or split."""
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
    """What tells architectures apart: the name and, where they differ from the usual, width, stem and first weights."""
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
    """q by generation and seed, in [0, 1]: label agreement, times 1 / (1 + FD / V) unless quality is "agreement"."""
    agreement = Name("generator", "label_agreement")
    if agreement not in run.values:
        return Series({}, "generator/label_agreement")
    agreed = _flat(run, agreement)
    if quality == "agreement":
        return Series(agreed, remark="q is the label agreement alone.")
    reference = run.config.get("reference", "?")
    for metric, network in ((f"fd_{reference}", reference), ("fid", "inception")):
        distance, variance = Name("generator", metric), Name("real", f"feature_variance_{network}")
        if distance in run.values and variance in run.values:
            distances, variances = _flat(run, distance), run.values[variance].get(0, {})
            near = {at: _nearness(value, variances.get(at[1])) for at, value in distances.items()}
            values = {at: _product(value, near.get(at)) for at, value in agreed.items()}
            return Series(
                values, remark=f"q is label agreement / (1 + {metric} / {variance.metric})."
            )
    pairs = f"generator/fd_{reference} with real/feature_variance_{reference} (generation 0), nor fid with"
    return Series({}, f"{pairs} real/feature_variance_inception")


def imbalances(run: Run, against: str) -> Series:
    """u by generation and seed, in [0, 1]; None where no image's subgroup is known, or no real share is."""
    values, unknown, blind = {}, False, 0
    share = {
        name: s
        for name, s in run.values.items()
        if name.metric == "subgroup_share" and name.class_ is not None
    }
    classes = sorted({name.class_ for name in share if name.subject == "generator"})
    generations = {
        g for name, series in share.items() if name.subject == "generator" for g in series
    }
    for generation in sorted(generations):
        for seed in run.seeds:
            distances = []
            for class_ in classes:
                made = _shares(share, "generator", class_, generation, seed)
                wanted = (
                    _shares(share, "real", class_, 0, seed)
                    if against == "real"
                    else _uniform(run, class_)
                )
                unknown |= made is not None and sum(made.values()) < 1 - 1e-4
                distances.append(_total_variation(made, wanted))
            told = [distance for distance in distances if distance is not None]
            blind += 0 < len(told) < len(distances)
            values[generation, seed] = sum(told) / len(told) if told else None
    remark = f"u compares subgroup shares with {against} ones"
    remark += ", over the images whose subgroup is known" if unknown else ""
    if blind:
        remark += f"; in {blind} (generation, seed) pairs it leaves out classes of which no image's subgroup is known"
    return Series(values, remark=f"{remark}.")


def _steps(number: int, run: Run, bias: Bias, q: dict, u: dict | None, lag: bool):
    """A Step, or the reason why there is none, for each classifier, seed and pair of generations."""
    for classifier in run.classifiers:
        measured = run.values.get(Name(classifier, bias.metric), {})
        for seed in run.seeds:
            for t in range(run.reached):
                at = (t + (not lag), seed)
                before, after = (_bias(measured.get(g, {}).get(seed), bias) for g in (t, t + 1))
                if at[0] == 0:
                    yield "there is no generated image before the first step"
                elif before is None or after is None:
                    yield "the bias has no value"
                elif min(before, after) <= NO_BIAS:
                    yield "the bias is 0 or less, which has no logarithm"
                elif q.get(at) is None:
                    yield "q has no value"
                elif u is not None and u.get(at) is None:
                    yield "u has no value"
                else:
                    ratio = math.log(after) - math.log(before)
                    kind = architecture(run, classifier), dataset(run)
                    yield Step((number, seed), t, *kind, ratio, q[at], None if u is None else u[at])


def _bias(value: float | None, bias: Bias) -> float | None:
    if not is_number(value):
        return None
    return 1 - value if bias.complement else value


def _flat(run: Run, name: Name) -> dict[tuple[int, int], float | None]:
    series = run.values.get(name, {})
    return {
        (generation, seed): value if is_number(value) else None
        for generation, by_seed in series.items()
        for seed, value in by_seed.items()
    }


def _nearness(distance: float | None, variance: float | None) -> float | None:
    if distance is None or not is_number(variance) or variance <= 0:
        return None
    return 1 / (1 + distance / variance)


def _product(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def _shares(
    share: dict, subject: str, class_: int, generation: int, seed: int
) -> dict[int, float] | None:
    """{subgroup: share} of a class; None if one of them has no value."""
    found = {
        name.group: series.get(generation, {}).get(seed)
        for name, series in share.items()
        if (name.subject, name.class_) == (subject, class_)
    }
    return found if found and all(map(is_number, found.values())) else None


def _uniform(run: Run, class_: int) -> dict[int, float]:
    num = len(run.subgroup_names[class_] if run.subgroup_names else run.group_names)
    return dict.fromkeys(range(num), 1 / num)


def _total_variation(
    made: dict[int, float] | None, wanted: dict[int, float] | None
) -> float | None:
    """Half the sum of |p - q|, each made to sum to 1 over the known subgroups; None where nothing is known."""
    if not made or not wanted or sum(made.values()) <= 0 or sum(wanted.values()) <= 0:
        return None
    p, q = (
        {g: value / sum(shares.values()) for g, value in shares.items()}
        for shares in (made, wanted)
    )
    return sum(abs(p.get(g, 0) - q.get(g, 0)) for g in p.keys() | q.keys()) / 2

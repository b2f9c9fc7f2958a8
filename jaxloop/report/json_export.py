"""report.json: the numbers of a page, unrounded. One encoder turns named tuples into objects."""

import json
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from jaxloop import statistics
from jaxloop.analysis import drop_rates, results
from jaxloop.analysis.answer import QUESTION
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.measures import FIELDS, Bias, Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run, names_of
from jaxloop.report import figures, rendering
from jaxloop.statistics import Decision, Difference, Estimate, Trend

# Their fields stand beside those of what holds them.
_MERGED = (Name, Bias, Trend, Decision, Difference)


def text(numbers: dict) -> str:
    """Return the text of a file."""
    return json.dumps(plain(numbers), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def plain(value) -> Any:
    """Return a value as JSON has it: named tuples as objects, what is not finite as null."""
    if encode := _ENCODERS.get(type(value)):
        return plain(encode(value))
    if hasattr(value, "_asdict"):
        fields = {}
        for field, part in value._asdict().items():
            fields |= plain(part) if isinstance(part, _MERGED) else {field: plain(part)}
        return fields
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _dynamics(d: Dynamics) -> dict:
    reading, gap, one = d.reading, d.judgement.difference, len(d.datasets) == 1
    joint = "not told apart from delta_D: relative to delta_D = 0" if one else ""
    return {
        "bias": d.bias.title, "datasets": d.datasets, "parameters": d.parameters,
        "factors": d.factors,
        "judgement": d.judgement._asdict() | {
            "difference": {"value": gap.mean, "low": gap.low, "high": gap.high}
        },
        "sentences": rendering.sentences("sentences", "equation6.txt", d=d),
        "num_steps": len(reading.steps), "num_clusters": d.num_clusters,
        "left_out": reading.left_out, **d.bias.key.parameters,
        "equation": "B(t+1) = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t) B(t)",
        "complement": d.bias.complement, "metric": d.bias.metric,
        "identifiable": {  # "", or why it cannot be told, alone or at all
            name: reason if math.isnan(value) else joint * name.startswith("gamma")
            for name, value, reason in d.parameters[["name", "value", "reason"]].to_numpy()
        },
    }  # fmt: skip


_ENCODERS: dict[type, Callable[[Any], Any]] = {
    Name: lambda n: {
        field: part for field, part in zip(FIELDS, n, strict=True) if part not in (None, "")
    },
    Estimate: lambda e: {
        "mean": e.mean, "half_width": e.half_width or None, "num_seeds": e.num,
        "num_seeds_missing": e.num_missing, "low": e.low, "high": e.high,
    },
    Point: lambda p: {"generation": p.generation, **plain(p.estimate)},
    Decision: lambda d: {"verdict": d.word or None, "p_adjusted": d.p},
    Difference: lambda d: {"difference": d.estimate, "p": d.p},
    Dynamics: _dynamics,
    pd.DataFrame: lambda frame: frame.to_dict("records"),
}  # fmt: skip


def of_run(contents: SimpleNamespace) -> dict:
    """Return configuration, answer, verdicts and, of every measure, means, intervals and trends.

    p_adjusted and verdict of a trend are null for measures of a class, and for `diverged`: they are
    in no family of tests.
    """
    run, decided = contents.run, results.trends(contents.run)
    # Raters go by number, as on the page; the last entry, without one, is of all together.
    raters = [
        plain(d) | {"rater": None if d.rater is None else number}
        for number, d in enumerate(contents.people.detections if contents.people else [], 1)
    ]
    trends = {n: decided.get(n) or (results.trend(run, n), Decision("", None)) for n in run.names}
    return {
        "question": QUESTION,
        "answer": contents.answer,
        "confidence": statistics.CONFIDENCE,
        "seeds": run.seeds,
        "generations": {"planned": run.planned, "reached": run.reached},
        "verdicts": results.verdicts(run),
        "means": _means(run),
        "trends": [plain(n) | plain(t) | plain(decision) for n, (t, decision) in trends.items()],
        "training": figures.training(run),
        "within_seed": _carried(run, ["low", "high"]),
        "features": [row.pop("features") | row for row in _carried(run, ["features"])],
        "filter": _filter(contents),
        "people": contents.people and plain(contents.people) | {"detections": raters},
        "conjecture": contents.estimates,
        "problems": contents.problems,
        "noted": contents.noted,
        "timing": run.timing,
        "run": run.config,
    }


def _means(run: Run) -> list[dict]:
    return [plain(name) | plain(point) for name in run.names for point in results.curve(run, name)]


def _carried(run: Run, columns: list[str]) -> list[dict]:
    """Return name, generation, seed and the columns of the records that carry these."""
    rows = run.records.dropna(subset=columns)
    cells = rows.loc[:, ["generation", "seed", *columns]].to_dict("records")
    return [plain(name) | cell for name, cell in zip(names_of(rows), cells, strict=True)]


def _filter(contents: SimpleNamespace) -> dict:
    """Return drop rates and the comparison with the control arm, null without one.

    primary: whether a comparison is in the family that the sentence speaks of; each table is
    corrected within itself.
    """
    control = contents.run.control and {
        "sentence": contents.sentence, "not_compared": contents.not_compared,
        "comparisons": [plain(c) | {"table": family.what, "primary": family.primary}
                        for family in contents.arms for c in family.comparisons],
        "means": _means(contents.run.control),
    }  # fmt: skip
    rates = [*contents.groups, *contents.classes, *contents.cells]
    asked, overall = drop_rates.asked(contents.run), contents.overall
    return {"asked": asked, "drop_rate": overall, "drop_rates": rates, "control": control}

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
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.measures import FIELDS, Bias, Name
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run, names_of
from jaxloop.analysis.words import QUESTION
from jaxloop.report import figures, headline
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
    return {
        "bias": d.bias.title, "metric": d.bias.metric, **d.bias.key.parameters,
        "complement": d.bias.complement, "predicts_better": d.is_better, **d.judgement._asdict(),
        "num_values": d.reading.num_values, "num_left_out": d.reading.num_left_out,
        "remarks": d.reading.remarks,
        "equation": "B(t) = (1 - gamma_M) (1 + delta_D + delta_Q (1 - q_t) + delta_U u_t) B(t-1)",
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
        "answer": {"headline": contents.answer.headline, "details": contents.answer.details},
        "answers": [headline.as_numbers(a) for a in contents.answer.answers],
        "accuracy": contents.answer.accuracies,
        "gate": contents.answer.checks,
        "profile": contents.answer.changes,
        "waterfall": contents.answer.waterfall,
        "gaps": contents.gaps,
        "confidence": statistics.CONFIDENCE,
        "seeds": run.seeds,
        "generations": {"planned": run.planned, "reached": run.reached},
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
    arm = contents.run.arms.get("random")
    control = arm and {
        "sentence": contents.sentence, "not_compared": contents.not_compared,
        "comparisons": [plain(c) | {"table": family.what, "primary": family.primary}
                        for family in contents.arms for c in family.comparisons],
        "means": _means(arm),
    }  # fmt: skip
    rates = [*contents.groups, *contents.classes, *contents.cells]
    asked, overall = drop_rates.asked(contents.run), contents.overall
    return {"asked": asked, "drop_rate": overall, "drop_rates": rates, "control": control}

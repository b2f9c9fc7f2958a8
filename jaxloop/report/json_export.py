"""report.json: the numbers of a page, unrounded. One encoder turns named tuples into objects."""

import json
import math
from typing import Any

import numpy as np

from jaxloop import statistics
from jaxloop.analysis import drop_rates, results
from jaxloop.analysis.answer import QUESTION
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.measures import Bias, Name
from jaxloop.analysis.rater_agreement import People
from jaxloop.analysis.results import Point
from jaxloop.analysis.run_folder import Run
from jaxloop.report import remarks
from jaxloop.report.contents import Contents
from jaxloop.statistics import Decision, Difference, Estimate, Trend

# Their fields stand beside those of what holds them.
_MERGED = (Name, Bias, Trend, Decision, Difference)
_KEYS = {
    Decision: {"word": "verdict", "p": "p_adjusted"}, Difference: {"estimate": "difference"},
    Estimate: {"num": "num_seeds", "num_missing": "num_seeds_missing"},
}  # fmt: skip


def text(numbers: dict) -> str:
    """Return the text of a file."""
    return json.dumps(plain(numbers), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def plain(value) -> Any:
    """Return a value as JSON has it: named tuples as objects, what is not finite as null."""
    if isinstance(value, Dynamics):
        return dynamics.as_json(value)
    if isinstance(value, Name):
        named = {"subject": value.subject, "metric": value.metric, **value.parameters}
        return {field: part for field, part in named.items() if part != ""}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _fields(value)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fields(value) -> dict:
    keys, fields = _KEYS.get(type(value), {}), {}
    for field, part in value._asdict().items():
        if isinstance(part, _MERGED) or (isinstance(value, Point) and field == "estimate"):
            fields |= plain(part)
        else:
            fields[keys.get(field, field)] = plain(part)
    if isinstance(value, Estimate):
        fields |= {"half_width": value.half_width or None, "low": value.low, "high": value.high}
    if isinstance(value, Decision):
        fields["verdict"] = value.word or None
    return fields


def of_run(contents: Contents) -> dict:
    """Return configuration, answer, verdicts and, of every measure, means, intervals and trends.

    p_adjusted and verdict of a trend are null for measures of a class, and for `diverged`: they are
    in no family of tests.
    """
    run = contents.run
    decided = results.trends(run)
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
        "within_seed": _carried(run, ["low", "high"]),
        "features": [row.pop("features") | row for row in _carried(run, ["features"])],
        "filter": _filter(contents),
        "people": contents.people and _people(contents.people),
        "conjecture": contents.estimates,
        "problems": contents.problems,
        "noted": contents.noted,
        "timing": run.timing,
        "run": run.config,
    }  # fmt: skip


def _carried(run: Run, columns: list[str]) -> list[dict]:
    """Return name, generation, seed and the columns of the records that carry these."""
    rows = run.records.dropna(subset=columns)
    cells = rows.loc[:, ["generation", "seed", *columns]].to_dict("records")
    return [plain(name) | cell for name, cell in zip(remarks.names_of(rows), cells, strict=True)]


def _means(run: Run) -> list[dict]:
    return [plain(name) | plain(point) for name in run.names for point in results.curve(run, name)]


def _filter(contents: Contents) -> dict:
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


def _people(people: People) -> dict:
    """Return raters by number, as on the page; the last entry, without one, is of all together."""
    numbered = [
        plain(d) | {"rater": None if d.rater is None else number}
        for number, d in enumerate(people.detections, start=1)
    ]
    return plain(people) | {"detections": numbered}

"""report.json: every number of the page of a run, unrounded."""

from collections.abc import Sequence

from jaxloop.report import conjecture_page, remarks, results, statistics
from jaxloop.report.answer import QUESTION, answer
from jaxloop.report.dynamics import Dynamics
from jaxloop.report.results import Point, Verdict
from jaxloop.report.statistics import Decision, Estimate, Trend
from jaxloop.report.workdir import Name, Run


def as_json(run: Run, conjecture: Sequence[Dynamics]) -> dict:
    """Configuration, answer, verdicts, and of every measure the means, intervals and trends.

    conjecture: `conjecture_page.estimates` of the run.
    p_adjusted and verdict of a trend are null for measures of a class, and for `diverged`: they are in no family of tests.
    """
    found, judged = answer(run), results.trends(run)
    return {
        "question": QUESTION,
        "answer": found._asdict(),
        "confidence": statistics.CONFIDENCE,
        "seeds": run.seeds,
        "generations": {"planned": run.planned, "reached": run.reached},
        "verdicts": [_verdict(v) for v in results.verdicts(run)],
        "means": [_name(n) | {"generation": p.generation} | estimate(p.estimate)
                  for n in run.values for p in results.curve(run, n)],
        "trends": [_name(n) | _trend(*judged.get(n, (results.trend(run, n), Decision(None, None)))) for n in run.values],
        "within_seed": [_name(n) | {"generation": g, "seed": seed, "low": low, "high": high}
                        for n, series in run.intervals.items()
                        for g, by_seed in series.items() for seed, (low, high) in by_seed.items()],
        "features": [_name(n) | {"generation": g, "seed": seed} | facts for n, series in run.features.items()
                     for g, by_seed in series.items() for seed, facts in by_seed.items()],
        "conjecture": conjecture_page.as_json(conjecture),
        "diverged": remarks.diverged_sentences(run),
        "missing": remarks.missing(run),
        "noted": remarks.noted(run),
        "timing": run.timing,
        "run": run.config,
    }  # fmt: skip


def estimate(e: Estimate) -> dict:
    """Mean and interval; null where there is none."""
    return {
        "mean": e.mean, "half_width": e.half_width, "low": e.low, "high": e.high,
        "num_seeds": e.num, "num_seeds_missing": e.num_missing,
    }  # fmt: skip


def _name(name: Name) -> dict:
    parts = {"subject": name.subject, "metric": name.metric, "class": name.class_, "group": name.group}
    return {part: value for part, value in parts.items() if value is not None}


def _trend(t: Trend, decision: Decision) -> dict:
    return {
        "slope": estimate(t.slope), "p": t.p, "p_adjusted": decision.p, "verdict": decision.word,
        "num_points": t.num_points, "num_points_missing": t.num_points_missing,
    }  # fmt: skip


def _verdict(v: Verdict) -> dict:
    return {
        "subject": v.subject, "bias": v.bias.title, "metric": v.bias.metric, "complement": v.bias.complement,
    } | _trend(v.trend, v.decision) | {"first": _point(v.first), "last": _point(v.last)}  # fmt: skip


def _point(point: Point | None) -> dict | None:
    return None if point is None else {"generation": point.generation} | estimate(point.estimate)

"""report.json: every number of the page of a run, unrounded."""

from collections.abc import Sequence

from jaxloop import statistics
from jaxloop.analysis import drop_rates as drops
from jaxloop.analysis import filter_arms as arms
from jaxloop.analysis import results
from jaxloop.analysis.answer import QUESTION, answer
from jaxloop.analysis.compare import Comparison
from jaxloop.analysis.drop_rates import Rate
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.rater_agreement import People
from jaxloop.analysis.results import Point, Verdict
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report import equation6_page as conjecture_page
from jaxloop.report import remarks
from jaxloop.report.filter_page import Audit
from jaxloop.statistics import Decision, Estimate, Trend


def as_json(run: Run, conjecture: Sequence[Dynamics], audited: Audit) -> dict:
    """Configuration, answer, verdicts, and of every measure the means, intervals and trends.

    conjecture, audited: `conjecture_page.estimates` and `audit_page.audit` of the run.
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
        "means": _means(run),
        "trends": [_name(n) | _trend(*judged.get(n, (results.trend(run, n), Decision(None, None)))) for n in run.values],
        "within_seed": [_name(n) | {"generation": g, "seed": seed, "low": low, "high": high}
                        for n, series in run.intervals.items()
                        for g, by_seed in series.items() for seed, (low, high) in by_seed.items()],
        "features": [_name(n) | {"generation": g, "seed": seed} | facts for n, series in run.features.items()
                     for g, by_seed in series.items() for seed, facts in by_seed.items()],
        "filter": _filter(run, audited),
        "people": audited.people and _people(audited.people),
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
        "mean": e.mean, "half_width": e.half_width or None, "low": e.low, "high": e.high,
        "num_seeds": e.num, "num_seeds_missing": e.num_missing,
    }  # fmt: skip


def comparison(c: Comparison) -> dict:
    """Of two runs; "group" where it is of a subgroup."""
    return {
        "first_run": c.first_run, "other_run": c.other_run, "subject": c.subject, "measure": c.measure.title,
        "metric": c.measure.metric, "complement": c.measure.complement, "of": c.of, "generation": c.generation,
        "first": estimate(c.first), "other": estimate(c.other),
        "difference": estimate(c.difference.estimate), "p": c.difference.p, "p_adjusted": c.decision.p,
        "verdict": c.decision.word,
    } | ({} if c.group is None else {"group": c.group})  # fmt: skip


def _filter(run: Run, audited: Audit) -> dict:
    """Drop rates over generations and seeds, and the comparison with the control arm (null without one).

    primary: whether a comparison is in the family that the sentence speaks of; each table is corrected within itself.
    """
    rates = [*audited.groups, *audited.classes, *audited.cells]
    control = run.control and {
        "sentence": arms.sentence(run, audited.arms),
        "comparisons": [comparison(c) | {"table": family.what, "primary": family.primary}
                        for family in audited.arms for c in family.comparisons],
        "not_compared": audited.not_compared,
        "means": _means(run.control),
    }  # fmt: skip
    return {
        "asked": drops.asked(run), "drop_rate": estimate(drops.overall(run)), "drop_rates": list(map(_rate, rates)),
        "control": control,
    }  # fmt: skip


def _rate(r: Rate) -> dict:
    return _name(r.name) | {
        "rate": estimate(r.rate), "difference": estimate(r.difference.estimate), "p": r.difference.p,
        "p_adjusted": r.decision.p, "verdict": r.decision.word or None,
    }  # fmt: skip


def _people(found: People) -> dict:
    """Raters by number, as on the page; the last entry, without one, is of all together."""
    fields = [d._asdict() for d in found.detections]
    numbered = [
        d | {"rater": None if d["rater"] is None else number}
        for number, d in enumerate(fields, start=1)
    ]
    return found._asdict() | {"agreement": found.agreement._asdict(), "detections": numbered}


def _means(run: Run) -> list[dict]:
    return [
        _name(n) | {"generation": p.generation} | estimate(p.estimate)
        for n in run.values
        for p in results.curve(run, n)
    ]


def _name(name: Name) -> dict:
    parts = {
        "subject": name.subject,
        "metric": name.metric,
        "class": name.class_,
        "group": name.group,
    }
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

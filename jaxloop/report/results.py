"""Every number of the report, worked out once: curves, trends, verdicts, what is missing. Page, tables and JSON quote it."""

from collections.abc import Iterator
from typing import NamedTuple

from jaxloop.report import measures, statistics
from jaxloop.report.measures import BIASES, Bias
from jaxloop.report.statistics import GREW, ONE_SEED, SHRANK, Estimate, Trend
from jaxloop.report.workdir import Name, Run

QUESTION = "When each generation of models is trained on data that the last generation made, does bias grow?"


class Point(NamedTuple):
    generation: int
    estimate: Estimate


class Verdict(NamedTuple):
    """Whether one kind of bias of one classifier grew. first, last: the bias at generation 0 and at the last one."""

    subject: str
    bias: Bias
    trend: Trend
    first: Point | None
    last: Point | None


class Answer(NamedTuple):
    """headline: one sentence over all classifiers.  sentences: one a classifier."""

    headline: str
    sentences: list[str]


def curve(run: Run, name: Name, complement: bool = False) -> list[Point]:
    """Mean and interval over seeds in every generation that has a record; 1 - value instead, where `complement`."""
    by_seed = run.by_seed(name)
    if complement:
        by_seed = [_complement(values) for values in by_seed]
    generations = sorted(run.values.get(name, {}))
    return [Point(g, statistics.estimate([values[g] for values in by_seed])) for g in generations]


def trend(run: Run, name: Name, complement: bool = False) -> Trend:
    """The trend of a measure over its generations: 0 to the last for classifiers, 1 to the last for the generator."""
    by_seed = run.by_seed(name)
    return statistics.trend([_complement(values) for values in by_seed] if complement else by_seed)


def verdicts(run: Run) -> list[Verdict]:
    """One for each classifier and kind of bias, in that order."""
    answers = []
    for subject in run.classifiers:
        for bias in BIASES:
            name = Name(subject, bias.metric)
            points = curve(run, name, bias.complement)
            first, last = (points[0], points[-1]) if points else (None, None)
            answers.append(Verdict(subject, bias, trend(run, name, bias.complement), first, last))
    return answers


def answer(run: Run) -> Answer:
    """The verdicts in plain English. It claims no more than they do: an interval that holds 0 is not "no growth"."""
    found = verdicts(run)
    num, grew = len(found), sum(v.trend.verdict == GREW for v in found)
    shrank = sum(v.trend.verdict == SHRANK for v in found)
    undecided = num - grew - shrank
    if all(v.trend.verdict == ONE_SEED for v in found):
        headline = f"Cannot tell: one seed gives slopes ({num} comparisons) but no interval."
    elif undecided == num:
        headline = f"Cannot tell: in none of {num} comparisons can the trend be told from no change."
    elif grew and shrank:
        headline = f"Mixed: of {num} comparisons, bias grew in {grew} and shrank in {shrank}{_undecided(undecided)}."
    elif grew:
        headline = (
            f"{'Yes' if grew == num else 'In part'}: bias grew in {grew} of {num} comparisons{_undecided(undecided)}."
        )
    else:
        headline = f"No growth seen: bias shrank in {shrank} of {num} comparisons{_undecided(undecided)}."
    return Answer(headline, [_sentence(s, [v for v in found if v.subject == s]) for s in run.classifiers])


def _undecided(num: int) -> str:
    return f"; in {num} the trend cannot be told from no change" if num else ""


def _sentence(subject: str, found: list[Verdict]) -> str:
    by_word: dict[str, list[str]] = {}
    for v in found:
        by_word.setdefault(v.trend.verdict, []).append(v.bias.title)
    if len(by_word) == 1 and not by_word.keys() & {GREW, SHRANK}:
        return f"{subject}: {next(iter(by_word))}, for any of {len(found)} measures of bias."
    parts = []
    for word, titles in by_word.items():
        listed = _listed(titles)
        parts.append(f"{listed} {word}" if word in (GREW, SHRANK) else f"{word} for {listed}")
    return f"{subject}: {'; '.join(parts)}."


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def missing(run: Run) -> list[str]:
    """Sentences on what a reader would expect and will not find: unfinished generations, null values, sample grids."""
    sentences = []
    if run.reached < run.planned:
        sentences.append(
            f"The run is unfinished: generation {run.reached} of {run.planned} is the last one measured. "
            "Trends are over what is there."
        )
    for subject in run.classifiers:
        series = run.values.get(Name(subject, "accuracy"), {})
        lacking = {(g, s) for g in range(run.reached + 1) for s in run.seeds if s not in series.get(g, {})}
        if lacking:
            sentences.append(f"{subject}: not measured in {_where(lacking)}.")
    sentences += _nulls(run)
    whole = {(grid.generation, grid.seed) for grid in run.grids if grid.png}
    sentences += [f"{g.path.name} is not a whole PNG file and is left out." for g in run.grids if not g.png]
    if lacking := {(g, s) for g in range(1, run.reached + 1) for s in run.seeds if (g, s) not in whole}:
        sentences.append(f"Sample grids: none for {_where(lacking)}.")
    return sentences


def _nulls(run: Run) -> Iterator[str]:
    """One sentence for each measure and reason. Classes and subgroups of a measure are told together."""
    places: dict[tuple[str, str, str], set[tuple[int, int]]] = {}
    for name, series in run.values.items():
        for generation, by_seed in series.items():
            for seed, value in by_seed.items():
                if value is None:
                    reason = run.notes.get(name, {}).get(generation, {}).get(seed) or "no reason was recorded"
                    places.setdefault((name.subject, name.metric, reason), set()).add((generation, seed))
    together: dict[tuple, list[str]] = {}
    for (subject, metric, reason), where in places.items():
        together.setdefault((subject, reason, frozenset(where)), []).append(metric)
    for (subject, reason, where), metrics in together.items():
        yield f"{subject}, {_listed(metrics)}: no value in {_where(set(where))} ({reason.rstrip('. ')})."


def _where(places: set[tuple[int, int]]) -> str:
    """{(generation, seed)} in words, by generation."""
    seeds_of: dict[int, list[int]] = {}
    for generation, seed in sorted(places):
        seeds_of.setdefault(generation, []).append(seed)
    generations_of: dict[tuple[int, ...], list[int]] = {}
    for generation, seeds in seeds_of.items():
        generations_of.setdefault(tuple(seeds), []).append(generation)
    return "; ".join(
        f"generation{'s' * (len(generations) > 1)} {_listed([str(g) for g in generations])} "
        f"(seed{'s' * (len(seeds) > 1)} {_listed([str(s) for s in seeds])})"
        for seeds, generations in generations_of.items()
    )


def diverged(run: Run, subject: str) -> dict[int, list[int]]:
    """{generation: seeds} in which a subject's training diverged."""
    series = run.values.get(Name(subject, "diverged"), {})
    found = {g: [seed for seed in run.seeds if by_seed.get(seed)] for g, by_seed in sorted(series.items())}
    return {generation: seeds for generation, seeds in found.items() if seeds}


def diverged_sentences(run: Run) -> list[str]:
    """One sentence for each subject that diverged anywhere."""
    sentences = []
    for subject in (*run.classifiers, "generator"):
        if found := diverged(run, subject):
            where = _where({(generation, seed) for generation, seeds in found.items() for seed in seeds})
            sentences.append(f"{subject} diverged in {where}; its values there, if any, are in every mean and trend.")
    return sentences


def as_json(run: Run) -> dict:
    """report.json: configuration, answer, verdicts, and of every measure the means, intervals and trends."""
    found = answer(run)
    return {
        "question": QUESTION,
        "answer": {"headline": found.headline, "sentences": found.sentences},
        "confidence": statistics.CONFIDENCE,
        "seeds": run.seeds,
        "generations": {"planned": run.planned, "reached": run.reached},
        "verdicts": [_verdict_json(v) for v in verdicts(run)],
        "means": [_name_json(n) | {"generation": p.generation} | _estimate_json(p.estimate)
                  for n in run.values for p in curve(run, n)],
        "trends": [_name_json(n) | _trend_json(trend(run, n)) for n in run.values],
        "diverged": diverged_sentences(run),
        "missing": missing(run),
        "timing": run.timing,
        "run": run.config,
    }  # fmt: skip


def _name_json(name: Name) -> dict:
    parts = {"subject": name.subject, "metric": name.metric, "class": name.class_, "group": name.group}
    return {part: value for part, value in parts.items() if value is not None}


def _estimate_json(e: Estimate) -> dict:
    return {
        "mean": e.mean, "half_width": e.half_width, "low": e.low, "high": e.high,
        "num_seeds": e.num, "num_seeds_missing": e.num_missing,
    }  # fmt: skip


def _trend_json(t: Trend) -> dict:
    return {
        "slope": _estimate_json(t.slope), "verdict": t.verdict,
        "num_points": t.num_points, "num_points_missing": t.num_points_missing,
    }  # fmt: skip


def _verdict_json(v: Verdict) -> dict:
    ends = {
        end: None if point is None else {"generation": point.generation} | _estimate_json(point.estimate)
        for end, point in (("first", v.first), ("last", v.last))
    }
    return {
        "subject": v.subject, "bias": v.bias.title, "metric": v.bias.metric, "complement": v.bias.complement,
    } | _trend_json(v.trend) | ends  # fmt: skip


def _complement(values: dict[int, float | None]) -> dict[int, float | None]:
    return {g: None if value is None else 1 - value for g, value in values.items()}


def scalar_metrics(run: Run, subject: str) -> list[str]:
    """The metrics of a subject that have any value and are neither of a class nor of a subgroup, in order of record."""
    names = [n for n in run.values if n.subject == subject and n.class_ is None and n.group is None and run.has(n)]
    return [name.metric for name in names]


def distances(run: Run) -> list[str]:
    """The generator's Fréchet distances that have any value: "fid", "fd_<network>"."""
    return [metric for metric in scalar_metrics(run, "generator") if measures.is_distance(metric)]


def ranks(run: Run, subject: str) -> list[str]:
    """acc_rank_1 .. acc_rank_G of a classifier, worst first."""
    found = [metric for metric in scalar_metrics(run, subject) if measures.rank(metric) is not None]
    return sorted(found, key=measures.rank)


def group_name(run: Run, group: int, class_: int | None = None) -> str:
    """A subgroup's name, its own in that class where classes differ; a number that has none goes by itself (-1 is "unknown")."""
    if group < 0:
        return "unknown"
    rows = run.subgroup_names
    own = rows[class_] if class_ is not None and 0 <= class_ < len(rows) else []
    for names in (own, run.group_names):
        if group < len(names):
            return names[group]
    return f"subgroup {group}"

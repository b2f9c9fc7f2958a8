"""Sentences on a run beside its verdicts: what is missing, what went wrong, what was noted, what a distance was measured on."""

from collections.abc import Iterator

from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.results import diverged
from jaxloop.analysis.run_folder import Name, Run


def missing(run: Run) -> list[str]:
    """What a reader would expect and will not find: unfinished generations, null values, sample grids, deleted classes.

    The same of the control arm, if there is one.
    """
    sentences = []
    if run.reached < run.planned:
        sentences.append(
            f"The run is unfinished: generation {run.reached} of {run.planned} is the last one measured. "
            "Trends are over what is there."
        )
    for subject in run.classifiers:
        series = run.values.get(Name(subject, "accuracy"), {})
        lacking = {
            (g, s) for g in range(run.reached + 1) for s in run.seeds if s not in series.get(g, {})
        }
        if lacking:
            sentences.append(f"{subject}: not measured in {_where(lacking)}.")
    sentences += [
        f"{of}: no value in {_where(places)} ({reason or 'no reason was recorded'})."
        for of, reason, places in _grouped(_nulls(run))
    ]
    whole = {(grid.generation, grid.seed) for grid in run.grids if grid.png}
    sentences += [
        f"{g.path.name} is not a whole PNG file and is left out." for g in run.grids if not g.png
    ]
    if lacking := {
        (g, s) for g in range(1, run.reached + 1) for s in run.seeds if (g, s) not in whole
    }:
        sentences.append(f"Sample grids: none for {_where(lacking)}.")
    return sentences + _deleted(run) + _of_control(run)


def _deleted(run: Run) -> list[str]:
    """Where the filter kept no image of a class: one sentence for each number of classes."""
    by_number: dict[int, set[tuple[int, int]]] = {}
    for place, value in _numbers(run, Name("filter", "deleted_classes")).items():
        by_number.setdefault(value, set()).add(place)
    return [
        f"The filter deleted {number} class{'es' * (number > 1)}, of which no image was kept, in {_where(places)}."
        for number, places in sorted(by_number.items())
    ]


def _of_control(run: Run) -> list[str]:
    """What is missing or went wrong in the control arm, or that there is none yet."""
    if run.control is None:
        asked = run.spec.get("filter", {}).get("control", False)
        return ["The control arm has not been measured yet."] if asked else []
    return [
        f"Control arm: {said}" for said in (*diverged_sentences(run.control), *missing(run.control))
    ]


def _numbers(run: Run, name: Name) -> dict[tuple[int, int], int]:
    """{(generation, seed): count} wherever a count is not 0."""
    return {
        (g, seed): int(value)
        for g, by_seed in run.values.get(name, {}).items()
        for seed, value in by_seed.items()
        if value
    }


def diverged_sentences(run: Run) -> list[str]:
    """One sentence for each subject that diverged anywhere."""
    sentences = []
    for subject in (*run.classifiers, "generator"):
        if found := diverged(run, subject):
            where = _where(
                {(generation, seed) for generation, seeds in found.items() for seed in seeds}
            )
            sentences.append(
                f"{subject} diverged in {where}; its values there, if any, are in every mean and trend."
            )
    return sentences


def noted(run: Run) -> list[str]:
    """Notes on values that exist ("n < d"), one sentence for each measure and note, with where; votes not followed."""
    said = [
        f"{of}: {note}, in {_where(places)}."
        for of, note, places in _grouped(_notes_on_values(run))
    ]
    for metric, what in (
        ("voted_out_kept", "voted out were kept"),
        ("voted_in_dropped", "voted in were dropped"),
    ):
        if found := _numbers(run, Name("filter", metric)):
            said.append(
                f"{sum(found.values())} images that people had {what} all the same, since the number to be kept is "
                f"fixed: in {_where(set(found))}."
            )
    return said


def feature_facts(run: Run) -> list[str]:
    """What distances were measured on: one sentence for the measures that share network, numbers of images and weights."""
    together: dict[str, list[str]] = {}
    for name, series in run.features.items():
        if name.class_ is None and name.group is None:
            facts = [facts for by_seed in series.values() for facts in by_seed.values()]
            together.setdefault(_facts(facts), []).append(name.metric)
    return [f"{listed_words(metrics)}: {facts}." for facts, metrics in together.items()]


def _facts(facts: list[dict]) -> str:
    """Facts of one measure in every generation and seed; where they differ, all that occur."""

    def of(field: str) -> str:
        found = dict.fromkeys(fact.get(field) for fact in facts)
        numbers = sorted(value for value in found if isinstance(value, (int, float)))
        return " or ".join(str(value) for value in numbers or found)

    hashes = dict.fromkeys(fact.get("sha256") for fact in facts)
    known = [f"weights {sha[:12]}" for sha in hashes if sha]
    weights = known + ["weights trained in this run"] * (None in hashes)
    return (
        f"n = {of('n')} generated and {of('n_real')} real images, d = {of('d')} features, resized: {of('resize')}, "
        f"{' or '.join(weights)}"
    )


def _nulls(run: Run) -> Iterator[tuple]:
    """(subject, metric, reason or "", (generation, seed)) of every value that is null."""
    for name, series in run.values.items():
        for generation, by_seed in series.items():
            for seed, value in by_seed.items():
                if value is None:
                    reason = run.notes.get(name, {}).get(generation, {}).get(seed) or ""
                    yield name.subject, name.metric, reason, (generation, seed)


def _notes_on_values(run: Run) -> Iterator[tuple]:
    """(subject, metric, note, (generation, seed)) of every note that explains no null."""
    for name, series in run.notes.items():
        for generation, by_seed in series.items():
            for seed, note in by_seed.items():
                explains = run.values.get(name, {}).get(generation, {}).get(seed, 0) is None
                if note and not explains:
                    yield name.subject, name.metric, note, (generation, seed)


def _grouped(found: Iterator[tuple]) -> Iterator[tuple[str, str, set[tuple[int, int]]]]:
    """(measures of a subject, sentence, places). Classes, subgroups and measures of one sentence and places are told together."""
    places: dict[tuple[str, str, str], set[tuple[int, int]]] = {}
    for subject, metric, sentence, place in found:
        places.setdefault((subject, metric, sentence.rstrip(". ")), set()).add(place)
    together: dict[tuple, list[str]] = {}
    for (subject, metric, sentence), where in places.items():
        together.setdefault((subject, sentence, frozenset(where)), []).append(metric)
    for (subject, sentence, where), metrics in together.items():
        yield f"{subject}, {listed_words(metrics)}", sentence, set(where)


def _where(places: set[tuple[int, int]]) -> str:
    """{(generation, seed)} in words, by generation."""
    seeds_of: dict[int, list[int]] = {}
    for generation, seed in sorted(places):
        seeds_of.setdefault(generation, []).append(seed)
    generations_of: dict[tuple[int, ...], list[int]] = {}
    for generation, seeds in seeds_of.items():
        generations_of.setdefault(tuple(seeds), []).append(generation)
    return "; ".join(
        f"generation{'s' * (len(generations) > 1)} {_span(generations)} "
        f"(seed{'s' * (len(seeds) > 1)} {listed_words([str(s) for s in seeds])})"
        for seeds, generations in generations_of.items()
    )


def _span(generations: list[int]) -> str:
    """ "1 to 10" where none between is missing and there are more than four, else a list."""
    first, last = generations[0], generations[-1]
    if len(generations) > 4 and last - first == len(generations) - 1:
        return f"{first} to {last}"
    return listed_words([str(g) for g in generations])

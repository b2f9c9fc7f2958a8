"""What does filtering change? A run against its control arm, the same run with a random choice at the same r.

The arms share generation 0 and, seed by seed, all random numbers, so that their difference within a seed is the natural
unit: differences are filtered less control, paired by seed, each with its t interval and test over seeds. Every table (of
the classifiers or of what the generator makes; mean, last generation or slope) is a family of its own.
"""

from collections.abc import Iterator, Sequence

from jaxloop.report import measures, results
from jaxloop.report.comparison import compare
from jaxloop.report.comparison.compare import LEVEL, MEAN, SLOPE, Comparison, Series
from jaxloop.report.equation6 import steps
from jaxloop.report.layout import Table
from jaxloop.report.measures import Bias
from jaxloop.report.workdir import Name, Run

KINDS = (MEAN, LEVEL, SLOPE)
CONTROL, GENERATOR = "control", "generator"
IMBALANCE = Bias("imbalance u of subgroups", "imbalance", False)


def families(run: Run) -> list[list[Comparison]]:
    """One list a table, decided, in the order of the page; no list before there is a generation 1 of a control arm."""
    if run.control is None:
        return []
    names = CONTROL, run.spec.get("filter", {}).get("name", "filtered")
    found = [*compare.of_classifiers(run.control, run, names, KINDS, paired=True), *_of_generator(run, names)]
    made = [
        # Generation 0 is one and the same in both arms.
        [c for c in found if (c.subject == GENERATOR, c.of) == (of_generator, of) and c.generation > 0]
        for of_generator in (False, True)
        for of in KINDS
    ]
    return [compare.decided(family) for family in made if family]


def sentence(run: Run, found: Sequence[Sequence[Comparison]]) -> str:
    """How many differences between the arms can be told, and which; "" without any comparison. found: of `families`."""
    own = [c for family in found for c in family]
    if not own:
        return ""
    drop = run.spec["filter"].get("drop")
    rate = "the same r" if drop is None else f"the same r = {drop:g}"
    return f"Filtering by {own[0].other_run} against a random choice at {rate}: {compare.told(own)}"


def table(family: Sequence[Comparison]) -> Table:
    """One of `families`."""
    made = compare.table(family, family)
    if family[0].subject != GENERATOR:
        return made._replace(caption=f"Classifiers. {made.caption}")
    rows = [row[1:] for row in made.rows]
    return Table(f"What the generator makes. {made.caption}", made.columns[1:], rows, made.num_words - 1)


def _of_generator(run: Run, names: tuple[str, str]) -> Iterator[Comparison]:
    for measure, group, sides in _generated(run, (run.control, run)):
        for of in KINDS:
            if compared := compare.difference(*sides, of, paired=True):
                yield Comparison(*names, GENERATOR, measure, of, *compared, paired=True, group=group)


def _generated(run: Run, arms: tuple[Run, Run]) -> Iterator[tuple[Bias, int | None, list[list[Series]]]]:
    """What the generators of both arms make, as (measure, its subgroup, for each arm one series a seed).

    Shares of subgroups, how far they are from the real ones, agreement, diversity and Fréchet distances.
    """
    of_groups = (n.group for n in run.values if n[:3] == (GENERATOR, "subgroup_share", None))
    for group in sorted({group for group in of_groups if group is not None}):
        share = Bias(f"share of {results.group_name(run, group)}", "subgroup_share", False)
        yield share, group, [arm.by_seed(Name(GENERATOR, share.metric, None, group)) for arm in arms]
    found = [steps.imbalances(arm, "real").values for arm in arms]
    u = [[{g: value for (g, of), value in values.items() if of == seed} for seed in run.seeds] for values in found]
    yield IMBALANCE, None, u
    for metric in (*measures.GENERATOR, *results.distances(run)):
        measure = Bias(measures.measure(metric).title, metric, False)
        yield measure, None, [arm.by_seed(Name(GENERATOR, metric)) for arm in arms]

"""What does filtering change? A run against its control arm, the same run with a random choice at the same r.

The arms share generation 0 and, seed by seed, all random numbers, so that their difference within a seed is the natural
unit: differences are filtered less control, paired by seed, each with its t interval and test over seeds.

One family of tests answers the question, and the sentence on filtering speaks of it alone: accuracy and the biases of
all classifiers, as means over the generations. All other tables are secondary: each is a family of its own, and over
all of them a false verdict is likelier than the 5 % of one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jaxloop.analysis import compare, measures, results
from jaxloop.analysis.answer import listed_words
from jaxloop.analysis.compare import LEVEL, MEAN, SLOPE, Comparison, Series
from jaxloop.analysis.equation6 import steps
from jaxloop.analysis.measures import Bias
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report.layout import Table

CONTROL, GENERATOR = "control", "generator"
CLASSIFIERS, FURTHER, GENERATED = (
    "Classifiers",
    "Further measures of bias",
    "What the generator makes",
)
# In the order of the page; the first is the primary one.
TABLES = (
    (CLASSIFIERS, MEAN), (GENERATED, MEAN), (FURTHER, MEAN),
    *((what, of) for of in (LEVEL, SLOPE) for what in (CLASSIFIERS, GENERATED)),
)  # fmt: skip
PRIMARY = TABLES[0]
IMBALANCE = Bias("imbalance u of subgroups", "imbalance", False)
PER_CLASS = (
    Bias("mean gap per class (1 − MEO)", "meo_per_class", True),
    Bias("largest gap per class (MD)", "md_per_class", False),
    Bias("disparate-impact gap per class (1 − DI)", "di_per_class", True),
)


class Family(NamedTuple):
    """The comparisons of one table, decided together.  what, of: one of TABLES."""

    what: str
    of: str
    comparisons: list[Comparison]

    @property
    def primary(self) -> bool:
        return (self.what, self.of) == PRIMARY


class _Measured(NamedTuple):
    """One measure in both arms.  sides: of control and run, one {generation: value} a seed."""

    what: str
    subject: str
    measure: Bias
    group: int | None
    sides: list[list[Series]]


def families(run: Run) -> list[Family]:
    """One a table, in the order of TABLES, empty ones left out; none before both arms have a generation 1."""
    if not _began(run):
        return []
    names = CONTROL, run.spec.get("filter", {}).get("name", "filtered")
    made: dict[tuple[str, str], list[Comparison]] = {table: [] for table in TABLES}
    for m in _measured(run):
        for of in _kinds(m.what):
            # Generation 0 is one and the same in both arms.
            if (compared := compare.difference(*m.sides, of, paired=True)) and compared[0] > 0:
                made[m.what, of].append(
                    Comparison(
                        *names, m.subject, m.measure, of, *compared, paired=True, group=m.group
                    )
                )
    return [Family(*of, compare.decided(found)) for of, found in made.items() if found]


def sentence(run: Run, found: Sequence[Family]) -> str:
    """How many differences of the primary family can be told, and which; "" without it. found: of `families`."""
    own = [c for family in found if family.primary for c in family.comparisons]
    if not own:
        return ""
    drop = run.spec["filter"].get("drop")
    rate = "the same r" if drop is None else f"the same r = {drop:g}"
    return (
        f"Filtering by {own[0].other_run} against a random choice at {rate}, in accuracy and bias averaged over the "
        f"generations: {compare.told(own)}"
    )


def left_out(run: Run, found: Sequence[Family]) -> str:
    """A sentence on what no seed has in both arms, and what therefore is in none of the tables `found`; or ""."""
    have = {
        (family.what, c.subject, c.measure, c.of) for family in found for c in family.comparisons
    }
    titles_of: dict[tuple, list[str]] = {}
    for m in _measured(run) if _began(run) else ():
        lacking = tuple(
            of for of in _kinds(m.what) if (m.what, m.subject, m.measure, of) not in have
        )
        if lacking:
            titles_of.setdefault((m.subject, lacking), []).append(m.measure.title)
    subjects_of: dict[tuple, list[str]] = {}
    for (subject, lacking), titles in titles_of.items():
        subjects_of.setdefault((lacking, tuple(titles)), []).append(subject)
    parts = [
        f"{listed_words([_WORDS[of] for of in lacking])} of {listed_words(list(titles))} ({listed_words(subjects)})"
        for (lacking, titles), subjects in subjects_of.items()
    ]
    return f"Not compared, since no seed has it in both arms: {'; '.join(parts)}." if parts else ""


_WORDS = {MEAN: "mean", LEVEL: "last value", SLOPE: "slope"}


def table(family: Family) -> Table:
    """One of `families`."""
    made = compare.table(family.comparisons, family.comparisons)
    made = made._replace(caption=f"{family.what}. {made.caption}")
    if family.what != GENERATED:
        return made
    return made._replace(
        columns=made.columns[1:], rows=[row[1:] for row in made.rows], num_words=made.num_words - 1
    )


def _began(run: Run) -> bool:
    return run.control is not None and min(run.reached, run.control.reached) > 0


def _kinds(what: str) -> list[str]:
    return [of for table, of in TABLES if table == what]


def _measured(run: Run) -> Iterator[_Measured]:
    for subject in run.classifiers:
        yield from (_in_both(run, CLASSIFIERS, subject, measure) for measure in compare.COMPARED)
        yield from (
            _in_both(run, FURTHER, subject, measure, group)
            for measure, group in _further(run, subject)
        )
    for group in _groups(_recorded(run, GENERATOR), "subgroup_share"):
        share = Bias(f"share of {results.group_name(run, group)}", "subgroup_share", False)
        yield _in_both(run, GENERATED, GENERATOR, share, group)
    rarities = sorted({measures.rarity(n.metric) or 0 for n in _recorded(run, GENERATOR)})
    for k in filter(None, rarities):
        share = Bias(
            f"share of the {measures.rarity_name(k, len(run.group_names))} of each class",
            f"subgroup_share{measures.RARITY}{k}",
            False,
        )
        yield _in_both(run, GENERATED, GENERATOR, share)
    found = [steps.imbalances(arm, "real").values for arm in (run.control, run)]
    u = [
        [{g: value for (g, of), value in values.items() if of == seed} for seed in run.seeds]
        for values in found
    ]
    yield _Measured(GENERATED, GENERATOR, IMBALANCE, None, u)
    distances = filter(
        measures.is_distance, dict.fromkeys(n.metric for n in _recorded(run, GENERATOR))
    )
    for metric in (*measures.GENERATOR, *distances):
        yield _in_both(
            run, GENERATED, GENERATOR, Bias(measures.measure(metric).title, metric, False)
        )


def _further(run: Run, subject: str) -> Iterator[tuple[Bias, int | None]]:
    """(measure, its subgroup). What is an accuracy stays one: higher is better, as its title says."""
    yield from ((measure, None) for measure in PER_CLASS)
    ranks = sorted({measures.rank(n.metric) or 0 for n in _recorded(run, subject)})
    for rank in (rank for rank in ranks if rank > 1):  # the worst is among the biases
        yield Bias(f"accuracy, rank {rank} ↑", f"acc_rank_{rank}", False), None
    for group in _groups(_recorded(run, subject), "group_accuracy"):
        yield (
            Bias(f"accuracy on {results.group_name(run, group)} ↑", "group_accuracy", False),
            group,
        )


def _in_both(
    run: Run, what: str, subject: str, measure: Bias, group: int | None = None
) -> _Measured:
    sides = [compare.series(arm, subject, measure, group) for arm in (run.control, run)]
    return _Measured(what, subject, measure, group, sides)


def _recorded(run: Run, subject: str) -> list[Name]:
    """What either arm has records of, with a value or without; of no class."""
    names = dict.fromkeys(name for arm in (run, run.control) for name in arm.values)
    return [name for name in names if name.subject == subject and name.class_ is None]


def _groups(names: Sequence[Name], metric: str) -> list[int]:
    """The subgroups that a metric was measured of."""
    return sorted({n.group for n in names if n.metric == metric and n.group is not None})

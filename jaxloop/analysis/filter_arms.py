"""What does filtering change? A run against its arm `random`, which drops as many at random.

The arms share generation 0 and, seed by seed, all random numbers, so that their difference within a
seed is the natural unit: filtered less control, paired by seed, with its t interval and test.

One family of tests answers the question, and the sentence on filtering speaks of it alone: accuracy
and the biases of all classifiers, as means over the generations. All other tables are secondary:
each is a family of its own, and over all of them a false verdict is likelier than the 5 % of one.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from jaxloop.analysis import contrasts, measures, results, shares
from jaxloop.analysis.contrasts import COMPARED, IMBALANCE, LEVEL, MEAN, SLOPE, Comparison
from jaxloop.analysis.measures import Bias, Name
from jaxloop.analysis.run_folder import Run
from jaxloop.analysis.words import listed_words

CONTROL, GENERATOR = "control", "generator"
CLASSIFIERS, FURTHER = "Classifiers", "Further measures of bias"
GENERATED = "What the generator makes"
# In the order of the page; the first is the primary one.
TABLES = (
    (CLASSIFIERS, MEAN), (GENERATED, MEAN), (FURTHER, MEAN),
    *((what, part) for part in (LEVEL, SLOPE) for what in (CLASSIFIERS, GENERATED)),
)  # fmt: skip
PER_CLASS = (
    Bias("mean gap per class (1 − MEO)", Name("", "meo_per_class"), True),
    Bias("largest gap per class (MD)", Name("", "md_per_class")),
    Bias("disparate-impact gap per class (1 − DI)", Name("", "di_per_class"), True),
)
_WORDS = {MEAN: "mean", LEVEL: "last value", SLOPE: "slope"}


class Family(NamedTuple):
    """The comparisons of one table, decided together.  what, part: one of TABLES."""

    what: str
    part: str
    comparisons: list[Comparison]

    @property
    def primary(self) -> bool:
        return (self.what, self.part) == TABLES[0]


def families(run: Run) -> list[Family]:
    """Return one a table, in the order of TABLES, without empty ones.

    None before both arms have a generation 1.
    """
    control = run.arms.get("random")
    if control is None:
        return []
    arms = {CONTROL: control, run.spec.get("filter", {}).get("name", "filtered"): run}
    comparisons = defaultdict(list)
    for what, subject, measure in _measured(run):
        for c in contrasts.compared(arms, subject, measure, _parts(what), paired=True):
            if c.generation > 0:  # generation 0 is one and the same in both arms
                comparisons[what, c.part].append(c)
    return [
        Family(*table, contrasts.decided(comparisons[table]))
        for table in TABLES
        if table in comparisons
    ]


def sentence(run: Run, families: Sequence[Family]) -> str:
    """Say how many differences of the primary family can be told, and which; "" without it."""
    primary = [c for family in families if family.primary for c in family.comparisons]
    if not primary:
        return ""
    drop = run.spec["filter"].get("drop")
    rate = "the same r" if drop is None else f"the same r = {drop:g}"
    return (
        f"Filtering by {primary[0].other_run} against a random choice at {rate}, in accuracy and "
        f"bias averaged over the generations: {contrasts.outcome(primary)}"
    )


def left_out(run: Run, families: Sequence[Family]) -> str:
    """Return a sentence on what no seed has in both arms, and so is in no table; or ""."""
    have = {(c.subject, c.measure, c.part) for f in families for c in f.comparisons}
    titles, subjects = defaultdict(list), defaultdict(list)
    for what, subject, measure in _measured(run):
        lacking = tuple(part for part in _parts(what) if (subject, measure, part) not in have)
        titles[subject, lacking].append(measure.title)
    for (subject, lacking), names in titles.items():
        subjects[lacking, tuple(names)].append(subject)
    parts = [
        f"{listed_words([_WORDS[part] for part in lacking])} of {listed_words(list(names))} "
        f"({listed_words(classifiers)})"
        for (lacking, names), classifiers in subjects.items()
        if lacking
    ]
    return f"Not compared, since no seed has it in both arms: {'; '.join(parts)}." if parts else ""


def table(family: Family) -> pd.DataFrame:
    """Return one of `families` for people."""
    frame = contrasts.table(family.comparisons, family.comparisons)
    frame.attrs["caption"] = f"{family.what}. {frame.attrs['caption']}"
    if family.what == GENERATED:  # all of one subject
        frame = frame.drop(columns="classifier")
        frame.attrs["num_words"] -= 1
    return frame


def _parts(what: str) -> list[str]:
    return [part for table, part in TABLES if table == what]


def _measured(run: Run) -> Iterator[tuple[str, str, Bias]]:
    """(table, subject, measure) of all that is compared; nothing before both arms began."""
    control = run.arms.get("random")
    if control is None or min(run.reached, control.reached) < 1:
        return
    # With a value in either arm or without; of no class.
    recorded = [n for n in dict.fromkeys(run.names + control.names) if n.class_ is None]
    in_order = sorted(recorded, key=results.order)
    for subject in run.classifiers:
        yield from ((CLASSIFIERS, subject, measure) for measure in COMPARED)
        yield from ((FURTHER, subject, measure) for measure in PER_CLASS)
        for n in in_order:
            # The worst rank is among the biases.
            if n.subject == subject and ((n.rank or 0) > 1 or n.metric == "group_accuracy"):
                yield FURTHER, subject, _plain(run, n)
    # A judge errs more on what a filter drops than on a random choice: its shares are not compared.
    known = not shares.is_estimated(run)
    of_groups = [n for n in in_order if known and n[:2] == (GENERATOR, "subgroup_share")]
    others = [Name(GENERATOR, metric) for metric in measures.GENERATOR]
    others += [n for n in recorded if n.subject == GENERATOR and measures.is_distance(n.metric)]
    yield from ((GENERATED, GENERATOR, _plain(run, n)) for n in of_groups)
    if known:
        yield GENERATED, GENERATOR, IMBALANCE
    yield from ((GENERATED, GENERATOR, _plain(run, n)) for n in others)


def _plain(run: Run, n: Name) -> Bias:
    """What is as it was measured: of an accuracy higher is better, as its title says."""
    if n.metric == "group_accuracy":
        title = f"accuracy on {results.group_name(run, n.group)} ↑"
    elif n.rank is not None:
        title = f"accuracy, rank {n.rank} ↑"
    elif n.group is not None:
        title = f"share of {results.group_name(run, n.group)}"
    elif n.rarity is not None:
        rarity = measures.rarity_name(n.rarity, len(run.group_names))
        title = f"share of the {rarity} of each class"
    else:
        title = measures.measure(n).title
    return Bias(title, n._replace(subject=""))

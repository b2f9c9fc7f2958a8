"""What a report says of a run, worked out once for its page and its numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxloop.analysis import drop_rates, filter_arms, rater_agreement
from jaxloop.analysis.answer import Answer, answer
from jaxloop.analysis.drop_rates import Rate
from jaxloop.analysis.equation6 import dynamics
from jaxloop.analysis.equation6.dynamics import Dynamics
from jaxloop.analysis.filter_arms import Family
from jaxloop.analysis.measures import BIASES
from jaxloop.analysis.rater_agreement import People
from jaxloop.analysis.run_folder import Run
from jaxloop.report import remarks
from jaxloop.statistics import Estimate


class Contents(NamedTuple):
    """problems, noted, feature_facts: sentences, see `remarks`.

    overall, groups, classes, cells: drop rates; the last three empty where nothing was dropped.
    arms: comparisons with the control arm, a family a table; sentence: on them; not_compared: a
      sentence on what is in none of them.
    people: what they said; None without votes.  estimates: of eq. (6).
    """

    run: Run
    answer: Answer
    problems: list[str]
    noted: list[str]
    feature_facts: list[str]
    overall: Estimate
    groups: list[Rate]
    classes: list[Rate]
    cells: list[Rate]
    arms: list[Family]
    sentence: str
    not_compared: str
    people: People | None
    estimates: list[Dynamics]


def contents(run: Run) -> Contents:
    """Work out what a report says of a run. Raises InputError if votes.jsonl is broken."""
    overall, arms = drop_rates.overall(run), filter_arms.families(run)
    functions = drop_rates.by_group, drop_rates.by_class, drop_rates.by_cell
    groups, classes, cells = (by_part(run) if overall.mean else [] for by_part in functions)
    return Contents(
        run, answer(run), remarks.problems(run), remarks.noted(run), remarks.feature_facts(run),
        overall, groups, classes, cells, arms, filter_arms.sentence(run, arms),
        filter_arms.left_out(run, arms), rater_agreement.people(run), equation6([run]),
    )  # fmt: skip


def equation6(runs: Sequence[Run]) -> list[Dynamics]:
    """Estimate eq. (6) from all runs together, for each kind of bias, with the default readings."""
    return [dynamics.estimate(runs, bias) for bias in BIASES]

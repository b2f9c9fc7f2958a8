"""The audit of filtering on the page: whom the filter dropped, what that changed, and what people said."""

from collections.abc import Iterator
from typing import NamedTuple

from jaxloop.analysis import drop_rates as drops
from jaxloop.analysis import filter_arms as arms
from jaxloop.analysis import rater_agreement as people
from jaxloop.analysis.compare import LEVEL, SLOPE
from jaxloop.analysis.drop_rates import Rate
from jaxloop.analysis.filter_arms import Family
from jaxloop.analysis.rater_agreement import People
from jaxloop.analysis.run_folder import Run
from jaxloop.report import figures
from jaxloop.report.layout import to_html
from jaxloop.report.markup import bullets, figure, folded, heading


class Audit(NamedTuple):
    """groups, classes, cells: drop rates (see drops.py), none where nothing was dropped.

    arms: comparisons with the control arm, a family a table (see arms.py).  not_compared: a sentence on what is in none
      of them, or "".
    people: what they said, if anybody voted.
    """

    groups: list[Rate]
    classes: list[Rate]
    cells: list[Rate]
    arms: list[Family]
    not_compared: str
    people: People | None


def audit(run: Run) -> Audit:
    """Raises InputError on a broken votes.jsonl."""
    dropped = drops.overall(run).mean
    rates = (
        (drops.by_group(run), drops.by_class(run), drops.by_cell(run)) if dropped else ([], [], [])
    )
    compared = arms.families(run)
    return Audit(*rates, compared, arms.left_out(run, compared), people.people(run))


def blocks(run: Run, found: Audit) -> Iterator[str]:
    """A section on the filter, if it dropped anything or is compared with its control arm.

    And one on votes, if there are any.
    """
    if drops.overall(run).mean or found.arms or found.not_compared:
        yield from _filter(run, found)
    if found.people:
        yield heading("What people said", "people")
        yield bullets(people.sentences(found.people))
        if table := people.table(found.people):
            yield to_html(table)


def _filter(run: Run, found: Audit) -> Iterator[str]:
    yield heading("What the filter did", "filter")
    of_arms = filter(None, (arms.sentence(run, found.arms), found.not_compared))
    yield bullets([*of_arms, *drops.sentences(run, found.groups)])
    if table := drops.group_table(run, found.groups):
        yield to_html(table)
    details = {
        "Drop rate by class": drops.class_table(run, found.classes),
        "Drop rate by class and subgroup": drops.cell_table(run, found.cells),
        "Drop rate within each seed": drops.within_seed_table(run),
    }
    for title, table in details.items():
        yield folded(title, to_html(table)) if table else ""
    if found.arms:
        yield from _against_control(run, found.arms)
    elif _unknown(run):
        yield '<p class="small">Without a control arm (filter.control) nobody can tell what filtering changed.</p>'


def _unknown(run: Run) -> bool:
    """Whether a control arm would tell something, and none was asked for."""
    filter_ = run.spec.get("filter", {})
    return filter_.get("name") not in (None, "none", "random") and not filter_.get("control")


def _against_control(run: Run, families: list[Family]) -> Iterator[str]:
    yield "<h3>Against a random choice</h3>"
    yield (
        '<p class="small">The control arm is the same run from generation 0 on, but for the choice of the images that '
        "are dropped, which is random. A difference is filtered less control within a seed; bias is turned so that "
        "larger is worse; of an accuracy (↑) higher is better. “Pairs” are the seeds that have a value in both arms. "
        "“Cannot tell” is not “equal”.</p>"
    )
    yield from (to_html(arms.table(family)) for family in families if family.primary)
    if drawn := figures.draw(run, figures.CONTROL):
        caption = f"{figures.CONTROL.caption} {figures.seeds_caption(drawn.nums)}"
        yield figure(drawn, figures.CONTROL.name, figures.CONTROL.heading, [caption])
    yield (
        '<p class="small">The first sentence of this section speaks of one table alone, the mean over generations of '
        "accuracy and bias of all classifiers: where filtering changes nothing, the chance of any false verdict in it "
        "is at most 5%. The tables below are secondary: each is corrected within itself alone, so that over all of them "
        "a false verdict is likelier. Take what they say as a hint.</p>"
    )
    shown: dict[str, str] = {}
    for family in (family for family in families if not family.primary):
        title = _FOLDED.get(family.of) or f"{family.what}, mean over generations"
        shown[title] = shown.get(title, "") + to_html(arms.table(family))
    yield from (folded(title, tables) for title, tables in shown.items())


_FOLDED = {LEVEL: "In the last generation", SLOPE: "Slopes over generations"}

"""The audit of filtering on the page: whom the filter dropped, what that changed, and what people said."""

from collections.abc import Iterator
from typing import NamedTuple

from jaxloop.report import figures
from jaxloop.report.audit import arms, drops, people
from jaxloop.report.audit.drops import Rate
from jaxloop.report.audit.people import People
from jaxloop.report.comparison.compare import LEVEL, MEAN, SLOPE, Comparison
from jaxloop.report.layout import to_html
from jaxloop.report.markup import bullets, figure, folded, heading
from jaxloop.report.workdir import Run


class Audit(NamedTuple):
    """groups, classes, cells: drop rates (see drops.py).  people: what they said, if anybody voted.

    arms: comparisons with the control arm, a list a table (see arms.py).
    """

    groups: list[Rate]
    classes: list[Rate]
    cells: list[Rate]
    arms: list[list[Comparison]]
    people: People | None


def audit(run: Run) -> Audit:
    """Raises InputError on a broken votes.jsonl."""
    rates = drops.by_group(run), drops.by_class(run), drops.by_cell(run)
    return Audit(*rates, arms.families(run), people.people(run))


def blocks(run: Run, found: Audit) -> Iterator[str]:
    """A section on the filter, unless it dropped nothing (yet); and one on votes, if there are any."""
    if drops.overall(run).mean:
        yield from _filter(run, found)
    if found.people:
        yield heading("What people said", "people")
        yield bullets(people.sentences(found.people))
        if table := people.table(found.people):
            yield to_html(table)


def _filter(run: Run, found: Audit) -> Iterator[str]:
    yield heading("What the filter did", "filter")
    said = arms.sentence(run, found.arms)
    yield bullets([*([said] if said else []), *drops.sentences(run, found.groups)])
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


def _against_control(run: Run, families: list[list[Comparison]]) -> Iterator[str]:
    yield "<h3>Against a random choice</h3>"
    yield (
        '<p class="small">The control arm is the same run from generation 0 on, but for the choice of the images that '
        "are dropped, which is random. A difference is filtered less control within a seed; bias is turned so that "
        "larger is worse. Verdicts are corrected within each table. “Cannot tell” is not “equal”.</p>"
    )
    shown: dict[str, str] = {}
    for family in families:
        shown[family[0].of] = shown.get(family[0].of, "") + to_html(arms.table(family))
    yield shown.pop(MEAN, "")
    if drawn := figures.draw(run, figures.CONTROL):
        caption = f"{figures.CONTROL.caption} {figures.seeds_caption(drawn.nums)}"
        yield figure(drawn, figures.CONTROL.name, figures.CONTROL.heading, [caption])
    for of, tables in shown.items():
        yield folded({LEVEL: "In the last generation", SLOPE: "Slopes over generations"}[of], tables)

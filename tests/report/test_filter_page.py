import json

import numpy as np
import pytest

from jaxloop.analysis import run_folder as workdir
from jaxloop.errors import InputError
from jaxloop.provenance import votes
from jaxloop.report import figures, page, remarks, tables
from jaxloop.report import filter_page as audit_page
from jaxloop.report import json_export as export


def noisy(log, seed, by=0.0):
    """Another arm: noise of its own from generation 1 on, and lenet's MD off by `by`."""
    rng, rows = np.random.default_rng(seed), []
    for r in log:
        fixed = r["generation"] == 0 or r["metric"] == "diverged" or r["subject"] == "filter"
        shift = by if (r["subject"], r["metric"]) == ("lenet", "md") else 0
        rows.append(r if fixed else r | {"value": r["value"] + rng.normal(shift, 0.002)})
    return rows


@pytest.fixture(scope="module")
def written(make_arms, log_of):
    folder = make_arms(noisy(log_of(), 0), noisy(log_of(), 1, by=0.1))
    page.write(folder)
    return folder


@pytest.fixture(scope="module")
def html(written):
    return (written / "report.html").read_text()


def section(text):
    return text[text.index('<h2 id="filter">') : text.index('<h2 id="overall">')]


SAID = (
    "Filtering by uncertainty against a random choice at the same r = 0.1, in accuracy and bias averaged over the "
    "generations: 1 of 10 differences can be told: lenet, average largest gap (MD) higher. In the other 9 nothing can "
    "be told with 3 seeds."
)


def test_the_page_says_what_filtering_changed_before_it_shows_it(html):
    own = section(html)
    places = [own.index(text) for text in (
        SAID, "Not compared, since no seed has it in both arms: mean, last value and slope of imbalance u",
        "Asked to drop a share r = 0.1", "Drop rate by subgroup", "Against a random choice", "Classifiers. Mean over",
        "dashed: its control arm", "The first sentence of this section speaks of one table alone",
        "The tables below are secondary: each is corrected within itself alone", "What the generator makes. Mean over",
        "Further measures of bias. Mean over", "In the last generation", "Slopes over generations",
    )]  # fmt: skip
    assert places == sorted(places)
    assert (
        own.count('<span class="verdict decided">') >= 3
        and "nobody can tell what filtering changed" not in own
    )
    assert html.index("Before and after") < html.index("What the filter did")


def test_control_arm_is_dashed_beside_the_run(html, written):
    own, run = section(html), workdir.load(written)
    for panel, filtered, control in zip(
        *(figures.with_control(run), figures.overall(run), figures.overall(run.control)),
        strict=True,
    ):
        assert [line.style[2] == "solid" for line in panel.lines] == [True, True, False, False]
        means = [[p.estimate.mean for p in line.points] for line in panel.lines]
        assert means == [
            [p.estimate.mean for p in line.points] for line in (*filtered.lines, *control.lines)
        ]
        assert all(p.estimate.half_width is None for line in panel.lines[2:] for p in line.points)
    assert (
        own.count("<svg") == 2
        and ">lenet, control</text>" in own
        and ">alexnet, control</text>" in own
    )


def test_the_page_is_whole_and_the_same_again(html, written, reader):
    assert page.build(written) == html
    tags = reader(html).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and {"filter", "overall"} <= set(ids)
    assert not {"link", "script", "iframe"} & {tag for tag, _ in tags}


def test_json_holds_what_the_page_shows(written):
    report = json.loads((written / "report.json").read_text())["filter"]
    assert report["asked"] == 0.1 and report["drop_rate"]["mean"] == pytest.approx(0.1)
    assert [(r["group"], r["rate"]["mean"], r["verdict"]) for r in report["drop_rates"]] == [
        (0, pytest.approx(0.08), "lower"), (1, pytest.approx(0.12), "higher")
    ]  # fmt: skip
    control = report["control"]
    assert control["sentence"].startswith(SAID) and len(control["comparisons"]) == 57
    primary = [(c["metric"], c["of"], c["table"]) for c in control["comparisons"] if c["primary"]]
    assert (
        primary
        == [(m, "mean", "Classifiers") for m in ("accuracy", "meo", "md", "acc_rank_1", "di")] * 2
    )
    assert control["not_compared"].endswith("imbalance u of subgroups (generator).")
    sure = [
        (c["subject"], c["metric"], c["of"])
        for c in control["comparisons"]
        if c["verdict"] in ("higher", "lower")
    ]
    assert sure == [("lenet", "md", of) for of in ("mean", "level", "slope")]
    assert {c.get("group") for c in control["comparisons"]} == {None, 0, 1}
    assert {m["subject"] for m in control["means"]} == {"lenet", "alexnet", "generator", "filter"}


def test_summary_says_it_in_one_line(written, make_workdir):
    text = tables.summary(written)
    assert SAID in " ".join(text.split()) and max(map(len, text.splitlines())) < 100
    assert "random choice" not in tables.summary(make_workdir())


def part(folder):
    """What the audit adds to the page, and to its numbers."""
    run = workdir.load(folder)
    audited = audit_page.audit(run)
    return "".join(audit_page.blocks(run, audited)), export.as_json(run, [], audited)


def test_without_a_control_arm(simulated):
    text, numbers = part(simulated)
    assert (
        "nobody can tell what filtering changed" in text
        and "<svg" not in text
        and "random choice" not in text
    )
    assert numbers["filter"]["control"] is None and len(numbers["filter"]["drop_rates"]) == 2


def test_a_control_arm_that_measured_nothing_is_told(make_workdir):
    folder = make_workdir(filter={"name": "uncertainty", "drop": 0.1, "control": True})
    log = folder / "control/records.jsonl"
    real = {
        "seed": 0,
        "generation": 0,
        "subject": "real",
        "metric": "subgroup_share",
        "value": 0.5,
        "group": 0,
    }
    for prepare in (
        lambda: None,
        log.parent.mkdir,
        log.touch,
        lambda: log.write_text(json.dumps(real) + "\n"),
    ):
        prepare()
        run = workdir.load(folder)
        assert (
            run.control is None
            and "The control arm has not been measured yet." in remarks.missing(run)
        )


def test_what_is_missing_in_the_control_arm_is_told(make_arms, full_log):
    run = workdir.load(make_arms([r for r in full_log if r["generation"] <= 2]))
    assert any(
        s.startswith("Control arm: The run is unfinished: generation 2 of 4")
        for s in remarks.missing(run)
    )


def test_a_control_arm_of_other_seeds_is_refused(make_arms, full_log):
    folder = make_arms([r for r in full_log if r["seed"] < 2])
    config = json.loads((folder / "control/config.json").read_text())
    config["config"]["seeds"] = [0, 1]
    (folder / "control/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="config.seeds"):
        workdir.load(folder)


def test_deleted_classes_and_overruled_votes_are_told(make_workdir, full_log):
    of = {"subject": "filter", "metric": "deleted_classes"}
    rows = [
        of | {"seed": s, "generation": g, "value": 2 if (s, g) == (1, 3) else g // 4}
        for s in range(3)
        for g in range(1, 5)
    ]
    overruled = {"voted_out_kept": 2, "voted_in_dropped": 3}
    rows += [
        r | {"metric": m, "value": 5 * (r["generation"] == g)}
        for m, g in overruled.items()
        for r in rows
    ]
    run = workdir.load(make_workdir([*full_log, *rows]))
    said = remarks.missing(run)
    assert (
        "The filter deleted 1 class, of which no image was kept, in generation 4 (seeds 0, 1 and 2)."
        in said
    )
    assert (
        "The filter deleted 2 classes, of which no image was kept, in generation 3 (seed 1)."
        in said
    )
    assert remarks.noted(run) == [
        f"15 images that people had voted {what} all the same, since the number to be kept is fixed: in generation {g} "
        "(seeds 0, 1 and 2)."
        for what, g in (("out were kept", 2), ("in were dropped", 3))
    ]


def test_nothing_is_said_of_a_filter_that_drops_nothing(make_workdir, full_log):
    log = [r | {"value": 0} if r["subject"] == "filter" else r for r in full_log]
    assert part(make_workdir(log, filter={"name": "none"}))[0] == ""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            0,
            "Asked to drop a share r = 0.1, the filter dropped none of the generated images: there are no drop rates "
            "to compare.",
        ),
        (None, "No generation has a drop rate: whom the filter dropped is not known."),
    ],
)
def test_arms_are_shown_where_nothing_was_dropped(make_arms, full_log, value, why):
    """On the page as in the numbers; the part on drop rates says why it has none."""
    log = [r | {"value": value} if r["subject"] == "filter" else r for r in full_log]
    text, numbers = part(make_arms(noisy(log, 0), noisy(log, 1, by=0.1)))
    assert why in text and "Drop rate" not in text and "Further measures of bias. Mean over" in text
    assert numbers["filter"]["control"]["sentence"].startswith(SAID) and SAID in text
    assert numbers["filter"]["drop_rates"] == []


def test_votes_have_a_part_of_their_own(make_workdir):
    folder = make_workdir()
    assert part(folder)[1]["people"] is None and "What people said" not in part(folder)[0]
    votes.append(
        folder, votes.Vote("2026-01-31T12:00:00+00:00", "ada", "ab", 0, "keep", False, 1, 0, 3)
    )
    text, numbers = part(folder)
    assert (
        "What people said" in text
        and "No real image has a vote." in text
        and "ada" not in text + json.dumps(numbers)
    )
    assert (
        numbers["people"]["num_generated"] == 1 and numbers["people"]["detections"][0]["rater"] == 1
    )

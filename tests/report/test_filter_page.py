import base64
import json
import re

import numpy as np
import pytest

from jaxloop.analysis.run_folder import load
from jaxloop.errors import InputError
from jaxloop.provenance import votes
from jaxloop.report import figures, json_export, page, remarks, rendering


def noisy(log, seed, by=0.0):
    """Return another arm: noise of its own from generation 1 on, and lenet's MD off by `by`."""
    rng, rows = np.random.default_rng(seed), []
    for r in log:
        fixed = r["generation"] == 0 or r["metric"] == "diverged" or r["subject"] == "filter"
        shift = by if (r["subject"], r["metric"]) == ("lenet", "md") else 0
        rows.append(r if fixed else r | {"value": r["value"] + rng.normal(shift, 0.002)})
    return rows


@pytest.fixture(scope="module")
def written(make_arms, log_of):
    log = log_of(signals=False)
    folder = make_arms(noisy(log, 0), noisy(log, 1, by=0.1))
    page.write(folder)
    return folder


@pytest.fixture(scope="module")
def html(written):
    return (written / "report.html").read_text()


def section(text):
    return text[text.index('<h2 id="filter">') : text.index('<h2 id="conjecture">')]


SAID = (
    "Filtering by uncertainty against a random choice at the same r = 0.1, in accuracy and bias "
    "averaged over the generations: 1 of 10 differences can be told: lenet, average largest gap "
    "(MD) higher. In the other 9 nothing can be told with 3 seeds."
)
UNTOLD = (
    "Not compared, since no seed has it in both arms: mean, last value and slope of imbalance u"
)


def test_the_page_says_what_filtering_changed_before_it_shows_it(html):
    part = section(html)
    places = [part.index(text) for text in (
        SAID, UNTOLD, "Asked to drop a share r = 0.1", "Drop rate by subgroup",
        "Against a random choice", "The first sentence of this section speaks of one table alone",
        "The folded tables are secondary: each is corrected within itself alone",
        "dashed: its control arm", "Classifiers. Mean over", "What the generator makes. Mean over",
        "Further measures of bias. Mean over", "Classifiers, last generation",
        "Classifiers, slopes over generations",
    )]  # fmt: skip
    assert places == sorted(places)
    assert part.count('<span class="verdict decided">') >= 3
    assert "nobody can tell what filtering changed" not in part
    assert html.index("Before and after") < html.index("What the filter did")


def test_control_arm_is_dashed_beside_the_run(html, written):
    run = load(written)
    arms = figures.overall(run), figures.overall(run.arms["random"])
    for panel, filtered, control in zip(figures.with_control(run), *arms, strict=True):
        assert [line.style[2] == "solid" for line in panel.lines] == [True, True, False, False]
        sources = [*filtered.lines, *control.lines]
        for line, source in zip(panel.lines, sources, strict=True):
            means = [p.estimate.mean for p in source.points]
            assert [p.estimate.mean for p in line.points] == means
        assert all(p.estimate.half_width is None for line in panel.lines[2:] for p in line.points)
    svg = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", section(html))
    assert len(svg) == 1
    drawn = base64.b64decode(svg[0]).decode()
    assert ">lenet, control</text>" in drawn and ">alexnet, control</text>" in drawn


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
    comparisons = control["comparisons"]
    assert control["sentence"].startswith(SAID) and len(comparisons) == 57
    primary = [c for c in comparisons if c["primary"]]
    assert {(c["part"], c["table"]) for c in primary} == {("mean", "Classifiers")}
    keys = [(c["metric"], c.get("rank")) for c in primary]
    metrics = [("accuracy", None), ("meo", None), ("md", None), ("accuracy", 1), ("di", None)]
    assert keys == metrics * 2
    assert control["not_compared"].endswith("imbalance u of subgroups (generator).")
    sure = [(c["subject"], c["metric"], c["part"]) for c in comparisons
            if c["verdict"] in ("higher", "lower")]  # fmt: skip
    assert sure == [("lenet", "md", part) for part in ("mean", "level", "slope")]
    assert {c.get("group") for c in comparisons} == {None, 0, 1}
    assert {m["subject"] for m in control["means"]} == {"lenet", "alexnet", "generator", "filter"}


def test_summary_says_it_in_one_line(written, simulated):
    text = page.summary(page.contents(load(written)))
    assert SAID in " ".join(text.split()) and max(map(len, text.splitlines())) < 100
    assert "random choice" not in page.summary(page.contents(load(simulated)))


def part(folder):
    """Return what the audit adds to the page, and the numbers of the report."""
    run = load(folder)
    said = page.contents(run)
    numbers = json.loads(json_export.text(json_export.of_run(said)))
    return rendering.render("filter.html", run=run, contents=said), numbers


def test_without_a_control_arm(simulated):
    text, numbers = part(simulated)
    assert "nobody can tell what filtering changed" in text
    assert "<img" not in text and "random choice" not in text
    assert numbers["filter"]["control"] is None and len(numbers["filter"]["drop_rates"]) == 2


def test_a_control_arm_that_measured_nothing_is_told(make_workdir):
    folder = make_workdir(arms=["random"])
    log = folder / "arms/random/records.jsonl"
    real = {"seed": 0, "generation": 0, "subject": "real", "metric": "subgroup_share"}
    real = json.dumps(real | {"value": 0.5, "group": 0}) + "\n"
    steps = (
        lambda: None,
        lambda: log.parent.mkdir(parents=True),
        log.touch,
        lambda: log.write_text(real),
    )
    for prepare in steps:
        prepare()
        run = load(folder)
        assert run.arms == {}
        assert "The control arm has not been measured yet." in remarks.problems(run)


def test_what_is_missing_in_the_control_arm_is_told(make_arms, full_log):
    run = load(make_arms([r for r in full_log if r["generation"] <= 2]))
    start = "Control arm: The run is unfinished: generation 2 of 4"
    assert any(sentence.startswith(start) for sentence in remarks.problems(run))


def test_a_control_arm_of_other_seeds_is_refused(make_arms, full_log):
    folder = make_arms([r for r in full_log if r["seed"] < 2])
    config = json.loads((folder / "arms/random/config.json").read_text())
    config["config"]["seeds"] = [0, 1]
    (folder / "arms/random/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="config.seeds"):
        load(folder)


def test_nothing_is_said_of_a_filter_that_drops_nothing(make_workdir, full_log):
    log = [r | {"value": 0} if r["subject"] == "filter" else r for r in full_log]
    assert part(make_workdir(log, filter={"name": "none"}))[0].strip() == ""


NONE = (
    "Asked to drop a share r = 0.1, the filter dropped none of the generated images: there are no "
    "drop rates to compare."
)


@pytest.mark.parametrize(("value", "why"), [(0, NONE), (None, "No generation has a drop rate:")])
def test_arms_are_shown_where_nothing_was_dropped(make_arms, log_of, value, why):
    """On the page as in the numbers; the part on drop rates says why it has none."""
    log = [r | {"value": value} if r["subject"] == "filter" else r for r in log_of(signals=False)]
    text, numbers = part(make_arms(noisy(log, 0), noisy(log, 1, by=0.1)))
    assert why in text and "Drop rate" not in text and "Further measures of bias. Mean over" in text
    assert numbers["filter"]["control"]["sentence"].startswith(SAID) and SAID in text
    assert numbers["filter"]["drop_rates"] == []


def test_votes_have_a_part_of_their_own(make_workdir):
    folder = make_workdir()
    text, numbers = part(folder)
    assert numbers["people"] is None and "What people said" not in text
    when = "2026-01-31T12:00:00+00:00"
    votes.append(folder, votes.Vote(when, "ada", "ab", 0, "keep", False, 1, 0, 3))
    text, numbers = part(folder)
    assert "What people said" in text and "No real image has a vote." in text
    assert "ada" not in text + json.dumps(numbers)
    people = numbers["people"]
    assert people["num_generated"] == 1 and people["detections"][0]["rater"] == 1

import pytest

from jaxloop import statistics
from jaxloop.analysis import answer, results
from jaxloop.analysis import run_folder as workdir


def is_bias(record):
    return record["metric"] in ("meo", "md", "di") or record.get("rank") == 1


@pytest.mark.parametrize(
    ("lenet", "alexnet", "headline"),
    [
        (1, 1, "Yes: bias grew in 8 of 8 comparisons."),
        (
            1,
            0,
            "In part: bias grew in 4 of 8 comparisons; in 4 the trend cannot be told from no "
            "change with 3 seeds.",
        ),
        (1, -1, "Mixed: of 8 comparisons, bias grew in 4 and shrank in 4."),
        (
            -1,
            0,
            "No growth seen: bias shrank in 4 of 8 comparisons; in 4 the trend cannot be told "
            "from no change with 3 seeds.",
        ),
        (
            0,
            0,
            "Cannot tell with 3 seeds: in none of 8 comparisons can the trend be told from no "
            "change.",
        ),
    ],
)
def test_headline(make_workdir, full_log, lenet, alexnet, headline):
    log = []
    for r in full_log:
        if is_bias(r):
            towards = {"lenet": lenet, "alexnet": alexnet}[r["subject"]] * (
                1 if r["metric"] == "md" else -1
            )
            slope = towards * 0.01 * (1 + 0.1 * r["seed"]) + 1e-4 * (r["seed"] - 1)
            r = r | {"value": 0.5 + slope * r["generation"]}
        log.append(r)
    assert answer.answer(workdir.load(make_workdir(log))).headline == headline


def test_sentence_for_each_classifier(make_workdir):
    assert answer.answer(workdir.load(make_workdir())).sentences == [
        "lenet: mean gap (1 − MEO), largest gap (MD), worst-subgroup error and disparate-impact "
        "gap (1 − DI) grew.",
        "alexnet: cannot tell, for any of 4 measures of bias.",
    ]


def test_sentence_of_mixed_verdicts(make_workdir, full_log):
    log = [
        r | {"value": 0.5 + (0.01 + 1e-5 * r["seed"]) * r["generation"]}
        if (r["subject"], r["metric"]) == ("alexnet", "meo")
        else r
        for r in full_log
    ]
    assert answer.answer(workdir.load(make_workdir(log))).sentences[1] == (
        "alexnet: mean gap (1 − MEO) shrank; cannot tell for largest gap (MD), worst-subgroup "
        "error and disparate-impact gap (1 − DI)."
    )


def test_few_seeds_are_named_as_the_reason(make_workdir, full_log):
    said = answer.answer(workdir.load(make_workdir()))
    # t(1 - 0.025 / 8, 2) = 12.6; t(1 - 0.025 / 8, 9) = 3.5
    assert said.why == (
        "3 seeds are few: a slope's interval has 2 degrees of freedom, and for a first verdict "
        "among 8 a slope must lie 13 "
        "standard errors away from 0 (with 10 seeds: 3.5)."
    )
    decided = [
        r | {"value": 0.5 + (0.01 + 1e-5 * r["seed"]) * r["generation"]}
        for r in full_log
        if is_bias(r)
    ]
    assert answer.answer(workdir.load(make_workdir(decided))).why == ""


def test_many_seeds_are_no_reason(make_workdir, full_log):
    seeds = list(range(10))
    log = [r | {"seed": s} for r in full_log if r["seed"] == 0 for s in seeds]
    for r in log:
        r["value"] = 0.9 + 0.01 * (r["seed"] - 4.5) * r["generation"]
    said = answer.answer(workdir.load(make_workdir(log, seeds=seeds)))
    assert (
        said.why == "" and "seeds" not in said.headline and said.headline.startswith("Cannot tell")
    )


def test_a_run_without_any_measure_of_bias_says_so(make_workdir, full_log):
    run = workdir.load(
        make_workdir([r for r in full_log if r["metric"] == "accuracy" and "rank" not in r])
    )
    assert (
        answer.answer(run).headline
        == "Cannot tell: no measure of bias has a value in two generations or more."
    )


def without_spread(log, *subjects):
    """Every seed of these classifiers has one and the same slope, of every measure."""
    return [
        r | {"value": 0.5 + 0.01 * r["generation"]} if r["subject"] in subjects else r for r in log
    ]


def test_slopes_without_spread_are_not_tested(make_workdir, full_log):
    run = workdir.load(make_workdir(without_spread(full_log, "alexnet")))
    said = answer.answer(run)
    assert said.headline.startswith(
        "In part: bias grew in 4 of 8 comparisons; in 4 the trend cannot be told"
    )
    assert (
        said.why
        == "In 4 of 8 comparisons all seeds gave the same slope, and without spread there is no "
        "test."
    )
    assert said.sentences[1] == "alexnet: cannot tell (no spread), for any of 4 measures of bias."
    tested = [v for v in results.verdicts(run) if v.decision.p is not None]
    assert [v.decision.p for v in tested] == statistics.holm([v.trend.p for v in tested]) and len(
        tested
    ) == 4


def test_without_any_spread_there_is_no_answer(make_workdir, full_log):
    said = answer.answer(workdir.load(make_workdir(without_spread(full_log, "lenet", "alexnet"))))
    assert said.headline == (
        "Cannot tell: in each of 8 comparisons all seeds gave the same slope, and without spread "
        "there is no test."
    )
    assert said.why == ""

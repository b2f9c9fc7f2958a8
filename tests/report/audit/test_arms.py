import numpy as np
import pytest
from scipy import stats

from jaxloop.report import statistics, workdir
from jaxloop.report.audit import arms
from jaxloop.report.comparison.compare import LEVEL, MEAN, SLOPE
from jaxloop.report.workdir import Name

REAL = ((0.7, 0.3), (0.2, 0.8))  # shares of red and blue in each class


def with_shares(log):
    """The log with what u needs: shares by class of generated images (seed by seed) and of real ones."""
    rng, rows = np.random.default_rng(5), []
    for generation in range(1, 5):
        for seed in range(3):
            for class_ in range(2):
                red = float(rng.uniform(0.3, 0.5))
                of = {
                    "seed": seed,
                    "generation": generation,
                    "subject": "generator",
                    "metric": "subgroup_share",
                    "class": class_,
                }
                rows += [of | {"group": 0, "value": red}, of | {"group": 1, "value": 1 - red}]
    real = {"generation": 0, "subject": "real", "metric": "subgroup_share"}
    rows += [
        real | {"seed": s, "class": c, "group": k, "value": REAL[c][k]}
        for s in range(3)
        for c in range(2)
        for k in range(2)
    ]
    return [*log, *rows]


def changed(log, planted=(), spread=0.003, seed=0):
    """Another arm: the log with noise of its own from generation 1 on, and `planted` {(subject, metric): shift}."""
    rng, rows = np.random.default_rng(seed), []
    for r in log:
        fixed = r["generation"] == 0 or r["metric"] in ("diverged", "epochs_trained") or r["subject"] == "filter"
        shift = dict(planted).get((r["subject"], r["metric"]), 0)
        rows.append(r if fixed else r | {"value": r["value"] + rng.normal(shift, spread)})
    return rows


def array(run, name, complement=False):
    """[seed, generation] from the first generation that has a record."""
    series = run.values[name]
    found = np.array([[series[g][seed] for g in sorted(series)] for seed in run.seeds])
    return 1 - found if complement else found


def imbalance(run):
    """u by its definition: the total variation distance from the real shares, mean over two classes."""
    share = lambda c, k: array(run, Name("generator", "subgroup_share", c, k))  # noqa: E731
    return np.mean([abs(share(c, 0) / (share(c, 0) + share(c, 1)) - REAL[c][0]) for c in range(2)], axis=0)


@pytest.fixture
def planted(make_arms, full_log):
    log = with_shares(full_log)
    filtered = changed(log, {("lenet", "md"): 0.15, ("generator", "within_class_diversity"): -0.3}, seed=1)
    return workdir.load(make_arms(changed(log), filtered))


def test_differences_are_paired_by_seed(planted):
    found = [c for family in arms.families(planted) for c in family]
    assert len(found) == 2 * 5 * 3 + (2 + 1 + 2 + 1) * 3
    for c in found:
        sides = []
        for run in (planted.control, planted):
            if c.measure == arms.IMBALANCE:
                values = imbalance(run)
            else:
                values = array(run, Name(c.subject, c.measure.metric, None, c.group), c.measure.complement)
            first = 5 - values.shape[1]  # classifiers have generation 0, generators have not
            slopes = np.polyfit(range(first, 5), values.T, 1)[0]
            sides.append({MEAN: values[:, 1 - first :].mean(1), LEVEL: values[:, -1], SLOPE: slopes}[c.of])
        expected = stats.ttest_rel(sides[1], sides[0])
        low, high = expected.confidence_interval(0.95)
        e = c.difference.estimate
        np.testing.assert_allclose(
            [c.first.mean, c.other.mean, e.mean, e.low, e.high, c.difference.p],
            [sides[0].mean(), sides[1].mean(), (sides[1] - sides[0]).mean(), low, high, expected.pvalue], atol=1e-9,
        )  # fmt: skip
        assert c.generation == 4 and c.paired and e.num == 3


def test_planted_differences_are_told_and_no_others(planted):
    found = arms.families(planted)
    told = {(c.subject, c.measure.metric, c.of, c.decision.word) for f in found for c in f if c.decision.p < 0.05}
    assert told == {
        (*of, kind, word)
        for of, word in ((("lenet", "md"), "higher"), (("generator", "within_class_diversity"), "lower"))
        for kind in (MEAN, LEVEL)
    } | {("lenet", "md", SLOPE, "higher")}  # the shift begins after generation 0, and so the line is steeper
    assert arms.sentence(planted, found) == (
        "Filtering by uncertainty against a random choice at the same r = 0.1: 5 of 48 differences can be told: lenet, average "
        "largest gap (MD) higher; lenet, largest gap (MD) higher; lenet, slope of largest gap (MD) higher; generator, average "
        "diversity within a class lower; generator, diversity within a class lower. In the other 43 nothing can be told with 3 "
        "seeds."
    )


def test_without_a_difference_none_is_told(make_arms, full_log):
    run = workdir.load(make_arms(changed(full_log, seed=2), changed(full_log, seed=3)))
    found = arms.families(run)
    assert {c.decision.word for family in found for c in family} == {"cannot tell"}
    assert arms.sentence(run, found).endswith("in none of 45 comparisons can a difference be told with 3 seeds.")


def test_what_every_seed_shares_does_not_hide_a_difference(make_arms, full_log):
    """Seeds far apart, arms a little: pairs tell what two unpaired samples cannot."""
    apart = [r | {"value": r["value"] + 0.2 * r["seed"]} if r["metric"] == "md" else r for r in full_log]
    run = workdir.load(make_arms(changed(apart, spread=1e-4), changed(apart, {("lenet", "md"): 0.02}, 1e-4, seed=1)))
    c = next(c for c in arms.families(run)[0] if (c.subject, c.measure.metric) == ("lenet", "md"))
    sides = [array(arm, Name("lenet", "md"))[:, 1:].mean(1) for arm in (run.control, run)]
    assert stats.ttest_ind(*sides, equal_var=False).pvalue > 0.5 and c.decision.word == "higher"


def test_each_table_is_corrected_on_its_own(planted):
    families = arms.families(planted)
    assert [(len(f), {c.of for c in f}) for f in families] == [
        (n, {of}) for n in (10, 6) for of in (MEAN, LEVEL, SLOPE)
    ]
    for family in families:
        assert [c.decision.p for c in family] == statistics.holm([c.difference.p for c in family])
    tables = [arms.table(family) for family in families]
    assert tables[0].columns[:5] == ["classifier", "measure", "verdict", "control", "uncertainty"]
    assert tables[0].caption.startswith("Classifiers. Mean over generations 1 to 4: “uncertainty” against “control”;")
    assert "95% t interval over seeds, paired; verdict and p corrected for 10 verdicts (Holm)" in tables[0].caption
    assert tables[3].columns[:4] == ["measure", "verdict", "control", "uncertainty"]
    assert [row[0] for row in tables[3].rows] == [
        "share of red", "share of blue", "imbalance u of subgroups", "label agreement", "diversity within a class",
        "fd_lenet",
    ]  # fmt: skip


def test_a_seed_that_one_arm_lacks_is_no_pair(make_arms, full_log):
    lost = [r | {"value": None} if (r["metric"], r["seed"]) == ("md", 1) and r["generation"] else r for r in full_log]
    run = workdir.load(make_arms(lost, changed(full_log)))
    c = next(c for c in arms.families(run)[0] if (c.subject, c.measure.metric) == ("lenet", "md"))
    whole = array(run, Name("lenet", "md"))[[0, 2], 1:].mean(1)
    kept = [np.mean([run.control.values[Name("lenet", "md")][g][s] for g in range(1, 5)]) for s in (0, 2)]
    assert (c.first.num, c.other.num, c.difference.estimate.num) == (2, 2, 2)
    assert c.other.mean == pytest.approx(whole.mean())
    assert c.difference.p == pytest.approx(stats.ttest_rel(whole, kept).pvalue)


def test_arms_are_compared_as_far_as_both_went(make_arms, full_log):
    run = workdir.load(make_arms([r for r in full_log if r["generation"] <= 2]))
    assert {c.generation for family in arms.families(run) for c in family} == {2}
    began = workdir.load(make_arms([r for r in full_log if r["generation"] == 0]))
    assert arms.families(began) == [] and arms.sentence(began, []) == ""


def test_no_control_no_comparison(make_workdir):
    run = workdir.load(make_workdir())
    assert run.control is None and arms.families(run) == []


def test_one_seed_cannot_tell(make_arms, full_log):
    log = [r for r in full_log if r["seed"] == 0]
    run = workdir.load(make_arms(log, log, seeds=[0]))
    found = arms.families(run)
    assert {c.decision.word for family in found for c in family} == {"cannot tell (one seed)"}
    assert arms.sentence(run, found).endswith("can a difference be told with 1 seed.")

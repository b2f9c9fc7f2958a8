from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from jaxloop import statistics
from jaxloop.analysis import filter_arms as arms
from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis.contrasts import IMBALANCE, LEVEL, MEAN, SLOPE
from jaxloop.analysis.run_folder import Name

REAL = ((0.7, 0.3), (0.2, 0.8))  # shares of red and blue in each class
START = (
    "Filtering by uncertainty against a random choice at the same r = 0.1, in accuracy and bias "
    "averaged over the "
    "generations: "
)


def with_shares(log):
    """The log with what u needs: shares by class of generated images (seed by seed) and of real
    ones.
    """
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
    """Another arm: the log with noise of its own from generation 1 on, and planted shifts.

    planted: {(subject, metric) or (subject, metric, rank): shift}.
    """
    rng, rows = np.random.default_rng(seed), []
    for r in log:
        fixed = (
            r["generation"] == 0
            or "epoch" in r
            or r["metric"] in ("diverged", "epochs_trained")
            or r["subject"] == "filter"
        )
        shift = dict(planted).get(
            (r["subject"], r["metric"], *([r["rank"]] if "rank" in r else [])), 0
        )
        rows.append(r if fixed else r | {"value": r["value"] + rng.normal(shift, spread)})
    return rows


def lost(log, metric, subjects=("lenet", "alexnet"), seeds=(0, 1, 2), since=1):
    """The log without a value of one measure."""
    rows = []
    for r in log:
        here = r["subject"] in subjects and r["seed"] in seeds and r["generation"] >= since
        rows.append(r | {"value": None} if r["metric"] == metric and here else r)
    return rows


def array(run, name, complement=False):
    """[seed, generation] from the first generation that has a record."""
    rows = run.rows(name).sort_values(["seed", "generation"])
    values = rows.value.to_numpy().reshape(len(run.seeds), -1)
    return 1 - values if complement else values


def imbalance(run):
    """u by its definition: the total variation distance from the real shares, mean over two
    classes.
    """
    share = lambda c, k: array(run, Name("generator", "subgroup_share", c, k))  # noqa: E731
    return np.mean(
        [abs(share(c, 0) / (share(c, 0) + share(c, 1)) - REAL[c][0]) for c in range(2)], axis=0
    )


def comparisons(found):
    return [c for family in found for c in family.comparisons]


def one(run, subject, metric, part=MEAN):
    return next(
        c
        for c in comparisons(arms.families(run))
        if (c.subject, c.measure.metric, c.part) == (subject, metric, part)
    )


@pytest.fixture
def planted(make_arms, full_log):
    log = with_shares(full_log)
    filtered = changed(
        log, {("lenet", "md"): 0.15, ("generator", "within_class_diversity"): -0.3}, seed=1
    )
    return workdir.load(make_arms(changed(log), filtered))


def test_differences_are_paired_by_seed(planted):
    found = comparisons(arms.families(planted))
    # Two classifiers: five measures three ways, and six more as means. The generator: six
    # three ways.
    assert len(found) == 2 * (5 * 3 + 3 + 1 + 2) + (2 + 1 + 2 + 1) * 3
    for c in found:
        sides = []
        for run in (planted.arms["random"], planted):
            if c.measure == arms.IMBALANCE:
                values = imbalance(run)
            else:
                values = array(run, c.name, c.measure.complement)
            first = 5 - values.shape[1]  # classifiers have generation 0, generators have not
            slopes = np.polyfit(range(first, 5), values.T, 1)[0]
            sides.append(
                {MEAN: values[:, 1 - first :].mean(1), LEVEL: values[:, -1], SLOPE: slopes}[c.part]
            )
        expected = stats.ttest_rel(sides[1], sides[0])
        low, high = expected.confidence_interval(0.95)
        e = c.difference.estimate
        np.testing.assert_allclose(
            [c.first.mean, c.other.mean, e.mean, e.low, e.high, c.difference.p],
            [sides[0].mean(), sides[1].mean(), (sides[1] - sides[0]).mean(), low, high,
             expected.pvalue], atol=1e-9,
        )  # fmt: skip
        assert c.generation == 4 and c.paired and e.num == 3


def test_planted_differences_are_told_and_no_others(planted):
    found = arms.families(planted)
    told = {
        (c.subject, c.measure.metric, c.part, c.decision.word)
        for c in comparisons(found)
        if c.decision.p < 0.05
    }
    assert told == {
        (*of, kind, word)
        for of, word in (
            (("lenet", "md"), "higher"),
            (("generator", "within_class_diversity"), "lower"),
        )
        for kind in (MEAN, LEVEL)
    } | {
        ("lenet", "md", SLOPE, "higher")
    }  # the shift begins after generation 0, and so the line is steeper
    # The sentence speaks of the primary table alone.
    assert arms.sentence(planted, found) == (
        f"{START}1 of 10 differences can be told: lenet, average largest gap (MD) higher. In the "
        f"other 9 nothing can "
        "be told with 3 seeds."
    )
    assert arms.left_out(planted, found) == ""


def test_every_further_measure_of_bias_is_compared(make_arms, full_log):
    """Each is told where it is planted; an accuracy keeps its direction, and its title says which
    way is better.
    """
    shifts = {
        ("lenet", f"{name}_per_class"): by
        for name, by in (("meo", -0.1), ("md", 0.1), ("di", -0.1))
    }
    shifts |= {("lenet", "accuracy", 2): -0.1, ("lenet", "group_accuracy"): -0.1}
    run = workdir.load(make_arms(changed(full_log), changed(full_log, shifts, seed=1)))
    (family,) = (f for f in arms.families(run) if f.what == arms.FURTHER)
    assert [
        (c.measure.title, c.name.group, c.decision.word)
        for c in family.comparisons
        if c.subject == "lenet"
    ] == [
        ("mean gap per class (1 − MEO)", None, "higher"),
        ("largest gap per class (MD)", None, "higher"),
        ("disparate-impact gap per class (1 − DI)", None, "higher"),
        ("accuracy, rank 2 ↑", None, "lower"),
        ("accuracy on red ↑", 0, "lower"),
        ("accuracy on blue ↑", 1, "lower"),
    ]
    assert {c.decision.word for c in family.comparisons if c.subject == "alexnet"} == {
        "cannot tell"
    }
    assert "in none of 10 comparisons" in arms.sentence(run, arms.families(run))


@pytest.mark.slow
def test_the_sentence_is_wrong_in_one_run_of_twenty(make_arms, full_log):
    """Where both arms are noise alone, it tells a difference in 5 % of runs: one family of ten
    independent tests.
    """
    rng, num = np.random.default_rng(7), 200
    run = workdir.load(make_arms(full_log))

    def noisy(arm, **changes):
        noise = rng.normal(0, 0.003, len(arm.records)) * (arm.records.generation > 0)
        return replace(arm, records=arm.records.assign(value=arm.records.value + noise), **changes)

    nulls = [noisy(run, arms={"random": noisy(run.arms["random"])}) for _ in range(num)]
    told = sum(" can be told: " in arms.sentence(null, arms.families(null)) for null in nulls)
    # 1 - (1 - 0.05 / 10)^10 = 4.9 %; of 200 runs within three standard errors of 1.5 %.
    assert 0.005 < told / num < 0.095


def test_a_judges_shares_are_not_compared(make_arms, full_log, estimated_log):
    known, estimated = (
        {bias.title for _, _, bias in arms._measured(workdir.load(make_arms(log, log)))}
        for log in (full_log, estimated_log)
    )
    dropped = known - estimated
    assert IMBALANCE.title in dropped and estimated < known
    assert any(title.startswith("share of ") for title in dropped)
    assert not any(title.startswith("share of ") for title in estimated)


def test_without_a_difference_none_is_told(make_arms, full_log):
    run = workdir.load(make_arms(changed(full_log, seed=2), changed(full_log, seed=3)))
    found = arms.families(run)
    assert {c.decision.word for c in comparisons(found)} == {"cannot tell"}
    assert (
        arms.sentence(run, found)
        == f"{START}in none of 10 comparisons can a difference be told with 3 seeds."
    )


def test_what_every_seed_shares_does_not_hide_a_difference(make_arms, full_log):
    """Seeds far apart, arms a little: pairs tell what two unpaired samples cannot."""
    apart = [
        r | {"value": r["value"] + 0.2 * r["seed"]} if r["metric"] == "md" else r for r in full_log
    ]
    run = workdir.load(
        make_arms(
            changed(apart, spread=1e-4), changed(apart, {("lenet", "md"): 0.02}, 1e-4, seed=1)
        )
    )
    sides = [array(arm, Name("lenet", "md"))[:, 1:].mean(1) for arm in (run.arms["random"], run)]
    assert stats.ttest_ind(*sides, equal_var=False).pvalue > 0.5
    assert one(run, "lenet", "md").decision.word == "higher"


def test_differences_that_are_the_same_in_all_seeds_are_not_tested(make_arms, full_log):
    """One image more in each seed, or both arms alike: no verdict, and the others do not pay for
    them.
    """
    moved = {("accuracy", None): 1 / 390, ("meo", None): 0.0}
    other = changed(full_log, {("lenet", "md"): 0.15}, seed=1)
    for r, of in zip(other, full_log, strict=True):
        if r["subject"] == "lenet" and (r["metric"], r.get("rank")) in moved and r["generation"]:
            r["value"] = of["value"] + moved[r["metric"], None]
    run = workdir.load(make_arms(full_log, other))
    primary = arms.families(run)[0]
    same = [
        c
        for c in primary.comparisons
        if c.subject == "lenet" and (c.measure.metric, c.name.rank) in moved
    ]
    assert [(c.decision.word, c.decision.p) for c in same] == [
        ("cannot tell (no spread)", None)
    ] * 2
    tested = [c for c in primary.comparisons if c not in same]
    assert [c.decision.p for c in tested] == statistics.holm([c.difference.p for c in tested])
    shown = arms.table(primary)
    assert "corrected for 8 verdicts (Holm)" in shown.attrs["caption"]
    assert shown.verdict[0] == "cannot tell (no spread)"
    assert shown.iloc[0, 5:].tolist() == [pytest.approx(1 / 390), (None, None), None, 3]
    assert arms.sentence(run, [primary]) == (
        f"{START}1 of 10 differences can be told: lenet, average largest gap (MD) higher. In the "
        f"other 9 nothing can "
        "be told with 3 seeds. Not tested, since seeds show no spread: 2 of 10."
    )


def test_each_table_is_corrected_on_its_own(planted):
    families = arms.families(planted)
    assert [(f.what, f.part, len(f.comparisons), f.primary) for f in families] == [
        (arms.CLASSIFIERS, MEAN, 10, True), (arms.GENERATED, MEAN, 6, False),
        (arms.FURTHER, MEAN, 12, False),
        (arms.CLASSIFIERS, LEVEL, 10, False), (arms.GENERATED, LEVEL, 6, False),
        (arms.CLASSIFIERS, SLOPE, 10, False), (arms.GENERATED, SLOPE, 6, False),
    ]  # fmt: skip
    for family in families:
        found = family.comparisons
        assert [c.decision.p for c in found] == statistics.holm([c.difference.p for c in found])
    tables = [arms.table(family) for family in families]
    assert list(tables[0])[:5] == ["classifier", "measure", "verdict", "control", "uncertainty"]
    assert (
        tables[0]
        .attrs["caption"]
        .startswith("Classifiers. Mean over generations 1 to 4: “uncertainty” against “control”;")
    )
    assert (
        "95% t interval over seeds, paired; verdict and p corrected for 10 verdicts (Holm)"
        in tables[0].attrs["caption"]
    )
    assert list(tables[1])[:4] == ["measure", "verdict", "control", "uncertainty"]
    assert tables[1].attrs["num_words"] == 2
    assert tables[1].measure.tolist() == [
        "share of red", "share of blue", "imbalance u of subgroups", "label agreement",
        "diversity within a class",
        "Fréchet distance, lenet",
    ]  # fmt: skip


def test_a_seed_that_one_arm_lacks_is_no_pair(make_arms, full_log):
    run = workdir.load(make_arms(lost(full_log, "md", seeds=[1]), changed(full_log)))
    c = one(run, "lenet", "md")
    whole = array(run, Name("lenet", "md"))[[0, 2], 1:].mean(1)
    kept = array(run.arms["random"], Name("lenet", "md"))[[0, 2], 1:].mean(1)
    assert (c.first.num, c.other.num, c.difference.estimate.num) == (2, 2, 2)
    assert c.other.mean == pytest.approx(whole.mean())
    assert c.difference.p == pytest.approx(stats.ttest_rel(whole, kept).pvalue)


def test_how_many_pairs_a_difference_rests_on_is_told(make_arms, full_log):
    """Nulls of two seeds in one arm and of the third in the other: no pair, although each arm has
    values.
    """
    control = lost(lost(full_log, "di", ["lenet"], [1, 2]), "md", seeds=[2])
    run = workdir.load(make_arms(control, lost(changed(full_log), "di", ["lenet"], [0])))
    found = arms.families(run)
    pairs = arms.table(found[0]).set_index(["classifier", "measure"]).pairs
    assert pairs["lenet", "largest gap (MD)"] == 2 and pairs["lenet", "accuracy"] == 3
    assert ("lenet", "disparate-impact gap (1 − DI)") not in pairs
    assert arms.sentence(run, found).endswith(
        "in none of 9 comparisons can a difference be told with 2 to 3 seeds."
    )
    assert arms.left_out(run, found).startswith(
        "Not compared, since no seed has it in both arms: mean, last value and slope of "
        "disparate-impact gap (1 − DI) "
        "(lenet); "
    )


def test_what_has_no_pair_at_all_is_named(make_arms, full_log):
    """A measure of both classifiers, a classifier, and a measure in the last generation alone."""
    log = with_shares(full_log)
    filtered = lost(
        lost(lost(changed(log), "di", since=0), "md", since=4), "frechet_distance", ["generator"]
    )
    run = workdir.load(make_arms(log, filtered))
    assert arms.left_out(run, arms.families(run)) == (
        "Not compared, since no seed has it in both arms: last value of largest gap (MD) (lenet "
        "and alexnet); mean, "
        "last value and slope of disparate-impact gap (1 − DI) (lenet and alexnet); mean, last "
        "value and slope of "
        "Fréchet distance, lenet (generator)."
    )
    alone = workdir.load(make_arms([r for r in log if r["subject"] != "alexnet"], changed(log)))
    found = arms.families(alone)
    assert {c.subject for c in comparisons(found)} == {"lenet", "generator"}
    said = arms.left_out(alone, found)
    assert (
        "mean, last value and slope of accuracy, mean gap (1 − MEO), largest gap (MD)" in said
        and "(alexnet)" in said
    )
    assert "mean of mean gap per class (1 − MEO)" in said and "accuracy on blue ↑ (alexnet)" in said


def test_arms_are_compared_as_far_as_both_went(make_arms, full_log):
    run = workdir.load(make_arms([r for r in full_log if r["generation"] <= 2]))
    assert {c.generation for c in comparisons(arms.families(run))} == {2}
    began = workdir.load(make_arms([r for r in full_log if r["generation"] == 0]))
    assert arms.families(began) == [] and arms.sentence(began, []) == arms.left_out(began, []) == ""


def test_no_control_no_comparison(make_workdir):
    run = workdir.load(make_workdir())
    assert run.arms == {} and arms.families(run) == [] and arms.left_out(run, []) == ""


def test_one_seed_cannot_tell(make_arms, full_log):
    log = [r for r in full_log if r["seed"] == 0]
    run = workdir.load(make_arms(log, log, seeds=[0]))
    found = arms.families(run)
    assert {c.decision.word for c in comparisons(found)} == {"cannot tell (one seed)"}
    assert arms.sentence(run, found).endswith("can a difference be told with 1 seed.")

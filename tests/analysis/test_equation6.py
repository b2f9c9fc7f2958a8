"""Eq. (6) from simulated records: planted parameters come back, and what cannot be told is not."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from benchmarks import equation6 as simulation
from jaxloop import records
from jaxloop.analysis import contrasts, shares
from jaxloop.analysis.equation6 import conjecture, dynamics, reading
from jaxloop.analysis.equation6.dynamics import CONJECTURE, MEAN, NO_CHANGE, RULES
from jaxloop.analysis.measures import BIASES
from jaxloop.analysis.run_folder import Name, Run
from jaxloop.report import json_export, rendering

MD = next(bias for bias in BIASES if bias.metric == "md")
MEO = next(bias for bias in BIASES if bias.metric == "meo")
GAMMA = {"lenet": 0.25, "alexnet": 0.2, "resnet50": 0.3}
DELTA_D = {"digits": 0.0, "mnist": 0.15}
DELTA_Q, DELTA_U = 0.4, 0.3
CLASSES, GROUPS, V = 2, 3, 50.0
DIGITS, MNIST = "Colorized Digits 16x16 unbiased", "Colorized MNIST 16x16 unbiased"
LABEL = {"digits": DIGITS, "mnist": MNIST}


def simulated(
    data: str = "digits",
    seeds=(0, 1, 2),
    generations: int = 6,
    classifiers=tuple(GAMMA),
    noise: float = 0.0,
    number: int = 0,
    quality: Callable = lambda rng: rng.uniform(0.2, 0.9),
    imbalance: Callable = lambda rng, q: rng.uniform(0.0, 0.33),
) -> Run:
    """A run whose bias obeys eq. (6), measured with relative noise.

    The real shares are 1/3 each; the generated set takes u from subgroup 1 and gives it to subgroup
    0 (total variation u). q splits into label agreement sqrt(q) and a distance that gives the other
    sqrt(q).
    """
    rng = np.random.default_rng([number, *map(ord, data)])
    log = []

    def add(subject, metric, generation, seed, value, **parameters):
        of = {"seed": seed, "generation": generation, "subject": subject, "metric": metric}
        log.append(of | {"value": value} | parameters)

    for seed in seeds:
        add("real", "feature_variance", 0, seed, V, network="lenet")
        q, u = {}, {}
        for t in range(1, generations + 1):
            q[t] = quality(rng)
            u[t] = imbalance(rng, q[t])
            add("generator", "label_agreement", t, seed, math.sqrt(q[t]))
            distance = V * (1 / math.sqrt(q[t]) - 1)
            add("generator", "frechet_distance", t, seed, distance, network="lenet")
        for class_, group in np.ndindex(CLASSES, GROUPS):
            cell = {"class": class_, "group": group}
            add("real", "subgroup_share", 0, seed, 1 / 3, **cell)
            for t in u:
                moved = {0: u[t], 1: -u[t]}.get(group, 0)
                add("generator", "subgroup_share", t, seed, 1 / 3 + moved, **cell)
        for classifier in classifiers:
            bias = rng.uniform(0.1, 0.3)
            for t in range(generations + 1):
                if t:
                    bracket = 1 + DELTA_D[data] + DELTA_Q * (1 - q[t]) + DELTA_U * u[t]
                    bias *= (1 - GAMMA[classifier]) * bracket
                value = bias * math.exp(noise * rng.normal())
                add(classifier, "md", t, seed, value)
                add(classifier, "meo", t, seed, 1 - value)
    config = {
        "config": {
            "seeds": list(seeds), "classifiers": list(classifiers),
            "data": {"name": data, "image_size": 16},
            "loop": {"generations": generations},
        },
        "data": {"class_names": ["a", "b"], "group_names": ["red", "green", "blue"]},
        "reference": "lenet",
    }  # fmt: skip
    return Run(Path(f"{data}{number}"), config, records.frame(log), [], [])


def without(run: Run, **fields) -> Run:
    """A copy without the records that have these fields."""
    return replace(run, records=run.records[~picked(run, **fields)])


def changed(run: Run, value, **fields) -> Run:
    """A copy in which the records that have these fields have this value."""
    values = run.records.value.mask(picked(run, **fields), value)
    return replace(run, records=run.records.assign(value=values))


def picked(run: Run, **fields):
    return np.logical_and.reduce([run.records[f].eq(v).fillna(False) for f, v in fields.items()])


def estimate(*runs: Run, bias=MD) -> dynamics.Dynamics:
    [d] = dynamics.estimate(runs, [bias])
    return d


def values(d: dynamics.Dynamics) -> dict[str, float]:
    return d.judgement.parameters.set_index("name").value.to_dict()


def planted(d: dynamics.Dynamics, data=("digits", "mnist")) -> dict[str, float]:
    """The parameters in the gauge of the fit: the bracket is 1 at the first data set's means."""
    curves = d.reading.curves
    first = (curves.about.dataset == LABEL[data[0]]).to_numpy()
    q, u = np.nanmean(curves.q[first]), np.nanmean(curves.u[first])
    c = 1 + DELTA_D[data[0]] + DELTA_Q * (1 - q) + DELTA_U * u
    expected = {f"gamma[{name}]": 1 - (1 - gamma) * c for name, gamma in GAMMA.items()}
    expected |= {f"delta_D[{LABEL[d]}]": (DELTA_D[d] - DELTA_D[data[0]]) / c for d in data[1:]}
    return expected | {"delta_Q": DELTA_Q / c, "delta_U": DELTA_U / c}


def said(*estimates, macro="verdicts") -> str:
    return "\n".join(rendering.sentences(macro, "equation6.txt", estimates=list(estimates)))


@pytest.fixture(scope="module")
def both():
    return [simulated("digits", noise=0.02), simulated("mnist", noise=0.02)]


@pytest.fixture(scope="module")
def d(both):
    return estimate(*both)


def test_without_noise_the_planted_parameters_come_back():
    for data in (("digits",), ("mnist",), ("digits", "mnist")):
        found = estimate(*map(simulated, data))
        assert values(found) == pytest.approx(planted(found, data), abs=1e-6)
        assert found.is_better and found.judgement.scores[CONJECTURE] < 1e-6


def test_least_squares_agrees_with_a_search_over_the_papers_own_parameters_and_levels(both, d):
    curves = d.reading.curves
    names, n = list(planted(d)), len(curves.bias)
    q, u = curves.q[:, 1:], curves.u[:, 1:]
    is_mnist = (curves.about.dataset == MNIST).to_numpy()[:, None]
    means = [x[~is_mnist[:, 0]].mean() for x in (1 - q, u)]

    def predict(_, *values):
        given = dict(zip(names, values, strict=False))
        scale = np.array([1 - given[f"gamma[{name}]"] for name in curves.about.architecture])
        bracket = 1 + given[f"delta_D[{MNIST}]"] * is_mnist
        bracket = (
            bracket + given["delta_Q"] * (1 - q - means[0]) + given["delta_U"] * (u - means[1])
        )
        steps = np.cumprod(scale[:, None] * bracket, axis=1)
        return (np.array(values[-n:])[:, None] * np.hstack([np.ones((n, 1)), steps])).ravel()

    start = [0.1] * len(names) + curves.bias[:, 0].tolist()
    oracle, _ = optimize.curve_fit(predict, None, curves.bias.ravel(), p0=start, xtol=1e-12)
    assert [values(d)[name] for name in names] == pytest.approx(oracle[: len(names)], rel=1e-4)


def test_complement_is_taken_where_the_measure_is_better_when_higher(both, d):
    assert values(estimate(*both, bias=MEO)) == pytest.approx(values(d), rel=1e-6)


@pytest.mark.parametrize("truth", [simulation.nothing_moves, simulation.step_at_once])
@pytest.mark.parametrize(("num_seeds", "runs"), [(3, 30), (5, 20), (10, 10)])
def test_nothing_is_claimed_where_eq_6_adds_nothing(truth, num_seeds, runs):
    """Even without the correction for kinds of bias; see `python -m benchmarks.equation6`."""
    assert simulation.shares(truth, num_seeds, runs, kinds=1).tests * runs <= 2


def test_a_true_equation_is_found_and_intervals_hold_its_parameters():
    found = simulation.shares(simulation.by_equation_6, 5, runs=40, kinds=1, noise=0.005)
    assert found.claims > 0.8
    for held in found.held:
        assert stats.binomtest(round(held * 40), 40, 0.95).pvalue > 1e-3


def test_scores_by_hand():
    """Three seeds without q or u to speak of: what the rules predict is known."""
    bias = np.array([[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.5, 0.2], [0.1, 0.4, 0.4, 0.3]])
    np.testing.assert_allclose(
        conjecture.predictions(np.ones(bias.shape), bias),
        [[0.1, 0.15, 0.2], [0.2, 0.2, 0.3], [0.1, 0.25, 0.3]],
    )
    doubling = np.tile(2.0 ** np.arange(4), (3, 1))
    np.testing.assert_allclose(
        conjecture.predictions(doubling, bias)[0],
        [0.2, 4 * (0.1 + 0.4) / 5, 8 * (0.1 + 0.4 + 1.2) / 21],
    )
    rng = np.random.default_rng(0)
    q, u = rng.uniform(0.3, 0.9, (2, 3, 4))
    q[:, 0] = u[:, 0] = np.nan
    about = pd.DataFrame({"architecture": "m", "dataset": "d", "cluster": [0, 1, 2]})
    scores = dynamics.judge(conjecture.Curves(about, bias, q, u)).scores
    assert scores[NO_CHANGE] == pytest.approx(math.sqrt(np.mean(np.diff(bias) ** 2)))
    errors = conjecture.predictions(np.ones(bias.shape), bias) - bias[:, 1:]
    assert scores[MEAN] == pytest.approx(math.sqrt(np.mean(errors**2)))


def test_the_left_out_seed_says_nothing_on_its_own_prediction():
    curves = simulation.simulated(np.random.default_rng(0), simulation.by_equation_6, 3)
    rows = (curves.about.cluster != 0).to_numpy()
    design = conjecture.design(curves)
    parameters = conjecture.fit(design, curves.bias, rows)
    other = np.where(rows[:, None], curves.bias, curves.bias[:, ::-1])
    np.testing.assert_array_equal(parameters, conjecture.fit(design, other, rows))


@pytest.mark.parametrize(
    ("why", "changes"),
    [
        ("there is one seed", {"seeds": (5,)}),
        ("fewer than 3 generations after generation 0", {"generations": 2}),
        ("q hardly varies; u hardly varies",
         {"quality": lambda rng: 0.8, "imbalance": lambda rng, q: 0.1}),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_is_one_sentence(why, changes):
    estimates = dynamics.estimate([simulated(noise=0.02, **changes)], [MD, MEO])
    assert said(*estimates) == f"Equation (6) cannot be estimated from these records: {why}."
    page = rendering.render("equation6.html", estimates=estimates)
    assert "<table" not in page and "root mean squared error" not in page


def test_no_better_is_one_sentence_and_tells_no_parameter():
    estimates = dynamics.estimate([simulated(noise=0.5)], [MD, MEO])
    assert not any(each.is_better for each in estimates)
    assert said(*estimates).startswith("Equation (6) does not predict bias better than the best")
    assert said(*estimates).count("\n") == 0 and said(*estimates).endswith(").")
    assert "<table" not in rendering.render("equation6.html", estimates=estimates)


def test_kinds_of_bias_are_one_family(both):
    alone = [estimate(*both, bias=bias).judgement.p for bias in (MD, MEO)]
    together = [e.judgement.p for e in dynamics.estimate(both, [MD, MEO])]
    assert together == pytest.approx([2 * min(alone)] * 2, rel=1e-3)


def test_quality_that_does_not_vary_is_named_and_leaves_the_rest():
    found = estimate(simulated(quality=lambda rng: 0.8))
    assert found.judgement.left_out == {"delta_Q": "q hardly varies"}
    assert "delta_Q is not told for largest gap (MD): q hardly varies." in said(
        found, macro="basis"
    )
    assert values(found)["delta_U"] == pytest.approx(planted(found, ("digits",))["delta_U"])


def test_quality_and_imbalance_that_vary_together_have_one_delta():
    found = estimate(simulated(imbalance=lambda rng, q: (1 - q) / 4))
    assert found.judgement.left_out == {
        "delta_U": "u hardly varies but between data sets or with q"
    }
    expected = planted(found, ("digits",))
    joint = expected["delta_Q"] + expected["delta_U"] / 4
    assert values(found)["delta_Q"] == pytest.approx(joint, rel=1e-6)


def test_quality_that_differs_between_data_sets_only_is_not_told_apart_from_delta_d():
    runs = [
        simulated(data, quality=lambda rng, q=q: q) for data, q in (("digits", 0.8), ("mnist", 0.5))
    ]
    assert estimate(*runs).judgement.left_out == {
        "delta_Q": "q hardly varies but between data sets"
    }


def test_data_sets_without_a_classifier_in_common_are_named():
    runs = [simulated(classifiers=("lenet",)), simulated("mnist", classifiers=("alexnet",))]
    why = f"no chain of shared classifiers links it to {DIGITS}"
    assert estimate(*runs).judgement.left_out == {f"delta_D[{MNIST}]": why}
    linked = estimate(*runs, simulated("mnist", classifiers=("lenet", "alexnet"), number=1))
    assert values(linked)[f"delta_D[{MNIST}]"] == pytest.approx(
        planted(linked)[f"delta_D[{MNIST}]"], rel=1e-5
    )


def test_a_parameter_that_rests_on_one_seed_has_no_interval(both):
    found = estimate(both[0], simulated("mnist", seeds=(0,), classifiers=("lenet",), noise=0.02))
    table = found.judgement.parameters.set_index("name")
    lonely = table.loc[f"delta_D[{MNIST}]"]
    assert math.isfinite(lonely.value) and math.isnan(lonely.low)
    assert table.low.drop(f"delta_D[{MNIST}]").notna().all()
    assert (
        dynamics.table(found).set_index("parameter").loc[f"delta_D[{MNIST}]", "95% interval"]
        is None
    )


def test_a_bias_of_zero_or_less_is_used_and_a_missing_value_is_not():
    md = {"subject": "lenet", "metric": "md"}
    run = changed(simulated(), 0.0, generation=3, seed=0, **md)
    assert estimate(run).reading.num_left_out == 0
    run = changed(changed(run, -0.01, generation=4, seed=0, **md), None, generation=5, seed=1, **md)
    run = without(run, generation=0, seed=2, **md)
    found = estimate(run)
    assert (found.reading.num_values, found.reading.num_left_out) == (3 * 3 * 7 - 2, 2)
    assert "(2 not, since the bias" in said(found, macro="basis")


def test_a_missing_value_of_bias_does_not_break_the_product():
    run = changed(simulated(), None, generation=3, seed=0, subject="lenet", metric="md")
    found = estimate(run)
    assert values(found) == pytest.approx(planted(found, ("digits",)), abs=1e-6)


def test_a_curve_ends_where_quality_has_no_value():
    run = changed(simulated(), None, metric="label_agreement", generation=4, seed=0)
    run = changed(run, None, metric="frechet_distance", generation=6, seed=1)
    found = estimate(run)
    assert found.reading.num_left_out == 3 * 3 + 3
    assert values(found) == pytest.approx(planted(found, ("digits",)), abs=1e-6)


def test_one_run_without_subgroups_takes_delta_u_from_all():
    blind = without(simulated("mnist"), metric="subgroup_share")
    found = estimate(simulated(imbalance=lambda rng, q: 0.0), blind)
    assert "delta_U is left out: in Colorized MNIST no u is known." in found.reading.remarks
    assert "delta_U" not in values(found) and found.reading.num_left_out == 0


def test_quality_takes_label_agreement_and_distance(both):
    agreement = both[0].table(Name("generator", "label_agreement"))
    distance = both[0].table(Name("generator", "frechet_distance", network="lenet"))
    q = reading.qualities(both[0])
    assert q.table[4][1] == pytest.approx(agreement[4][1] / (1 + distance[4][1] / V), rel=1e-12)
    assert "frechet_distance / feature_variance), in features of lenet." in q.remark


def test_a_run_that_lacks_records_is_left_out_and_named(both):
    lame = without(both[1], metric="feature_variance")
    found = estimate(both[0], lame)
    assert values(found) == values(estimate(both[0]))
    assert found.reading.remarks[0] == (
        "Colorized MNIST is left out: it has no record generator/frechet_distance with "
        "real/feature_variance (generation 0) in features of lenet."
    )
    alone = estimate(lame)
    assert alone.judgement.why_not and alone.reading.num_values == 0


def test_runs_that_share_generation_0_share_clusters(both):
    run = both[0]
    late = changed(run, 0.3, generation=5, metric="md")
    other = changed(run, 0.3, generation=0, seed=1, subject="lenet", metric="md")
    assert contrasts.are_paired(run, late) and not contrasts.are_paired(run, other)
    assert not contrasts.are_paired(run, both[1])
    assert not contrasts.are_paired(run, replace(run, records=run.records[:0]))
    clusters = [
        reading.read([run, second], MD).curves.about.cluster.nunique()
        for second in (late, other, both[1])
    ]
    assert clusters == [3, 6, 6]


def test_imbalance_is_a_total_variation_distance():
    run = simulated(seeds=(0,), generations=1, classifiers=("lenet",))

    def put(run, subject, rows):
        for (class_, group), value in np.ndenumerate(rows):
            cell = {"subject": subject, "metric": "subgroup_share", "class": class_}
            run = changed(run, value, group=group, **cell)
        return run

    run = put(run, "real", [[0.5, 0.3, 0.2], [0.6, 0.4, 0.0]])
    # Of class 0 a fifth is unknown: 0.5, 0.5, 0 of the others.
    run = put(run, "generator", [[0.4, 0.4, 0.0], [0.3, 0.7, 0.0]])
    found = shares.imbalances(run)
    assert found.table[1][0] == pytest.approx((0.2 + 0.3) / 2, rel=1e-12)
    assert (
        found.remark
        == "u compares subgroup shares with real ones, over the images whose subgroup is known."
    )
    run = put(run, "generator", [[0.0, 0.0, 0.0], [0.3, 0.7, 0.0]])
    blind = shares.imbalances(run)
    assert (
        blind.table[1][0] == pytest.approx(0.3, rel=1e-12) and "leaves out classes" in blind.remark
    )


def test_data_sets_and_architectures_go_by_what_makes_them_differ():
    run = simulated()
    spec = run.spec

    def with_(**changes):
        return replace(run, config=run.config | {"config": spec | changes})

    def data(**changes):
        return reading.dataset(with_(data=spec["data"] | changes))

    colors = [[[0.8, 0.1, 0.1]] * 2, [[0.1, 0.8, 0.1]] * 2]
    names = [data(), data(image_size=28), data(name="folder", path="/a/b"),
             *(data(color=color) for color in colors)]  # fmt: skip
    assert len(set(names)) == len(names) and names[0] == DIGITS
    assert names[2] == "own images (b) 16x16"
    assert names[3].startswith("Colorized Digits 16x16 biased #")
    assert data(seed=3, validation=0.2) == names[0]
    narrow = with_(classifier={"width": 0.25, "pretrained": ["a", "b"]})
    assert reading.architecture(narrow, "alexnet") == "alexnet, width 0.25, pretrained"
    assert reading.architecture(narrow, "lenet") == "lenet, pretrained"
    assert reading.architecture(run, "alexnet") == "alexnet"


def test_json_and_page_hold_every_number_of_an_equation_that_predicts(d):
    plain = json.loads(json_export.text({"d": d}))["d"]
    assert {p["name"]: p["value"] for p in plain["parameters"]} == values(d)
    assert plain["predicts_better"] and plain["p"] == d.judgement.p
    assert plain["scores"] == d.judgement.scores and set(plain["scores"]) == {CONJECTURE, *RULES}
    page = rendering.render("equation6.html", estimates=[d])
    for name, value in values(d).items():
        assert name in page and f"{abs(value):.3f}" in page
    assert "predicts largest gap (MD) better than all simple rules do" in page


def test_names_are_escaped_and_may_hold_bytes_that_are_no_letter(both):
    config = both[0].config
    data = {"name": "folder", "path": "/a/<i>\udcff", "image_size": 16}
    config = config | {"config": config["config"] | {"data": data}}
    odd = replace(both[0], config=config, path=Path("b\udcff"))
    found = dynamics.estimate([both[1], odd], [MD])
    assert found[0].is_better
    page = rendering.render("equation6.html", estimates=found)
    assert "(&lt;i&gt;\udcff)" in page and "<i>" not in page

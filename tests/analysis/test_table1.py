import numpy as np
import pytest
from scipy import stats

from jaxloop.analysis import run_folder as workdir
from jaxloop.analysis import table1

MNIST = {"data": {"name": "mnist", "color": []}}
CIFAR = {"data": {"name": "cifar"}}
LENET = "frechet_distance, lenet"


def with_fid(log, **fields):
    return log + [
        r | {"metric": "fid", "network": "inception", "value": 100 * r["value"]} | fields
        for r in log
        if r["metric"] == "frechet_distance"
    ]


@pytest.fixture
def run(make_workdir, full_log):
    return workdir.load(make_workdir(with_fid(full_log), **MNIST))


def test_rows_are_means_and_t_intervals_of_the_records(run, full_log):
    table = table1.table1([run])
    assert table.rows.iloc[1, :2].tolist() == ["Colorized MNIST", "unbiased"]
    assert table.rows.distance.tolist() == ["FID", "FID"]
    ours = table.points[table.points.run != table1.PAPER].set_index("generation")
    assert list(ours.index) == [1, 2, 3, 4] and (ours.n == 3).all()
    for generation, row in ours.iterrows():
        values = [
            100 * r["value"]
            for r in full_log
            if (r["metric"], r["generation"]) == ("frechet_distance", generation)
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
        np.testing.assert_allclose(
            [row["mean"], row.low, row.high, row.half_width],
            [np.mean(values), low, high, (high - low) / 2],
        )
    paper = table.points[table.points.run == table1.PAPER]
    assert len(paper) == 10 and paper["mean"][2] == 107.8
    assert paper[["low", "high", "half_width", "n"]].isna().all(axis=None)


def test_the_papers_row_stands_once_before_the_runs_of_its_experiment_alone(
    run, make_workdir, full_log
):
    color = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]
    biased = workdir.load(make_workdir(data={"name": "mnist", "color": color}))
    digits = workdir.load(make_workdir())
    again = workdir.load(make_workdir(with_fid(full_log), filter={"name": "none"}, **MNIST))
    rows = table1.table1([run, digits, biased, again]).rows
    cells = rows.assign(run=rows.run == table1.PAPER)
    assert cells[["data_set", "initialisation", "run", "distance"]].to_numpy().tolist() == [
        ["Colorized MNIST", "unbiased", True, "FID"],
        ["Colorized MNIST", "unbiased", False, "FID"],
        ["Colorized MNIST", "unbiased", False, "FID"],
        ["Colorized Digits", "unbiased", False, LENET],
        ["Colorized MNIST", "biased", True, "FID"],
        ["Colorized MNIST", "biased", False, LENET],
    ]
    assert rows.points[4][0].estimate.mean == 109.4


def test_the_papers_numbers():
    printed = """
        111.7 108.9 107.8 107.1 104.5 103.6 101.0 100.5 103.6 106.3
        109.4 106.0 107.03 106.4 105.3 114.2 109.0 108.6 109.1 116.5
        249.3 213.6 210.6 217.7 218.8 224.9 233.1 226.5 220.6 223.0
        56.6 49.9 55.4 60.2 70.6 65.8 153.2 256.1 353.1
    """
    rows = [tuple(map(float, line.split())) for line in printed.strip().splitlines()]
    assert list(table1.PAPERS.values()) == rows
    assert [name for name, _ in table1.PAPERS] == ["mnist", "mnist", "cifar", "hard_imagenet"]


def test_another_feature_space_is_warned_of(run, make_workdir):
    def warnings(*runs):
        return table1.warnings(table1.table1(runs))

    assert len(warnings(run)) == 1
    other = workdir.load(make_workdir(**CIFAR))
    assert f"{LENET}: measured in another feature space than the paper's FID" in warnings(other)[1]
    assert "only trends can be compared" in warnings(run, other)[-1]
    digits = [workdir.load(make_workdir(loop={"generations": 4, "mix": m})) for m in (0.1, 0.2)]
    assert "each run's own network" in warnings(*digits)[0]


def test_what_a_distance_was_measured_on_is_compared(make_workdir, full_log):
    def make(num, **fields):
        facts = {"n": num, "n_real": 9, "d": 2048, "resize": "bicubic", "sha256": "ab"}
        log = with_fid(full_log, features=facts, **fields)
        return workdir.load(make_workdir(log, generator={"name": f"dcgan{num}"}))

    table = table1.table1([make(500), make(600, caveat="rank_deficient")])
    assert table.rows.measured_on.tolist() == [((num, 9, "bicubic", "ab"),) for num in (500, 600)]
    assert table.rows.caveats.tolist() == [(), ("rank_deficient",)]
    assert "other numbers of images" in table1.warnings(table)[-1]
    assert table1.warnings(table1.table1([make(500), make(500)])) == []


def test_one_seed_and_no_value(make_workdir, full_log):
    log = [
        r | ({"value": None} if (r["metric"], r["generation"]) == ("frechet_distance", 2) else {})
        for r in full_log
        if r["seed"] == 0
    ]
    points = table1.table1([workdir.load(make_workdir(log, seeds=[0]))]).points
    assert points["mean"].fillna(-1).tolist() == [13, -1, 15, 16]
    assert points.n.tolist() == [1, 0, 1, 1] and points.low.isna().all()


def test_no_distance_no_row(make_workdir, full_log):
    log = [r for r in full_log if r["metric"] != "frechet_distance"]
    table = table1.table1([workdir.load(make_workdir(log, **MNIST))])
    assert table.rows.empty and table.points.empty and table1.warnings(table) == []

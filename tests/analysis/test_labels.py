from dataclasses import replace

import pytest

from jaxloop.analysis import labels, table1
from jaxloop.analysis import run_folder as workdir

BIASED = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]


@pytest.fixture
def make_run(make_workdir):
    return lambda **changes: workdir.load(make_workdir(**changes))


def mnist(**changes):
    return {"data": {"name": "mnist", "color": []} | changes}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"name": "mnist", "color": []}, "unbiased"),
        ({"name": "mnist"}, "unbiased"),
        ({"name": "mnist", "color": [[1 / 3] * 3] * 2}, "unbiased"),
        ({"name": "digits", "color": BIASED}, "biased"),
        ({"name": "cifar", "color": []}, "N/A"),
    ],
)
def test_initialisation(make_run, data, expected):
    assert labels.initialisation(make_run(data=data)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((mnist(), mnist(color=BIASED)), ["unbiased", "biased"]),
        (({}, {"classifier": {"pretrained": ["a"]}}), ["scratch", "pretrained"]),
        (({"filter": {"name": "none", "drop": 0.1}}, {"filter": {"name": "clip", "drop": 0.3}}),
         ["filter none", "filter clip r = 0.3"]),
        ((mnist(), mnist() | {"loop": {"generations": 4, "mix": 0.3, "capacity": 3}}),
         ["p = 0.2", "p = 0.3"]),
        ((mnist(), {"data": {"name": "cifar"}}), ["Colorized MNIST", "CIFAR-20/100"]),
        (({"filter": {}}, {"filter": {"name": "clip"}}), ["FOLDER0", "filter clip"]),
    ],
)  # fmt: skip
def test_labels_tell_what_differs(make_run, changes, expected):
    runs = [make_run(**change) for change in changes]
    assert labels.labels(runs) == [e.replace("FOLDER0", runs[0].path.name) for e in expected]


def test_labels_are_unique(make_run):
    runs = [make_run(), make_run(), make_run(**mnist()), make_run(**mnist())]
    made = labels.labels(runs)
    assert len(set(made)) == 4 and all(
        run.path.name in label for run, label in zip(runs, made, strict=True)
    )
    twins = labels.labels(runs[:2])
    assert twins == [run.path.name for run in runs[:2]]


def test_folders_that_are_called_alike_go_by_their_paths(make_run):
    runs = [
        replace(make_run(), path=folder)
        for folder in (workdir.Path("/a/run"), workdir.Path("/b/run"))
    ]
    assert labels.labels(runs) == ["/a/run", "/b/run"]


def test_an_old_configuration_without_most_fields_has_a_label(make_run):
    run = make_run()
    bare = replace(
        run,
        config={
            **run.config,
            "config": {"seeds": [0], "classifiers": ["lenet"], "loop": {"generations": 1}},
        },
    )
    assert (
        labels.data_title(bare) == "?"
        and labels.initialisation(bare) == "N/A"
        and labels.start(bare) == "scratch"
    )
    assert len(set(labels.labels([run, bare]))) == 2


def test_a_label_says_no_more_than_tells_the_runs_apart(make_run):
    pretrained = {"classifier": {"pretrained": ["a"]}}
    cifar = {"data": {"name": "cifar"}}
    runs = [
        make_run(**change)
        for change in (mnist(), mnist(color=BIASED), cifar, cifar | pretrained, {})
    ]
    assert labels.labels(runs) == [
        "Colorized MNIST, unbiased", "Colorized MNIST, biased",
        "CIFAR-20/100, scratch", "CIFAR-20/100, pretrained",
        "Colorized Digits",
    ]  # fmt: skip


def test_differences_name_what_a_pair_does_not_share(make_run, make_workdir, full_log):
    first = make_run(**mnist(seed=0))
    assert labels.differences([first, replace(first, path=first.path / "copy")]) == []
    log = [
        r for r in full_log if r["seed"] < 2 and r["subject"] != "alexnet" and r["generation"] < 3
    ]
    other = workdir.load(
        make_workdir(log, seeds=[0, 1], classifiers=["lenet"], **mnist(color=BIASED, seed=1))
    )
    assert labels.differences([first, other]) == [
        "biased against unbiased: configurations differ in data.color and data.seed; only "
        "unbiased has classifier alexnet; "
        "only unbiased has seed 2; compared up to generation 2, the last that both have measured."
    ]


def test_pictures_in_mnists_files_that_are_not_mnist_go_by_their_folder(make_run):
    """Their classes are called "class 0" and so on; the paper's rows do not stand beside them."""

    def run_of(class_names, **data):
        run = make_run(**mnist(**data))
        facts = run.config["data"] | {"class_names": class_names}
        return replace(run, config=run.config | {"data": facts})

    digits = run_of(["0", "1"], path="/data/mnist")
    others = run_of(["class 0", "class 1"], path="/data/fashion", color=BIASED)
    assert labels.data_title(digits) == "Colorized MNIST"
    assert labels.data_title(others) == "colorized pictures (fashion)"
    assert labels.initialisation(others) == "biased"
    assert labels.data_title(run_of(["class 0", "class 1"])) == "colorized pictures"
    assert labels.labels([digits, others]) == ["Colorized MNIST", "colorized pictures (fashion)"]
    paper = [table1.PAPER in table1.table1([run]).rows.run.tolist() for run in (digits, others)]
    assert paper == [True, False]

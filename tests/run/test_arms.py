"""Arms in one workdir: `random` is the run with the random filter, bit for bit; `no_loop` is
generation 0 with the keys of every generation."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxloop import config, evaluators
from jaxloop.analysis.run_folder import load
from jaxloop.data import batches
from jaxloop.devices import put_seeds, to_host
from jaxloop.errors import InputError, Interrupted
from jaxloop.loop import arms, stages
from jaxloop.loop.queue import Queue
from jaxloop.loop.state import on_host
from jaxloop.provenance import store
from jaxloop.run import build, driver, player
from jaxloop.spec import Filter
from tests.conftest import tiny
from tests.playing import play, same

ONE_DEVICE = jax.devices()[:1]
SMALL = {
    "loop.generations": 1,
    "classifiers": ("lenet",),
    "generator.epochs": 1,
    "measure.bootstrap": 0,
}
BOTH = {**SMALL, "arms": ("no_loop", "random")}
LEFT = {"provenance": ".jsonl", "images": ".png", "samples": ".png"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def left_by(path) -> dict[str, bytes]:
    """Return what a run and its arms leave, but for the clock and the reports."""
    kept = [*path.rglob("*.jsonl"), *path.rglob("predictions/*"), *path.rglob("*.png")]
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in kept
        if file.name != "timing.jsonl"
    }


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Both arms beside one run."""
    path = tmp_path_factory.mktemp("arms") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "lay_out", one_device_alone)
        driver.run(tiny(**BOTH), path)
    return path


_lay_out = build.lay_out


def one_device_alone(values, how, devices=None):
    return _lay_out(values, how, ONE_DEVICE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_random_equals_a_run_of_its_own(tmp_path, one_device, played):
    spec = tiny(**SMALL)
    chance = Filter(name="random", drop=spec.filter.drop)
    driver.run(dataclasses.replace(spec, filter=chance), tmp_path)
    arm = played / "arms" / "random"
    for file in ("records.jsonl", *(f"{folder}/g01_s1{end}" for folder, end in LEFT.items())):
        assert (arm / file).read_bytes() == (tmp_path / file).read_bytes(), file
    ours, theirs = lines(played / "records.jsonl"), lines(arm / "records.jsonl")
    first = [[r for r in log if r["generation"] == 0] for log in (ours, theirs)]
    assert first[0] == first[1] and ours != theirs
    described = json.loads((arm / "config.json").read_text())
    assert described["config"]["filter"]["name"] == "random" and described["arm"] == "random"
    kept = [[line["kept"] for line in store.lines(path, 1, 0)] for path in (arm, played)]
    assert sum(kept[0]) == sum(kept[1]) and kept[0] != kept[1]
    np.testing.assert_array_equal(store.pictures(arm, 1, 0), store.pictures(played, 1, 0))
    real, pictures = store.real(played)
    assert len(real) == len(pictures) == 1000 and {line["class"] for line in real} == set(range(10))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_no_loop_leaves_classifiers_alone(played):
    run = load(played)
    assert list(run.arms) == ["no_loop", "random"]
    arm = run.arms["no_loop"]
    assert arm.config["arm"] == "no_loop" and not {"generation", "filter"} & arm.config.keys()
    assert config.resolve(arm.spec) and arm.spec["arms"] == []
    assert arm.spec["measure"]["evaluators"] == ["classification", "training"]
    assert arm.reached == 1 and {row["stage"] for row in arm.timing} == {
        "classifier/lenet", "measure"
    }  # fmt: skip
    later = arm.records[arm.records.generation == 1]
    assert set(later.subject) == {"lenet"}
    assert not list(arm.path.rglob("*.png")) and (arm.path / "report.html").exists()
    for one in (run, *run.arms.values()):
        assert list(one.predictions) == [0, 1]
        assert one.predictions[1].keys() == {"label", "group", "lenet"}
        assert one.predictions[1]["lenet"].shape == (2, one.config["data"]["num_test"])
        np.testing.assert_array_equal(one.predictions[0]["lenet"], run.predictions[0]["lenet"])
    cells = np.array(run.config["data"]["train_cells"])
    assert cells.shape == (10, 3) and cells.sum() == run.config["data"]["num_train"]
    assert np.sum(run.config["data"]["test_cells"]) == run.config["data"]["num_test"]
    assert arm.config["data"] == run.config["data"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_arms_have_equally_many_steps(played):
    """An epoch of 1293 real images is ten batches of 128, whatever the queue holds."""
    run = load(played)
    epochs = [arm.training.query("subject == 'lenet'").epoch.max() for arm in run.arms.values()]
    assert epochs == [2, 2]
    experiment = build.build(tiny(**SMALL), devices=ONE_DEVICE)[0]
    state = on_host(play(experiment, evaluate=[])[0])
    assert state.queue.size.min() > 0
    assert state.classifiers["lenet"].steps.tolist() == [[10, 10]] * 2
    assert experiment.trainers["lenet"].steps_per_epoch == batches.num_batches(1293, 128) == 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_interrupted_arms_end_alike(tmp_path, one_device, played, monkeypatch):
    """Interrupted in the middle of the loop's generator, then of each arm."""
    spec, places = tiny(**BOTH), ["generator", "no_loop", "random"]
    chunk = player.Player._chunk

    def interrupted(playing, stage, state, votes):
        if places and places[0] in (playing.arm.name, stage.name):
            playing.flag.number = 2
        return chunk(playing, stage, state, votes)

    monkeypatch.setattr(player, "FIRST_CHUNK", 3)
    monkeypatch.setattr(player.Player, "_chunk", interrupted)
    while places:
        with pytest.raises(Interrupted):
            driver.run(spec, tmp_path)
        places.pop(0)
    driver.run(spec, tmp_path)
    ours, theirs = left_by(tmp_path), left_by(played)
    assert ours.keys() == theirs.keys() and [k for k in ours if ours[k] != theirs[k]] == []


def without_loop(**changes):
    """Return (the run's experiment, that of its arm no_loop, the description of this)."""
    experiment, description = build.build(tiny(**SMALL, **changes), devices=ONE_DEVICE)
    return experiment, *build.arm("no_loop", experiment, description)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loop.real": "none", "generator.batch_size": 64},
        {"loop.real": "fresh", "loop.policy": "accumulate_subsample"},
    ],
)
def test_no_loop_trains_as_generation_0_with_the_keys_of_each_generation(changes):
    """It is the loop whose generator adds nothing, on all real images."""
    _, experiment, _ = without_loop(**changes)
    state, log = play(experiment)
    assert {r["subject"] for r in log} == {"lenet"}
    host = on_host(state)
    assert host.generator == host.samples == host.selection == () and host.queue.size.max() == 0
    plain = build.build(tiny(**SMALL), devices=ONE_DEVICE)[0]
    stage = {stage.name: stage for stage in stages.build(plain)}["classifier/lenet"]
    start = play(plain, calls=1, evaluate=[])[0]  # generation 0 of the run itself
    start = start._replace(cursor=start.cursor._replace(generation=1, stage=0, step=0))
    assert max(to_host([q.size for q in start.queue])) == 0 and isinstance(start.queue[0], Queue)
    seeds = put_seeds(plain.seeds, np.asarray(plain.seeds.values, np.int32))
    trained = stage.run(start, seeds, 0, 10**6)
    same(on_host(trained).classifiers["lenet"], host.classifiers["lenet"])


def test_what_does_not_differ_is_compiled_once(tmp_path):
    experiment, arm, _ = without_loop()
    main = driver._run(tmp_path, experiment)
    no_loop = driver._arm("no_loop", tmp_path, arm, main)
    assert [stage.name for stage in no_loop.stages] == ["classifier/lenet", "measure"]
    assert all(any(s is one for one in main.stages) for s in no_loop.stages)
    assert len(no_loop.evaluators) == 2
    chance = build.arm("random", experiment, {})[0]
    random = driver._arm("random", tmp_path, chance, main)
    anew = [s.name for s, one in zip(random.stages, main.stages, strict=True) if s is not one]
    assert anew == ["sample", "filter"]
    loop = dataclasses.replace(experiment.spec.loop, real="none")
    synthetic = dataclasses.replace(experiment.spec, loop=loop)
    assert arms.ARMS["no_loop"].shared(synthetic) == ("measure",)


def test_evaluators_of_generated_images_say_so():
    names = config.resolve({}).measure.evaluators
    assert evaluators.possible(names, frozenset()) == ("classification", "training")
    assert evaluators.possible(names, frozenset({"samples"})) == names


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"filter.name": "random"}, "config.arms='random' .* filter.name is random"),
        ({"filter.name": "none"}, "config.arms='random' .* filter.name is none"),
        ({"filter.drop": 0.0}, "config.filter.drop=0.0 .* random is one of arms"),
        ({"arms": ("no_lop",)}, "config.arms='no_lop' .* no_loop, random"),
    ],
)
def test_arms_that_cannot_differ_are_refused(changes, says):
    with pytest.raises(InputError, match=says):
        build.build(tiny(**{"arms": ("no_loop", "random"), **changes}), devices=ONE_DEVICE)


def test_the_field_of_an_earlier_version_says_what_to_type():
    says = r"config.filter.control=.*--config.arms=no_loop,random"
    with pytest.raises(InputError, match=says):
        config.resolve({"filter": {"control": True}})
    with pytest.raises(InputError, match=says):
        config.check_flags(["main", "--config.filter.control=True"])
    in_a_file = config.default()
    in_a_file.filter.control = True
    with pytest.raises(InputError, match=says):
        config.resolve(in_a_file)


@pytest.mark.parametrize("typed", [("no_loop,random",), ["no_loop", "random"]])
def test_arms_may_be_typed_with_commas(typed):
    assert config.resolve({"arms": typed}).arms == ("no_loop", "random")
    assert config.resolve({"arms": ()}).arms == () and config.resolve({}).arms == ("no_loop",)


def test_a_deleted_class_is_warned_of(capsys):
    record = {"seed": 3, "generation": 2, "subject": "filter", "metric": "deleted_classes"}
    player._warn_of_deleted([{**record, "value": 0.0}, {**record, "value": None}], "runs/w")
    assert capsys.readouterr().err == ""
    player._warn_of_deleted([{**record, "value": 4.0}], "runs/w")
    assert (
        "runs/w: generation 2, seed 3: the filter kept no image of 4 classes"
        in capsys.readouterr().err
    )

"""Real images that stay with the host: the same bits as on the device, wherever calls are cut."""

import itertools

import jax
import numpy as np
import photographs
import pytest

from jaxloop import config
from jaxloop.data.memory import InHost
from jaxloop.data.on_disk import Decoded, OnDisk
from jaxloop.errors import InputError
from jaxloop.loop import advance, feeding, stages
from jaxloop.loop.state import on_devices, on_host
from jaxloop.run import build


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return photographs.imagenet(tmp_path_factory.mktemp("imagenet"))


def experiment_of(tree, memory: str, **changes):
    c = config.default()
    c.seeds, c.loop.generations, c.arms = (0, 1), 2, ()
    c.data.name, c.data.path, c.data.partial = "living17", str(tree), True
    c.data.image_size, c.data.memory, c.data.validation = 12, memory, 0.2
    c.generator.epochs, c.generator.width, c.generator.latent = 2, 4, 8
    c.generator.batch_size = c.classifier.batch_size = 8
    c.classifiers, c.classifier.epochs, c.measure.bootstrap = ("lenet",), 3, 0
    c.measure.judge = "lenet"
    c.update_from_flattened_dict(changes)
    return build.build(config.resolve(c), devices=jax.devices()[:1])[0]


def played(experiment, counts=(1000,), until=None, state=None):
    """Play to the end, or to a cursor, in calls of so many steps -> (state, its stages)."""
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    state = state or on_devices(advance.initial(experiment, built), experiment.seeds)
    for count in itertools.cycle(counts):
        if advance.finished(experiment, state.cursor) or state.cursor == until:
            return on_host(state), built
        state = advance.step(built, seeds, state, count)


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def in_memory(tree):
    return played(experiment_of(tree, "device"))[0]


@pytest.mark.parametrize(
    ("memory", "counts"), [("host", (1000,)), ("disk", (1, 5, 2)), ("decoded", (3,))]
)
def test_all_give_the_bits_of_the_device(tree, in_memory, memory, counts, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    experiment = experiment_of(tree, memory)
    state, built = played(experiment, counts)
    assert_same(state, in_memory)
    waited = {stage.name: stage.waited() for stage in built}
    fed = {"generator", "classifier/lenet", "judge", "label_judge"}
    assert {name for name, seconds in waited.items() if seconds > 0} == fed
    kinds = {"host": InHost, "disk": OnDisk, "decoded": Decoded}
    assert isinstance(experiment.host, kinds[memory])


def test_a_killed_run_goes_on_within_an_epoch(tree, in_memory):
    experiment = experiment_of(tree, "disk")
    generator, _ = played(experiment, (1,), until=(2, 0, 3))  # step 3 of generation 2's generator
    resumed = on_devices(generator, experiment.seeds)
    classifier, _ = played(experiment_of(tree, "disk"), (1,), until=(2, 3, 5), state=resumed)
    again = experiment_of(tree, "disk")
    assert_same(played(again, (2,), state=on_devices(classifier, again.seeds))[0], in_memory)


@pytest.mark.slow
def test_a_policy_that_changes_what_is_trained_on(tree):
    changes = {"loop.real": "fresh", "loop.fresh": 0.4, "loop.policy": "accumulate_subsample"}
    changes |= {"loop.capacity": 3, "measure.judge": ""}
    changes |= {"measure.evaluators": ("classification",)}
    device, disk = (
        played(experiment_of(tree, memory, **changes))[0] for memory in ("device", "disk")
    )
    assert_same(device, disk)


def test_a_stage_that_another_arm_has_used_is_fed_anew(tree):
    """Stages are shared by arms: what a feed has read ahead is another run's."""
    experiment = experiment_of(tree, "disk", **{"measure.judge": ""})
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    start = on_devices(advance.initial(experiment, built), experiment.seeds)
    half = advance.step(built, seeds, start, 4)
    kept = on_host(half)
    advance.step(built, seeds, half, 3)  # the feed now expects step 7
    other = on_devices(kept, experiment.seeds)
    fresh = advance.step(stages.build(experiment), seeds, on_devices(kept, experiment.seeds), 3)
    assert_same(on_host(advance.step(built, seeds, other, 3)), on_host(fresh))


@pytest.mark.slow
def test_seeds_together(tree):
    changes = {"devices.seeds": "together", "measure.judge": "", "loop.generations": 1}
    changes |= {"measure.evaluators": ("classification",)}
    device, disk = (
        played(experiment_of(tree, memory, **changes))[0] for memory in ("device", "disk")
    )
    assert_same(device, disk)


def test_a_window_is_small_whatever_the_images(tree):
    host = OnDisk(tree, ["a"] * 5000, 224, "crop")
    images = feeding.window_images(host, 64)
    assert images % 64 == 0 and images * 224 * 224 * 3 <= feeding.WINDOW_BYTES
    assert feeding.window_images(host, 2048) == 2048  # of a step, at least


def test_nothing_is_traced_again_after_generation_1(tree):
    experiment = experiment_of(tree, "disk")
    built, seeds = stages.build(experiment), advance.seeds_on_devices(experiment)
    state = on_devices(advance.initial(experiment, built), experiment.seeds)
    traces = {}
    while not advance.finished(experiment, state.cursor):
        state = advance.step(built, seeds, state, 3)
        traces[state.cursor.generation] = stages.num_traces(built)
    assert traces[3] == traces[2]  # the numbers at the ends of generations 2 and 1


def test_a_file_that_vanishes_is_named(tmp_path):
    tree = photographs.imagenet(tmp_path)
    experiment = experiment_of(tree, "disk", **{"measure.judge": ""})
    for path in (tree / "train").glob("*/*_3.JPEG"):
        path.unlink()
    with pytest.raises(InputError, match=r"_3\.JPEG.*can be read"):
        played(experiment)

"""Stable Diffusion through the whole loop, on a pipeline of random weights: two generations with
CLIP as the filter, killed in training and in sampling, exported."""

import json
import os
import signal
import time

import jax
import numpy as np
import pytest

from jaxloop.analysis import run_folder
from jaxloop.devices import to_host
from jaxloop.generators import lora
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_devices, on_host
from jaxloop.run import build
from jaxloop.weights import files
from tests.conftest import tiny
from tests.features.test_clip_score import folder as clip  # noqa: F401
from tests.generators import tiny_pipeline
from tests.playing import play, same, same_state
from tests.run import test_kill

FIELDS = {
    "data.image_size": 12, "loop.generations": 2, "loop.capacity": 2, "loop.mix": 0.1,
    "generator.name": "stable_diffusion", "generator.resolution": 8, "generator.rank": 2,
    "generator.sampling_steps": 3, "generator.guidance": 2.0, "generator.template": "{}",
    "generator.max_steps": 24, "generator.epochs": 2, "generator.batch_size": 128,
    "generator.sample_batch": 8, "generator.learning_rate": 1e-2,
    "classifiers": ("lenet",), "classifier.epochs": 2, "filter.name": "clip",
}  # fmt: skip


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return tiny_pipeline.write(tmp_path_factory.mktemp("pipeline"), tiny_pipeline.SHALLOW)


@pytest.fixture(scope="module")
def built(pipeline, clip):  # noqa: F811
    nothing = {"generator.width": None, "generator.latent": None}
    paths = {"generator.path": str(pipeline), "filter.clip": str(clip)}
    spec = tiny(**{**nothing, **FIELDS, **paths, "loop.generations": 3})
    experiment, description = build.build(spec, devices=jax.devices()[:1])
    return experiment, stages.build(experiment), description


@pytest.mark.slow
def test_chunks_and_resumption_change_no_bit(built):
    """Images are encoded once; after a resumption, again. Nothing is traced after generation 2, the
    first with a queue to encode."""
    experiment, stages_, _ = built
    names = [stage.name for stage in stages_]
    assert names[:4] == ["encode", "generator", "sample", "filter"]
    calls = sum(len(advance._places(stages_, generation)) for generation in range(3))
    whole, _ = play(experiment, stages_, evaluate=[], calls=calls)
    assert whole.cursor.generation == 3
    traced = stages.num_traces(stages_)
    whole, _ = play(experiment, stages_, evaluate=[], state=whole)
    assert stages.num_traces(stages_) == traced
    seeds = advance.seeds_on_devices(experiment)
    state = on_devices(advance.initial(experiment, stages_), experiment.seeds)
    counts, resumed = {"encode": 1, "generator": 5, "sample": 2}, set()
    while not advance.finished(experiment, state.cursor):
        name = names[state.cursor.stage]
        state = advance.step(stages_, seeds, state, counts.get(name, 10**6))
        if state.cursor.step or name in counts:
            resumed.add((name, state.cursor.step > 0))
            state = on_devices(on_host(state), experiment.seeds)
    assert {("encode", True), ("generator", True), ("sample", True)} <= resumed
    same_state(state, whole)
    # what is kept between generations is what would be encoded anew
    encoder = stages.encoding.encoder(experiment)
    anew = to_host(encoder.whole(whole._replace(encoded=())).encoded)
    num = experiment.num_kept  # generation 3 pushed its block, the first, after it had encoded
    same([x[num:] for x in anew], [x[num:] for x in to_host(whole.encoded)])
    assert all(np.abs(x).max() > 0 for x in anew)


@pytest.mark.slow
def test_stages_serve_a_later_cohort_of_other_seeds(built):
    """As the driver has them: the run's own stages, and one seed more."""
    experiment, stages_, _ = built
    later = build.of_seeds(experiment, (7,), jax.devices()[:1])
    seeds = advance.seeds_on_devices(later)
    state = on_devices(advance.initial(later, stages_), later.seeds)
    state = state._replace(cursor=advance.first(stages_, 1))
    state = advance.step(stages_, seeds, state, 1)
    assert len(state.encoded) == len(state.generator) == 1 and state.cursor.step == 1


@pytest.mark.slow
def test_a_checkpoint_holds_lora_optimiser_and_queue_alone(built):
    experiment, stages_, description = built
    state = on_host(on_devices(advance.initial(experiment, stages_), experiment.seeds))
    assert jax.tree.leaves(state.encoded) == []
    size = lambda tree: sum(x.nbytes for x in jax.tree.leaves(tree))  # noqa: E731
    trained = state.generator.state
    frozen = size(experiment.constants.generator)
    # Adam: two moments and a count beside each LoRA; signals by epoch
    assert size(trained) == 3 * size(trained.lora) + 4 * 2 * (len(experiment.seeds.values))
    assert size(state.generator) - size(trained) < 200
    assert size(trained.lora) < frozen
    memory = dict(description["memory"])
    assert memory.pop("frozen weights of the generator") == frozen
    seeds, codes = len(experiment.seeds.values), experiment.constants.encoded
    queue = seeds * experiment.capacity * codes[0].nbytes
    assert memory.pop(f"state of {seeds} seeds") == size(state[1:]) + queue
    assert memory.pop("data and other constants") == size(experiment.constants) - frozen
    assert not memory


COMMAND = (
    "-m", "jaxloop.main", "--config=configs/digits.py:biased", "--config.seeds=0,1",
    "--config.generator.max_steps=40", "--config.arms=()",
    "--config.checkpoint.every_seconds=0", "--config.measure.evaluators=classification,training",
    *(f"--config.{k}={','.join(v) if isinstance(v, tuple) else v}" for k, v in FIELDS.items()),
)  # fmt: skip
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"}


def cursor(workdir) -> tuple[int, int, int]:
    """Where the last checkpoint is: (generation, stage, step)."""
    at = test_kill.last_checkpoint(workdir)["cursor"]
    at = at if isinstance(at, (list, tuple)) else [at[k] for k in ("generation", "stage", "step")]
    return tuple(int(x) for x in at)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_killed_in_training_and_in_sampling_it_ends_alike(tmp_path, pipeline, clip):  # noqa: F811
    paths = f"--config.generator.path={pipeline}", f"--config.filter.clip={clip}"
    command, cache = (*COMMAND, *paths), tmp_path / "cache"
    start = lambda workdir: test_kill.start(workdir, cache, command, **QUICK)  # noqa: E731
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    test_kill.finish(start(alone))
    # in training (stage 1) and in sampling (2) of generation 2, after the stage before
    for before, stage in (("encode", 1), ("generator", 2)):
        at, step = (0, 0), 0
        while at != (2, stage) or not step:  # saving is behind: it may be of the stage before
            process = start(killed)
            _wait_for(process, killed, 2, before)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            *at, step = cursor(killed)
            at = tuple(at)
            assert at <= (2, stage), "it was killed too late"
    test_kill.finish(start(killed))
    test_kill.compare(killed, alone, generates=True)
    ours, theirs = test_kill.final_arrays(killed), test_kill.final_arrays(alone)
    assert len(ours) == len(theirs) > 50
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    for path in (alone / "lora").glob("g*"):
        assert (killed / "lora" / path.name).read_bytes() == path.read_bytes()
    _exported(alone, tmp_path / "out.safetensors", pipeline)
    page = (killed / "report.html").read_text()
    assert "classifier-free guidance of 2" in page
    run_folder.load(killed)


def _wait_for(process, workdir, generation: int, stage: str) -> None:
    """Wait until that stage of a generation is over, and a chunk of the next one is saved."""
    timing = workdir / "timing.jsonl"

    def over() -> bool:
        lines = timing.read_text().splitlines() if timing.exists() else []
        last = json.loads(lines[-1]) if lines else {}
        return last.items() >= {"generation": generation, "stage": stage}.items()

    def wait(condition) -> None:
        while not condition():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.005)

    wait(over)
    saved = test_kill.checkpoints(workdir)
    wait(lambda: len(test_kill.checkpoints(workdir) - saved) > 0)


def _exported(workdir, out, pipeline) -> None:
    """Two seeds and two generations were kept, all different; a network takes them."""
    kept = sorted((workdir / "lora").glob("g*"))
    assert [path.stem for path in kept] == ["g01_s0", "g01_s1", "g02_s0", "g02_s1"]
    assert len({path.read_bytes() for path in kept}) == 4
    arguments = [str(workdir), "--generation=2", "--seed=1", "--style=folded", str(out)]
    assert lora.main(["export", *arguments]) == 0
    shapes = tiny_pipeline.part_shapes(pipeline)
    back = files.flat(lora.read(out, {"unet": shapes["unet"]})["unet"])
    assert len(back) == 64 and all(np.abs(x).max() > 0 for x in back.values())

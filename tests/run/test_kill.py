"""kill -9 at random moments of a real process; the same command goes on and ends with the same
bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.conftest import OF_COMMANDS

ROOT = Path(__file__).parents[2]
COMMAND = (
    "-m", "jaxloop.main", "--config=configs/digits.py:biased", "--config.seeds=0,1",
    "--config.loop.generations=2", "--config.loop.capacity=2",
    "--config.data.image_size=12", "--config.generator.epochs=6", "--config.generator.width=4",
    "--config.classifier.epochs=6", "--config.classifier.width=0.05",
    "--config.checkpoint.every_seconds=0.4",
)  # fmt: skip
KILLS = int(os.environ.get("KILLS", 7))


def start(workdir: Path, cache: Path, command=COMMAND, **variables: str) -> subprocess.Popen:
    environment = {
        **OF_COMMANDS,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_COMPILATION_CACHE_MAX_SIZE": "-1",
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, *command, f"--workdir={workdir}"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


def last_checkpoint(workdir: Path):
    manager = ocp.CheckpointManager((workdir / "checkpoints").absolute())
    tree = manager.restore(manager.latest_step(), args=ocp.args.StandardRestore())
    manager.close()
    return tree


def final_arrays(workdir: Path) -> list[np.ndarray]:
    """Every leaf of the last checkpoint, in a fixed order."""
    leaves, _ = zip(*sorted(_flat(last_checkpoint(workdir)), key=lambda pair: pair[1]), strict=True)
    return list(leaves)


def _flat(tree, path=""):
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _flat(branch, f"{path}/{name}")
    elif isinstance(tree, (list, tuple)):
        for i, branch in enumerate(tree):
            yield from _flat(branch, f"{path}/{i}")
    elif tree is not None:
        yield np.asarray(tree), path


def checkpoints(workdir: Path) -> set[str]:
    return {
        p.name for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()
    }  # a save that was cut has a longer name


def seconds_to_first_checkpoint(process: subprocess.Popen, workdir: Path) -> float:
    before, began = checkpoints(workdir), time.monotonic()
    while checkpoints(workdir) <= before and process.poll() is None:
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sharding info not provided")
def test_killed_runs_end_like_one_that_was_left_alone(tmp_path):
    cache = tmp_path / "cache"
    finish(
        start(tmp_path / "alone", cache)
    )  # fills the cache, so that the kills below strike the run and not the compiler
    began = time.monotonic()
    process = start(tmp_path / "timed", cache)
    starting = seconds_to_first_checkpoint(process, tmp_path / "timed")
    finish(process)
    running = time.monotonic() - began - starting

    workdir, draw, places = tmp_path / "killed", random.Random(0), []
    for kill in range(KILLS):
        process = start(workdir, cache)
        if kill == 1:
            time.sleep(draw.uniform(0, starting))  # one blow while it starts up
        else:
            seconds_to_first_checkpoint(process, workdir)
            time.sleep(
                draw.uniform(0, 0.9 * running / KILLS)
            )  # together about half of the run, so that each finds it alive
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            places.append(max(map(int, checkpoints(workdir)), default=0))
        process.communicate()
    assert len(places) >= 5, f"only {len(places)} blows fell on a living process"
    assert len(set(places)) >= 4, f"the blows fell in few places: {places}"
    finish(start(workdir, cache))

    for name in ("alone", "timed"):
        other = tmp_path / name
        for arm in (".", "arms/no_loop"):
            compare(workdir / arm, other / arm, generates=arm == ".")
            ours, theirs = final_arrays(workdir / arm), final_arrays(other / arm)
            assert len(ours) == len(theirs) > 50
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def compare(workdir: Path, other: Path, generates: bool) -> None:
    """Every file of a run but the clock's."""
    left = ["records.jsonl"] + [
        str(file.relative_to(other))
        for folder in ("samples", "provenance", "images", "predictions")
        for file in sorted((other / folder).glob("g*"))
    ]
    pictures = 3 * 2 * 2 if generates else 0  # two generations of two seeds
    assert len(left) == 1 + pictures + 3  # predictions of three generations
    for file in left:
        assert (workdir / file).read_bytes() == (other / file).read_bytes(), file

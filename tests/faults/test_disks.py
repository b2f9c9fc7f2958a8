"""Checkpoints that a disk has damaged: what was changed is never loaded, what is whole is found."""

import contextlib
import gc
import os
import random
import shutil
import subprocess

import jax
import numpy as np
import pytest
from playing import same

from jaxloop.errors import InputError
from jaxloop.loop import advance, stages
from jaxloop.loop.state import on_host
from jaxloop.run.checkpoint import Checkpoints

# Where reading or writing fails half-way, Orbax leaves coroutines behind that nobody awaits.
pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
FLIPS = int(os.environ.get("FLIPS", 20))  # of bits, one at a time


@pytest.fixture(scope="module")
def initial(tiny_experiment):
    return advance.initial(tiny_experiment, stages.build(tiny_experiment))


@pytest.fixture(scope="module")
def states(initial):
    """Two states whose arrays are random: in zeros a change of their compressed bytes is rare."""
    draw = np.random.default_rng(0)

    def filled(leaf):
        leaf = np.asarray(leaf)
        if leaf.dtype == bool:
            return draw.random(leaf.shape) < 0.5
        return draw.integers(0, 256, leaf.nbytes, np.uint8).view(leaf.dtype).reshape(leaf.shape)

    def state(step):
        arrays = jax.tree.map(filled, initial._replace(cursor=()))
        return arrays._replace(cursor=initial.cursor._replace(step=step))

    return state(1), state(2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, states):
    path = tmp_path_factory.mktemp("whole")
    save(path, *states)
    return path


@pytest.fixture
def damaged(whole, tmp_path):
    """A copy that may be damaged: the folder of its newest checkpoint."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path / "checkpoints" / "2"


@pytest.fixture(autouse=True)
def collected():
    """What is left behind is collected here, not in a test of others."""
    yield
    gc.collect()


def save(path, *states):
    with contextlib.closing(Checkpoints(path)) as checkpoints:
        for state in states:
            checkpoints.save(state, {"step": int(state.cursor.step)}, wait=True)


def latest(path, initial):
    with contextlib.closing(Checkpoints(path)) as checkpoints:
        return checkpoints.latest(initial)


def kinds(folder) -> list:
    """Return one file of each kind, the largest array for all."""
    files = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    return list({p.name if len(p.name) < 30 else "array": p for p in files}.values())


def loads(folder, initial, states) -> int:
    """Return which of the two states is loaded, which must be what was saved, and said."""
    saved = latest(folder.parent.parent, initial)
    step = int(saved.state.cursor.step)
    same(saved.state, on_host(states[step - 1]))
    assert saved.about == {"step": step}
    return step


def test_flipped_bits_are_never_loaded(damaged, initial, states, tmp_path_factory):
    draw, folder = random.Random(0), damaged
    files = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size]
    kept = shutil.copytree(folder, tmp_path_factory.mktemp("kept") / "2")
    steps = []
    for _ in range(FLIPS):
        # An array's file as often as it has more bytes than others.
        path = draw.choices(files, [p.stat().st_size for p in files])[0]
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        steps.append(loads(folder, initial, states))
        shutil.rmtree(folder, ignore_errors=True)  # one that cannot be read is deleted
        shutil.copytree(kept, folder)
    assert steps.count(1) > FLIPS / 3  # others lie where Orbax reads nothing


@pytest.mark.parametrize("how", ["cut", "empty", "deleted"])
def test_files_of_every_kind(whole, tmp_path, initial, states, how):
    fell_back = 0
    for i, name in enumerate(p.relative_to(whole) for p in kinds(whole / "checkpoints" / "2")):
        copy = tmp_path / str(i)
        shutil.copytree(whole, copy)
        file = copy / name
        if how == "deleted":
            file.unlink()
        else:
            content = file.read_bytes()
            file.write_bytes(content[: len(content) // 2] if how == "cut" else b"")
        fell_back += loads(copy / "checkpoints" / "2", initial, states) == 1
    assert fell_back >= 2  # the array, and what says where arrays are


def test_what_is_no_checkpoint_hides_none(damaged, initial, states, capsys):
    folder = damaged.parent
    (folder / "9").mkdir()
    (folder / "11").write_text("a file")
    (folder / "notes.txt").write_text("a file")
    assert loads(damaged, initial, states) == 2
    assert "checkpoint 9 cannot be read" in capsys.readouterr().err
    assert not (folder / "9").exists()  # or the next would not be the newest
    shutil.rmtree(damaged / "default")
    assert loads(damaged, initial, states) == 1
    assert "checkpoint 2 cannot be read" in capsys.readouterr().err
    save(folder.parent, states[1])
    assert loads(damaged, initial, states) == 2


def test_none_that_is_whole_is_one_line(damaged, initial):
    shutil.rmtree(damaged)
    (damaged.parent / "1" / "_CHECKPOINT_METADATA").unlink()
    path = damaged.parent.parent
    with pytest.raises(InputError, match="no digest to compare with.*remove checkpoints/"):
        latest(path, initial)
    assert (damaged.parent / "1").exists()  # nothing is deleted where nothing is whole


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 32 MB of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(tmp_path)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk of one's own can be mounted here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_and_one_that_cannot_be_written(small_disk, initial, states, capfd):
    save(small_disk, states[0])
    with contextlib.suppress(OSError), open(small_disk / "fill", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    for wait in (True, False):
        checkpoints = Checkpoints(small_disk)
        words = r"checkpoints cannot be written .*still is$"
        with pytest.raises(OSError, match=words) as caught, contextlib.closing(checkpoints):
            checkpoints.save(states[1], wait=wait)
        assert len(str(caught.value).splitlines()) == 1
    assert int(latest(small_disk, initial).state.cursor.step) == 1
    (small_disk / "fill").unlink()
    save(small_disk, states[1])
    same(latest(small_disk, initial).state, on_host(states[1]))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only"):
        save(small_disk, states[0])
    assert "Traceback" not in capfd.readouterr().err

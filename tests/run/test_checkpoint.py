"""Checkpoints that leave the queue's images to images/. The laws test resuming itself."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from playing import same

from jaxloop.errors import InputError
from jaxloop.loop import advance, queue, stages
from jaxloop.loop.state import Cursor, on_host
from jaxloop.provenance import sheets, store
from jaxloop.run.checkpoint import Checkpoints


@pytest.fixture(scope="module")
def initial(tiny_experiment):
    return advance.initial(tiny_experiment, stages.build(tiny_experiment))


@pytest.fixture
def saved(tiny_experiment, initial, tmp_path):
    """A workdir with the sheets of two generations and a checkpoint; the state, by its queue alone
    after generation 2."""
    draw, values = np.random.default_rng(0), tiny_experiment.seeds.values
    (tmp_path / "images").mkdir()
    queues = []
    for i, seed in enumerate(values):
        one = jax.tree.map(lambda x: jnp.asarray(x[i]), initial.queue)  # noqa: B023
        for generation in (1, 2):
            shape = tiny_experiment.num_generated, *one.samples.image.shape[1:]
            image = draw.integers(0, 256, shape, np.uint8)
            store.sheet(tmp_path, generation, seed).write_bytes(sheets.encode(image))
            index = np.sort(draw.permutation(len(image))[: tiny_experiment.num_kept])
            label = index.astype(np.int32)
            chosen = one.samples._replace(image=image[index], label=label, group=label)
            one = queue.push(one, chosen, label, label.astype(np.float32), np.int32(generation))
        queues.append(jax.tree.map(np.asarray, one))
    state = initial._replace(
        cursor=Cursor(3, 0, 0), queue=jax.tree.map(lambda *x: np.stack(x), *queues)
    )
    with contextlib.closing(Checkpoints(tmp_path, values)) as checkpoints:
        checkpoints.save(state)
    return tmp_path, on_host(state)


def size(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def restored(experiment, initial, path):
    with contextlib.closing(Checkpoints(path, experiment.seeds.values)) as checkpoints:
        return checkpoints.latest(initial).state


def test_images_of_the_queue_come_back_from_their_sheets(tiny_experiment, initial, saved):
    path, state = saved
    same(restored(tiny_experiment, initial, path), state)
    with contextlib.closing(Checkpoints(path / "full")) as checkpoints:
        checkpoints.save(state)
    with_images, without = (size(folder / "checkpoints") for folder in (path / "full", path))
    filled = (state.queue.born >= 0).mean()
    assert with_images - without > 0.9 * filled * state.queue.samples.image.nbytes


SAYS = {"missing": "g02_s0.png", "cut": "whole sheet", "of other images": "images of the queue"}


@pytest.mark.parametrize("how", SAYS)
def test_changed_images_are_refused(tiny_experiment, initial, saved, how):
    path, _ = saved
    sheet = store.sheet(path, 2, tiny_experiment.seeds.values[0])
    if how == "missing":
        sheet.unlink()
    elif how == "cut":
        sheet.write_bytes(sheet.read_bytes()[:-20])
    else:
        sheet.write_bytes(sheets.encode(sheets.decode(sheet.read_bytes())[::-1]))
    with pytest.raises(InputError, match=rf"--workdir=.*{SAYS[how]}.*remove checkpoints/"):
        restored(tiny_experiment, initial, path)


def test_the_checkpoint_before_serves_where_a_sheet_is_lost(tiny_experiment, initial, saved):
    path, _ = saved
    values = tiny_experiment.seeds.values
    (path / "checkpoints").rename(path / "late")
    with contextlib.closing(Checkpoints(path, values)) as checkpoints:
        checkpoints.save(initial)
    (path / "late" / "1").rename(path / "checkpoints" / "2")
    store.sheet(path, 2, values[0]).unlink()
    same(restored(tiny_experiment, initial, path), on_host(initial))

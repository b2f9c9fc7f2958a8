"""What a generator's `encode` makes of images, where it has one: of real ones once a run, of
generated ones when they are new in the queue.

It follows from constants and queue, and is not saved: a run that is resumed encodes again.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxloop.devices import join, put, put_seeds, select, split_batch, to_host
from jaxloop.generators.base import Generator
from jaxloop.loop.experiment import Constants, Experiment, Host, Stage, over_seeds
from jaxloop.loop.state import LoopState
from jaxloop.types import Array, PyTree

NEW = np.int32(1)  # the block of the queue's youngest images


class Encoder(NamedTuple):
    """fill: the compiled `encode_block` over the seeds."""

    experiment: Experiment
    fill: Any

    @property
    def batches(self) -> int:
        """Batches of a block: what one generation pushed."""
        return -(-self.experiment.num_kept // self.experiment.generator.sample_batch)

    def whole(self, state: LoopState) -> LoopState:
        """Return the state with all images of the queue encoded, unless they are.

        Its seeds may be others than the experiment's, of a later cohort.
        """
        if jax.tree.leaves(state.encoded):
            return state
        experiment, code = self.experiment, self.experiment.constants.encoded
        sizes = to_host(select(state.queue, lambda q: q.size))
        shape = len(sizes), experiment.capacity, *code.shape[1:]
        layout = experiment.seeds._replace(values=tuple(range(len(sizes))))
        encoded = put_seeds(layout, np.zeros(shape, code.dtype))
        for back in range(1, 1 + max(map(int, sizes)) // experiment.num_kept):
            scalars = np.int32(back), np.int32(0), np.int32(self.batches)
            encoded = self.fill(encoded, _queue(state), experiment.constants, *scalars)
        return state._replace(encoded=encoded)


def encoder(experiment: Experiment) -> Encoder | None:
    """Return the encoder of an experiment; None where its generator sees the images themselves."""
    if experiment.generator.encode is None:
        return None
    return Encoder(experiment, over_seeds(experiment, encode_block))


def encoding_stage(made: Encoder) -> Stage:
    """Return the stage that encodes what the generation before has pushed."""

    def run(state: LoopState, seeds, first: int, count: int, votes=None) -> LoopState:
        if not jax.tree.leaves(state.encoded):
            return made.whole(state)
        scalars = NEW, np.int32(first), np.int32(count)
        inputs = _queue(state), made.experiment.constants
        return state._replace(encoded=made.fill(state.encoded, *inputs, *scalars))

    return Stage("encode", 2, lambda state: made.batches, run, {"fill": made.fill})


def encoded_shape(constants: Constants, generator: Generator) -> jax.ShapeDtypeStruct:
    """Return the shape of what `encode_real` gives."""
    encode: Any = generator.encode
    one = jax.eval_shape(encode, constants.generator, constants.train.in_memory.image[:1])
    return jax.ShapeDtypeStruct((len(constants.train.label), *one.shape[1:]), one.dtype)


def encode_real(mesh: Mesh, constants: Constants, generator: Generator, host: Host | None) -> Array:
    """Return what `encode` makes of the real training images, a batch at a time."""
    num, batch = len(constants.train.label), generator.sample_batch
    one = jax.jit(partial(_encode_rows, mesh, generator.encode))
    codes = []
    for start in range(0, num, batch):
        row = np.int32(start + np.arange(batch))
        if host:
            image, row = put(mesh, host.read(np.minimum(row, num - 1))), row - np.int32(start)
        else:
            image = constants.train.in_memory.image
        codes.append(one(constants.generator, image, row))
    return jnp.concatenate(codes)[:num]


def _encode_rows(mesh: Mesh, encode, constants: PyTree, image: Array, row: Array) -> Array:
    batch = jnp.take(image, row, axis=0, mode="clip")
    return encode(constants, split_batch(mesh, batch))


def encode_block(
    experiment: Experiment, encoded: Array, inputs, constants: Constants, back, first, count
) -> Array:
    """Encode batches first .. first + count - 1 of a block of the queue.

    A block is what one push brought; `back` counts them from the youngest, 1.
    """
    image, head = inputs
    generator, num = experiment.generator, experiment.num_kept
    size = generator.sample_batch
    begin = (head - back * num) % len(image)

    def one_batch(i, encoded):
        place = i * size + jnp.arange(size)
        row = jnp.where(place < num, begin + place, len(image))  # those past the end are dropped
        code = _encode_rows(
            experiment.seeds.mesh, generator.encode, constants.generator, image, row
        )
        return encoded.at[row].set(code, mode="drop")

    end = jnp.minimum(first + count, -(-num // size))
    return jax.lax.fori_loop(first, end, one_batch, encoded)


def _queue(state: LoopState):
    """Return the queue's images and head, seeded."""
    images = select(state.queue, lambda q: q.samples.image)
    return join(images, select(state.queue, lambda q: q.head))

"""Where arrays live and how a one-seed function runs for all seeds."""

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxloop.types import Array, PyTree

SEED, DATA = "seed", "data"


def make_mesh(num_seeds: int, devices=None) -> Mesh:
    """A mesh (seed, data) over all devices: as many along "seed" as divide both, the rest along "data"."""
    devices = jax.devices() if devices is None else devices
    along_seed = math.gcd(num_seeds, len(devices))
    # Auto axes: Linen's Dropout does not run under the Explicit axes that are JAX's default.
    return jax.make_mesh(
        (along_seed, len(devices) // along_seed),
        (SEED, DATA),
        (AxisType.Auto,) * 2,
        devices=devices,
    )


def put(mesh: Mesh, tree: PyTree) -> PyTree:
    """Host arrays -> device arrays, one copy on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def put_seeds(mesh: Mesh, tree: PyTree) -> PyTree:
    """Arrays with a leading seed axis -> the mesh, spread along "seed"."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(SEED)))


def split_batch(mesh: Mesh, batch: PyTree) -> PyTree:
    """Inside jit: asks that the leading axis of a batch be spread along "data", which makes a train step data-parallel."""
    if mesh.shape[DATA] == 1:
        return batch
    return jax.tree.map(
        lambda x: jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(DATA))),
        batch,
    )


def over_seeds(one: Callable, mesh: Mesh, how: str | None = None) -> Callable:
    """Turns `one(own, *shared)`, written for one seed, into `all(own, *shared)` for a leading seed axis on `own`.

    On the CPU every seed goes through one and the same compiled function, as many at a time as there are cores: each
    seed's numbers are bit for bit those of running it alone. On accelerators they go together, vmapped and spread along
    "seed".

    Args:
      how: "loop" or "vmap"; None chooses by the backend.
    """
    how = how or ("loop" if jax.default_backend() == "cpu" else "vmap")
    if how == "vmap":
        return _vmapped(one, mesh)
    if how == "loop":
        return _looped(one, mesh)
    raise ValueError(f"how={how!r}: one of loop, vmap")


def _vmapped(one: Callable, mesh: Mesh) -> Callable:
    def all_seeds(own, *shared):
        return jax.vmap(lambda mine: one(mine, *shared), spmd_axis_name=SEED)(own)

    # What comes out is what goes in later: one sharding for both, or the second call would compile again.
    return jax.jit(all_seeds, out_shardings=NamedSharding(mesh, PartitionSpec(SEED)))


def _looped(one: Callable, mesh: Mesh) -> Callable:
    """As many seeds at a time as cores; on several devices one, where collectives of two seeds could wait for each other."""
    compiled = jax.jit(one)
    threads = _cores() if mesh.size == 1 else 1

    def all_seeds(own, *shared):
        def run(mine):
            return jax.block_until_ready(compiled(mine, *shared))

        seeds = unstack(own)
        if (
            compiled._cache_size() == 0
        ):  # threads that meet an uncompiled function would each compile it
            done = [run(mine) for mine in seeds]
        else:
            done = list(_pool(threads).map(run, seeds))
        return put_seeds(mesh, stack(done)) if mesh.size > 1 else stack(done)

    all_seeds._cache_size = (
        compiled._cache_size
    )  # how often it was traced: the same question as to a jitted function
    return all_seeds


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """One pool for the whole process: threads that come and go would each leave an arena of memory behind."""
    return ThreadPoolExecutor(threads)


@jax.jit
def stack(trees: list[PyTree]) -> PyTree:
    """Trees of one seed each -> one tree with a leading seed axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def unstack(tree: PyTree) -> list[PyTree]:
    """The inverse of `stack`."""
    size = jax.tree.leaves(tree)[0].shape[0]
    return [jax.tree.map(lambda x: x[i], tree) for i in range(size)]


def in_batches(function: Callable, size: int, *arrays: Array) -> PyTree:
    """`function(*arrays)` a piece of `size` rows at a time, inside jit: the memory of a batch, whatever the length.

    The last piece is padded with zeros, and what they give is cut off: for functions that treat rows one by one.
    """
    length = arrays[0].shape[0]
    pieces = -(-length // size)

    def pieced(x):
        padding = [(0, pieces * size - length)] + [(0, 0)] * (x.ndim - 1)
        return jnp.pad(x, padding).reshape(pieces, size, *x.shape[1:])

    out = jax.lax.map(lambda piece: function(*piece), tuple(pieced(x) for x in arrays))
    return jax.tree.map(lambda x: x.reshape(pieces * size, *x.shape[2:])[:length], out)

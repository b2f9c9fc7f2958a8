"""Where arrays live, how a one-seed function runs for all seeds, and the one road to the host.

A *seeded* tree holds one tree a seed. Seeds that run in turn are a Python list of S trees: nothing
is stacked or copied between calls. Seeds that run together are one tree whose leaves have a leading
seed axis, spread along the mesh's axis "seed". `Seeds` says which.
"""

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxloop.errors import InputError
from jaxloop.types import Array, PyTree

SEED, DATA = "seed", "data"


class Seeds(NamedTuple):
    """How the run seeds are laid out.

    values: the run seeds.  mesh: of the axes (seed, data).  together: vmapped; else one after
      another.
    """

    values: tuple[int, ...]
    mesh: Mesh
    together: bool


def lay_out(values: tuple[int, ...], how: str = "auto", devices=None) -> Seeds:
    """Lay seeds out over `devices` (all, if None). how: "auto" | "together" | "in_turn".

    Raises:
      InputError: JAX finds no device of the platform that the shell asks for.
    """
    devices = available() if devices is None else devices
    together = how == "together" or (how == "auto" and devices[0].platform != "cpu")
    return Seeds(tuple(values), make_mesh(len(values) if together else 1, devices), together)


def available() -> list:
    """Return all devices. Raises InputError where the platform that the shell asks for has none."""
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:
        platform = os.environ.get("JAX_PLATFORMS", "")
        message = str(error).partition("\n")[0] or "none was found"
        raise InputError(
            "JAX_PLATFORMS", platform, f"a platform with a device ({message})"
        ) from None


def make_mesh(num_seeds: int, devices=None) -> Mesh:
    """Return a mesh (seed, data): as many devices along "seed" as divide both, others along
    "data"."""
    devices = jax.devices() if devices is None else devices
    along_seed = math.gcd(num_seeds, len(devices))
    shape = (along_seed, len(devices) // along_seed)
    # Auto axes: Linen's Dropout does not run under the Explicit axes that are JAX's default.
    return jax.make_mesh(shape, (SEED, DATA), (AxisType.Auto,) * 2, devices=devices)


def compute_dtype(name: str, mesh: Mesh):
    """Return the networks' dtype. name: "auto" | "float32" | "bfloat16"."""
    if name == "auto":
        name = "float32" if mesh.devices.flat[0].platform == "cpu" else "bfloat16"
    return jnp.dtype(name)


def put(mesh: Mesh, tree: PyTree) -> PyTree:
    """Copy host arrays to every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def put_seeds(seeds: Seeds, stacked: PyTree) -> PyTree:
    """Return a seeded tree of host arrays with a leading seed axis."""
    if seeds.together:
        return jax.device_put(stacked, NamedSharding(seeds.mesh, PartitionSpec(SEED)))
    trees = [jax.tree.map(lambda x: x[i], stacked) for i in range(len(seeds.values))]  # noqa: B023
    return [put(seeds.mesh, tree) for tree in trees]


def select(seeded: PyTree, get: Callable) -> PyTree:
    """Return the part `get(tree)` of a seeded tree, as a seeded tree."""
    return [get(tree) for tree in seeded] if isinstance(seeded, list) else get(seeded)


def join(*seeded: PyTree) -> PyTree:
    """Return seeded trees as one seeded tuple. None stands for nothing, in every seed."""
    lists = [tree for tree in seeded if isinstance(tree, list)]
    if not lists:
        return seeded
    columns = [[None] * len(lists[0]) if tree is None else tree for tree in seeded]
    return list(zip(*columns, strict=True))


def to_host(seeded: PyTree, copy: bool = False) -> list[PyTree]:
    """Return one tree of NumPy arrays a seed. An array that was fetched before is not fetched
    again.

    copy: also where the host could read device memory; needed if the arrays are donated later.
    """
    fetch = np.array if copy else np.asarray
    host = jax.tree.map(fetch, seeded)
    if isinstance(seeded, list):
        return host
    leaves = jax.tree.leaves(host)
    return [jax.tree.map(lambda x: x[i], host) for i in range(len(leaves[0]))]  # noqa: B023


def stacked_on_host(seeded: PyTree) -> PyTree:
    """Return a copy with a leading seed axis, in NumPy: the inverse of `put_seeds`."""
    if isinstance(seeded, list):
        return jax.tree.map(lambda *leaves: np.stack(leaves), *seeded)
    return jax.tree.map(np.array, seeded)


def split_batch(mesh: Mesh, batch: PyTree) -> PyTree:
    """Inside jit: spread the leading axis of a batch along "data" (a data-parallel train step).

    A batch that these devices do not divide is computed whole on each.
    """
    if mesh.shape[DATA] == 1 or len(jax.tree.leaves(batch)[0]) % mesh.shape[DATA]:
        return batch
    sharding = NamedSharding(mesh, PartitionSpec(DATA))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)


def over_seeds(one: Callable, seeds: Seeds) -> Callable:
    """Run `one(state, inputs, *shared)`, written for one seed, for all of them.

    The returned function takes seeded `state` and `inputs`, and `shared` as they are. `state` is
    donated: its memory is given to the result. In turn, every seed goes through the same compiled
    function, as many at a time as there are cores: bit for bit as alone. `_cache_size()` tells how
    often it was traced, `one` is kept as `one_seed`.
    """
    run = _together(one, seeds.mesh) if seeds.together else _in_turn(one, seeds.mesh)
    run.one_seed = one  # type: ignore[attr-defined]
    return run


def compiled(function: Callable, mesh: Mesh, **options) -> Any:
    """Return `jax.jit(function, **options)`.

    On CPUs without XLA's schedule for concurrent operations: it starts whatever can start, which
    costs memory (a LoRA step of Stable Diffusion at 256 pixels 6.5 GiB instead of 2.5) and gained
    no time (`benchmarks/stable_diffusion.py`). The numbers are the same.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return jax.jit(function, compiler_options=_cpu_options() if on_cpu else None, **options)


@functools.cache
def _cpu_options() -> dict[str, bool] | None:
    """Return what `compiled` asks of XLA; None where this XLA does not know the option."""
    options = {"xla_cpu_enable_concurrency_optimized_scheduler": False}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return options


def _together(one: Callable, mesh: Mesh) -> Callable:
    def vmapped(state, inputs, *shared):
        return jax.vmap(lambda s, i: one(s, i, *shared), spmd_axis_name=SEED)(state, inputs)

    # What comes out is what goes in later: one sharding for both, or the second call compiles
    # again.
    out = NamedSharding(mesh, PartitionSpec(SEED))
    function = compiled(vmapped, mesh, donate_argnums=0, out_shardings=out)

    def run(state, inputs, *shared):
        return function(state, inputs, *shared)

    run._cache_size = function._cache_size  # type: ignore[attr-defined]
    return run


def _in_turn(one: Callable, mesh: Mesh) -> Callable:
    """Return the function over lists. On several devices one seed at a time: collectives of two
    could wait for each other."""
    function = compiled(one, mesh, donate_argnums=0)
    if mesh.size > 1:
        replicated = NamedSharding(mesh, PartitionSpec())
        function = compiled(one, mesh, donate_argnums=0, out_shardings=replicated)
    threads = cores() if mesh.size == 1 else 1

    def run(state: list, inputs: list, *shared):
        def one_seed(state, inputs):
            return jax.block_until_ready(function(state, inputs, *shared))

        if not function._cache_size():  # threads that meet an uncompiled one would each compile it
            return list(map(one_seed, state, inputs))
        return list(_pool(threads).map(one_seed, state, inputs))

    run._cache_size = function._cache_size  # type: ignore[attr-defined]
    return run


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return one pool for the whole process: every new thread leaves an arena of memory behind."""
    return ThreadPoolExecutor(threads)


def in_batches(function: Callable, size: int, *arrays: Array) -> PyTree:
    """Return `function(*arrays)`, computed `size` rows at a time inside jit: the memory of a batch.

    The last piece is padded with zeros and cut off after: for functions that treat rows one by one.
    """
    length = arrays[0].shape[0]
    pieces = -(-length // size)

    def split(x):
        padding = [(0, pieces * size - length)] + [(0, 0)] * (x.ndim - 1)
        return jnp.pad(x, padding).reshape(pieces, size, *x.shape[1:])

    out = jax.lax.map(lambda piece: function(*piece), tuple(split(x) for x in arrays))
    return jax.tree.map(lambda x: x.reshape(pieces * size, *x.shape[2:])[:length], out)

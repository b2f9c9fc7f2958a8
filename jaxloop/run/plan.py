"""What a run will do and what it needs of a device, before it starts: --dry_run."""

from collections.abc import Iterator

import jax
import numpy as np

from jaxloop.devices import SEED, compiled
from jaxloop.loop import advance, feeding, stages
from jaxloop.loop.experiment import Experiment, Stage
from jaxloop.loop.state import LoopState, on_devices
from jaxloop.types import PyTree

GIB = 2**30


def lines(experiment: Experiment) -> Iterator[str]:
    """Yield what `--dry_run` prints. It compiles the generator's training, and trains nothing."""
    spec, constants, built = experiment.spec, experiment.constants, stages.build(experiment)
    mesh = experiment.seeds.mesh
    yield (
        f"data: {spec.data.name}, {len(constants.train.label)} training, "
        f"{len(constants.validation.label)} validation and {len(constants.test.label)} test images"
    )
    yield (
        f"generations: {spec.loop.generations}, each {experiment.num_generated} images generated "
        f"and {experiment.num_kept} kept; the queue holds {experiment.capacity}"
    )
    how = "together" if experiment.seeds.together else "in turn"
    yield f"seeds: {', '.join(map(str, spec.seeds))}, {how}; arms: {', '.join(spec.arms) or 'none'}"
    yield f"devices: {mesh.size} x {mesh.devices.flat[0].device_kind}, {dict(mesh.shape)}"
    start = advance.initial(experiment, built)
    on_device = on_devices(start, experiment.seeds)
    steps = (f"{stage.name} {stage.steps(on_device)}" for stage in built)
    yield f"steps of a generation, with an empty queue: {', '.join(steps)}"
    held = memory(experiment, start)
    working = working_memory(experiment, built, start)
    held |= {"working memory of the generator's training": working} if working is not None else {}
    yield "memory of each device: " + ", ".join(f"{name} {gib(x)}" for name, x in held.items())


def gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB" if size >= 0.1 * GIB else f"{size / 2**20:.1f} MiB"


def memory(experiment: Experiment, state: LoopState) -> dict[str, int]:
    """Return the bytes that each device holds throughout, by what they are.

    state: of `advance.initial`.
    """
    constants = experiment.constants
    seeds = len(experiment.seeds.values)
    encoded = seeds * sum(map(_size, _queue_codes(experiment)))
    share = experiment.seeds.mesh.shape[SEED]  # devices along which the seeds are spread
    frozen = _size(constants.generator)
    return {
        "frozen weights of the generator": frozen,
        "data and other constants": _size(constants) - frozen,
        f"state of {seeds} seeds": (_size(state[1:]) + encoded) // share,
    }


def working_memory(
    experiment: Experiment, built: tuple[Stage, ...], state: LoopState
) -> int | None:
    """Return the bytes that the compiler asks for inside the generator's training, on a device.

    None where nothing is generated.
    """
    train = next((s.functions["train"] for s in built if s.name == "generator"), None)
    if train is None:
        return None
    seeds, scalar = experiment.seeds, np.int32(0)
    one = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)  # noqa: E731
    code = next(iter(_queue_codes(experiment)), None)
    inputs = (scalar, one(state.queue), code, _window(experiment) if code is None else None)
    function = compiled(train.one_seed, seeds.mesh, donate_argnums=0)  # type: ignore[attr-defined]
    lowered = function.lower(one(state.generator), inputs, experiment.constants, *[scalar] * 3)
    size = lowered.compile().memory_analysis().temp_size_in_bytes
    together = len(seeds.values) // seeds.mesh.shape[SEED] if seeds.together else 1
    return size * together


def _window(experiment: Experiment) -> tuple | None:
    """Return the shape of the images that the host feeds a call of the generator's training."""
    if experiment.host is None:
        return None
    num = feeding.window_images(experiment.host, experiment.spec.generator.batch_size)
    shape = (num, *experiment.host.shape[1:])
    return jax.ShapeDtypeStruct(shape[:1], np.int32), jax.ShapeDtypeStruct(shape, np.uint8)


def _queue_codes(experiment: Experiment) -> list[jax.ShapeDtypeStruct]:
    """Return the shape of a seed's encoded queue, in a list; an empty one where none is encoded."""
    codes = jax.tree.leaves(experiment.constants.encoded)
    return [jax.ShapeDtypeStruct((experiment.capacity, *x.shape[1:]), x.dtype) for x in codes]


def _size(tree: PyTree) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))

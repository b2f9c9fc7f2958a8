"""The interface of a network that embeds images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import numpy as np

from jaxloop import devices
from jaxloop.types import Array, PyTree

BATCH = 32  # images that go through the network together, shared among the devices


@dataclass(frozen=True, eq=False)
class Network:
    """A network that embeds images, and its weights.

    name: "inception" or "clip"; the field "network" of the metrics' records.
    dim: d, the number of features.
    resize: how images come to the network's size: "tf", "clean" or "clip".
    sha256: of the published file of weights.
    apply: (variables, uint8 [n h w 3]) -> float32 [n d], pure; may be jitted.
    settings: whatever else the features depend on; equal networks have equal ones.
    """

    name: str
    dim: int
    resize: str
    sha256: str
    variables: PyTree
    apply: Callable[[PyTree, Array], Array]
    settings: str = ""

    def __call__(self, image: Array | np.ndarray) -> np.ndarray:
        """Embed uint8 [n h w 3], n >= 0, a batch at a time: float32 [n d], on the host.

        It is compiled once for every (h, w). Raises ValueError for another type or shape.
        """
        shape = tuple(image.shape)
        if image.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3 or 0 in shape[1:]:
            raise ValueError(f"image must be uint8 [n h w 3]; it is {image.dtype} {shape}")
        image = np.asarray(image)  # slices of it on the device would each be compiled
        size, embed = self._compiled
        features = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(image), size):
            batch = image[start : start + size]
            padded = np.pad(batch, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])
            features.append(np.asarray(embed(padded))[: len(batch)])
        return np.concatenate(features)

    @cached_property
    def _compiled(self) -> tuple[int, Callable[[np.ndarray], Array]]:
        """The batch size, and `apply` spread over this process's devices, the weights on each."""
        mesh = devices.make_mesh(1, jax.local_devices())
        size = -(-BATCH // mesh.size) * mesh.size
        embed = jax.jit(lambda variables, x: self.apply(variables, devices.split_batch(mesh, x)))
        return size, partial(embed, devices.put(mesh, self.variables))

"""What a network that embeds images is to everybody else."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import numpy as np

from jaxloop import devices
from jaxloop.types import Array, PyTree

BATCH = 32  # images that go through the network together; shared among the devices


@dataclass(frozen=True, eq=False)
class Network:
    """A network with its weights, which embeds images.

    name: "inception" or "clip"; the <network> in the metric name fd_<network>.
    dim: d, the number of features.
    resize: how images come to the network's size: "tf", "clean" or "clip".
    sha256: of the file that the weights came from, as it was published.
    variables: of the network.
    apply: (variables, uint8 [n h w 3]) -> float32 [n d], pure; may be jitted.
    settings: whatever else the features depend on, in words; equal networks have equal ones.
    """

    name: str
    dim: int
    resize: str
    sha256: str
    variables: PyTree
    apply: Callable[[PyTree, Array], Array]
    settings: str = ""

    def __call__(self, image: Array) -> np.ndarray:
        """Embeds images, a batch of fixed size at a time: compiled once for every (h, w).

        Args:
          image: uint8 [n h w 3], on the host or a device; n may be 0.

        Returns:
          float32 [n d], on the host.

        Raises:
          ValueError: `image` is of another type or shape.
        """
        if (
            image.dtype != np.uint8
            or image.ndim != 4
            or image.shape[-1] != 3
            or 0 in image.shape[1:]
        ):
            raise ValueError(
                f"image must be uint8 [n h w 3]; it is {image.dtype} {tuple(image.shape)}"
            )
        image = np.asarray(image)  # slices of it on the device would each be compiled
        size, embed = self._compiled
        features = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(image), size):
            batch = image[start : start + size]
            padding = [(0, size - len(batch))] + [(0, 0)] * 3
            features.append(np.asarray(embed(np.pad(batch, padding)))[: len(batch)])
        return np.concatenate(features)

    @cached_property
    def _compiled(self) -> tuple[int, Callable[[Array], Array]]:
        """The batch size, and `apply` for batches of it: spread over this process's devices, with the weights on each."""
        mesh = devices.make_mesh(1, jax.local_devices())
        size = -(-BATCH // mesh.size) * mesh.size

        @jax.jit
        def embed(variables, image):
            return self.apply(variables, devices.split_batch(mesh, image))

        return size, partial(embed, devices.put(mesh, self.variables))

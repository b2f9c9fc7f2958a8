"""Where the real training images are during a run: on the devices, with the host, or on disk."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxloop.data.on_disk import OnDisk
from jaxloop.errors import InputError

SHARE = 4  # an image set may take a fourth of what is there
_GROUPS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"


@dataclass(frozen=True)
class InHost:
    """Images in the host's memory. image: NumPy uint8 [n h w c]."""

    image: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image.shape

    def __len__(self) -> int:
        return len(self.image)

    def read(self, rows) -> np.ndarray:
        return self.image[rows]


def chosen(how: str, image: np.ndarray | OnDisk, device) -> str:
    """Return "device", "host" or "disk".

    Args:
      how: `data.memory`: "auto" takes the first of the three that has room.
      image: [n h w c].  device: a JAX device.
    """
    on_disk = isinstance(image, OnDisk)
    if how == "disk" and not on_disk:
        words = "auto, device or host: this data set is read whole"
        raise InputError("config.data.memory", how, words)
    if how != "auto":
        return how
    if SHARE * image.nbytes <= of_device(device):
        return "device"
    return "disk" if on_disk and SHARE * image.nbytes > of_host() else "host"


def of_device(device) -> int:
    """Return the bytes of memory of a device; of a CPU those of the host."""
    statistics = device.memory_stats() or {}
    return int(statistics.get("bytes_limit", 0)) or of_host()


def of_host() -> int:
    """Return the bytes that this process may use: of the machine, its control group, `ulimit`."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit > 0]
    for path in map(Path, _GROUPS):
        text = path.read_text().strip() if path.exists() else ""
        limits += [int(text)] if text.isdigit() else []
    return min(limits)

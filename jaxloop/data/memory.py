"""Where the real training images are during a run: on the devices, with the host, or on disk."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxloop.data.on_disk import Decoded, OnDisk
from jaxloop.errors import InputError

ON_DISK = "disk", "decoded"
SHARE = 4  # an image set may take a fourth of what is there
WORDS = {  # where the images stay, for a note
    "host": "in the host's memory and are copied to the devices for each step",
    "disk": "on disk and are decoded ahead of each step",
    "decoded": "in one file on disk, decoded, and are read ahead of each step",
}
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
    """Return "device", "host", "disk" or "decoded".

    Args:
      how: `data.memory`: "auto" takes the first of device, host and disk that has room.
      image: [n h w c].  device: a JAX device.
    """
    if how in ON_DISK and not isinstance(image, OnDisk):
        words = "auto, device or host: this data set is read whole"
        raise InputError("config.data.memory", how, words)
    if how != "auto":
        return how
    if SHARE * image.nbytes <= of_device(device):
        return "device"
    return "disk" if isinstance(image, OnDisk) and is_large(image) else "host"


def is_large(image: np.ndarray | OnDisk) -> bool:
    """Return whether images take more than a fourth of the host's memory."""
    return SHARE * image.nbytes > of_host()


def with_host(how: str, image: Any) -> InHost | OnDisk | Decoded:
    """Return the images [n h w c] as the host is to have them.

    Args:
      how: "host", "disk" or "decoded".  image: an array; for the last two an OnDisk.

    Raises InputError that lists the files that cannot be decoded.
    """
    if how == "host":
        return InHost(np.asarray(image))
    if how == "decoded":
        return image.decoded()
    image.check()
    return image


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

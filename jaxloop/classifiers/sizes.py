"""What a network asks of the size of its images."""

from jaxloop.errors import InputError
from jaxloop.types import Array

FIELD = "the side of the images"


def admit(x: Array, name: str, smallest: int, multiple: int = 1) -> None:
    """Refuses images [n h w 3] that the network `name` cannot take: a side below `smallest` or not a multiple of `multiple`."""
    side = min(x.shape[1:3])
    if side < smallest or any(s % multiple for s in x.shape[1:3]):
        of = f"a multiple of {multiple}, " if multiple > 1 else ""
        raise InputError(FIELD, side, f"{of}at least {smallest} for {name} with this stem")

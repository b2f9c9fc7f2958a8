"""Every random key of jaxloop is made here, from (seed, stage, generation, step) and nothing else.

No key is stored in any state: a run that is killed and resumed derives the same keys again.
"""

import zlib

import jax

from jaxloop.types import Array


def root_key(seed) -> Array:
    """The key of one run seed (an int or an int32 scalar, so that it can be traced)."""
    return jax.random.key(seed)


def stage_key(root: Array, stage: str, generation, step=0) -> Array:
    """The key of one step of one stage of one generation.

    Args:
      root: `root_key(seed)`.
      stage: the stage's name, hashed with CRC-32, which is the same in every process.
      generation, step: ints or int32 scalars.
    """
    key = jax.random.fold_in(root, zlib.crc32(stage.encode()))
    return jax.random.fold_in(jax.random.fold_in(key, generation), step)


def parts(key: Array, *names: str) -> tuple[Array, ...]:
    """Independent keys for the named uses inside one step, one a name."""
    return tuple(jax.random.fold_in(key, zlib.crc32(name.encode())) for name in names)

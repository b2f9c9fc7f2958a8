"""Random numbers of the data set itself: the same on every machine and for every run seed."""

import zlib

import numpy as np


def uniform(seed: int, purpose: str, n: int) -> np.ndarray:
    """`n` uniform numbers in [0, 1), a function of (seed, purpose) alone: a longer draw starts with the shorter one.

    They are made from the raw words of a seeded PCG64, which NumPy promises never to change (NEP 19), unlike the
    methods of its Generator, and unlike jax.random, whose bits depend on configuration flags. So a data set coloured today is
    the data set of a later release.

    Args:
      seed: `data.seed`, >= 0.
      purpose: names the use ("color.train"), so that two uses of one seed are independent.
      n: how many.

    Returns:
      float64 [n].
    """
    words = np.random.PCG64(
        np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    ).random_raw(n)
    return (words >> np.uint64(11)) * 2.0**-53

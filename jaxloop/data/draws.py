"""Random numbers of the data set itself: the same on every machine and for every run seed."""

import zlib

import numpy as np


def uniform(seed: int, purpose: str, n: int) -> np.ndarray:
    """Return float64 [n] in [0, 1), a function of (seed, purpose); more numbers start with these.

    They are the raw words of a seeded PCG64, which NumPy promises never to change (NEP 19), unlike
    its Generator's methods, and unlike jax.random, whose bits depend on configuration flags. Two
    purposes ("color.train") of one `data.seed` are independent.
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])
    return (np.random.PCG64(sequence).random_raw(n) >> np.uint64(11)) * 2.0**-53

"""What a generation trains on: how much of the real data, and which of the generated images.

`loop.policy` says which generated images stay in play, `loop.real` which real ones. Together they
give the loops of the literature:

| | real=fixed | real=none | real=fresh |
| --- | --- | --- | --- |
| Alemohammad et al. (2023) | synthetic augmentation | fully synthetic | fresh data |

(arXiv:2307.01850). fifo is the paper's data stacking (3.2). replace, accumulate: Gerstgrasser et
al. (2024, arXiv:2404.01413), whose "replace" is policy=replace with real=none.
accumulate_subsample: Kazdan et al. (2024, arXiv:2410.16713), accumulation at a constant cost: as
many images as there are real ones, drawn anew each generation from real and generated ones alike.

Shapes never change: which images are in play is a mask over the real images and the queue's slots.
"""

import jax.numpy as jnp

from jaxloop import keys, spec
from jaxloop.data import batches
from jaxloop.types import Array

SUBSAMPLE = "accumulate_subsample"


def generations_held(loop: spec.Loop) -> int:
    """How many generations' images the queue has room for."""
    return {"fifo": loop.capacity, "replace": 1}.get(loop.policy, max(1, loop.generations))


def is_start(stage: str, generation):
    """Return whether nothing was generated yet: generation 0, and the generator of generation 1."""
    return generation <= (1 if stage == "generator" else 0)


def trained_on(
    loop: spec.Loop, seed: Array, stage: str, generation: Array, num_real: int, valid: Array
) -> Array:
    """The images that `stage` trains on, the same in all of its epochs: bool [num_real + K], real
    images and then the queue's.

    Args:
      stage: "generator" or "classifier"; all classifiers of a generation train on the same images.
      valid: bool [K], the slots of the queue that hold an image.
    """
    root = keys.root_key(seed)
    if loop.real == "fixed":
        real = jnp.ones(num_real, bool)
    elif loop.real == "none":
        real = jnp.broadcast_to(is_start(stage, generation), (num_real,))
    else:
        # A random order of the real images, dealt out by turns: nothing comes twice before
        # everything came once.
        place = jnp.argsort(
            batches.epoch_order(keys.stage_key(root, "fresh", 0), jnp.ones(num_real, bool))
        )
        share = num_fresh(loop, num_real)
        real = (place - generation * share) % num_real < share
    pool = jnp.concatenate([real, valid])
    if loop.policy != SUBSAMPLE:
        return pool
    drawn = batches.epoch_order(keys.stage_key(root, f"subsample/{stage}", generation), pool)[
        :num_real
    ]
    return pool & jnp.zeros_like(pool).at[drawn].set(True)


def num_fresh(loop: spec.Loop, num_real: int) -> int:
    """Real images that a generation is given where loop.real is fresh."""
    return max(1, round(loop.fresh * num_real))


def count(loop: spec.Loop, stage: str, generation: int, num_real: int, size: int) -> int:
    """How many images `trained_on` gives, with `size` images in the queue."""
    real = {
        "fixed": num_real,
        "none": num_real * is_start(stage, generation),
        "fresh": num_fresh(loop, num_real),
    }
    pool = real[loop.real] + size
    return min(pool, num_real) if loop.policy == SUBSAMPLE else pool


def smallest(loop: spec.Loop, num_real: int, kept: int) -> int:
    """The fewest images that any stage of a run trains on, as long as no generator diverges. kept:
    pushed each generation."""
    begun = [
        ("classifier", 0, 0),
        ("generator", 1, 0),
        ("classifier", 1, kept),
        ("generator", 2, kept),
    ]
    return min(
        count(loop, stage, generation, num_real, size)
        for stage, generation, size in begun
        if generation <= loop.generations
    )

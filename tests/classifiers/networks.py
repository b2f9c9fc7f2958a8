"""Networks, weights and images for tests, at little time to compile."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxloop import classifiers

# Every program here runs once: this halves the time to compile.
jit_once = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def pictures(n: int, height: int, width: int) -> np.ndarray:
    """[n h w 3], each brighter than the last, so that a network tells them apart."""
    noise = np.random.default_rng(0).normal(size=(n, height, width, 3))
    return (noise + np.arange(n).reshape(-1, 1, 1, 1)).astype(np.float32)


def shapes(
    name: str, stem: str, *sides: int, width: float = 0.25, num_classes: int = 5, n: int = 3
):
    """The variables' shapes, and the shape of the logits of n images; nothing is computed."""
    module = classifiers.create(name, num_classes, stem, width)
    images = jax.ShapeDtypeStruct((n, *sides, 3), jnp.float32)
    logits, variables = jax.eval_shape(
        partial(module.init_with_output, train=False), jax.random.key(0), images
    )
    return variables, logits.shape


def drawn(shapes):
    """Random weights of these shapes; the modules' init takes much longer to compile."""
    random = np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1] == "kernel":
            deviation = (2 * leaf.shape[-1] / leaf.size) ** 0.5
            return random.normal(0, deviation, leaf.shape).astype(np.float32)
        return (np.ones if path[-1] in ("scale", "var") else np.zeros)(leaf.shape, np.float32)

    return traverse_util.path_aware_map(draw, shapes)

"""3x3 convolutions of stride 1 with fewer multiplications: Winograd's F(2x2, 3x3) (Lavin & Gray, CVPR 2016).

A tile of 4x4 pixels gives 2x2 outputs by 16 multiplications a pair of channels instead of 36. Image and kernel are brought into
the tile's domain by sums and halvings alone, so float32 loses nothing: errors are those of the plain sum. Each of the 16 places
of a tile is one matrix product over all tiles, which is what a CPU does best.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloop.ops import lowerings
from jaxloop.types import Array

TILE = 2  # outputs along a side of a tile
PLACES = 4  # pixels along a side of a tile: 2 + 3 - 1

OF_IMAGE = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32)
OF_KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
OF_OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)

Grid = list[
    list[Array]
]  # one array for each of the 4x4 places of a tile, [tiles channels] or [c o]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(image: Array, kernel: Array, padding) -> Array:
    """[n h w c], [3 3 c o], ((top, bottom), (left, right)) -> [n h' w' o]: stride 1, equal to `lax.conv_general_dilated`."""
    return _convolve(image, _kernel_places(kernel), padding)


def _forward(image: Array, kernel: Array, padding):
    return convolve(image, kernel, padding), (image, kernel)


def _backward(padding, kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """The image's gradient is a convolution as well: of the output's gradient, with the kernel turned round."""
    image, kernel = kept
    turned = jax.tree.map(jnp.transpose, _kernel_places(kernel[::-1, ::-1]))
    around = tuple((2 - before, 2 - after) for before, after in padding)
    return _convolve(gradient, turned, around), weight_gradient(image, gradient, padding)


convolve.defvjp(_forward, _backward)


def _convolve(image: Array, weight: Grid, padding) -> Array:
    n, height, width = image.shape[0], *lowerings.out_size(image.shape, (3, 3), (1, 1), padding)
    tiles, into = _image_tiles(image, padding, height, width)
    product = jax.tree.map(jnp.matmul, into, weight)
    rows = [
        [_mix(OF_OUTPUT[a], [product[u][v] for u in range(PLACES)]) for v in range(PLACES)]
        for a in range(TILE)
    ]
    rows = lax.optimization_barrier(
        rows
    )  # or XLA would compute each row again for every output that reads it
    out = [
        [_mix(OF_OUTPUT[b], rows[a]).reshape(*tiles, -1) for b in range(TILE)] for a in range(TILE)
    ]
    out = jnp.stack([jnp.stack(row, axis=3) for row in out], axis=2)  # [n rows 2 columns 2 o]
    return out.reshape(n, TILE * tiles[1], TILE * tiles[2], -1)[:, :height, :width]


def weight_gradient(image: Array, gradient: Array, padding) -> Array:
    """Of `convolve`, by its kernel: image [n h w c], gradient of the output [n h' w' o] -> [3 3 c o]."""
    _, into = _image_tiles(image, padding, *gradient.shape[1:3])
    product = jax.tree.map(
        lambda x, g: lax.dot_general(x, g, (((0,), (0,)), ((), ()))),
        into,
        _gradient_tiles(gradient),
    )
    rows = [
        [_mix(OF_KERNEL[:, i], [product[u][v] for u in range(PLACES)]) for v in range(PLACES)]
        for i in range(3)
    ]
    rows = lax.optimization_barrier(rows)
    return jnp.stack(
        [jnp.stack([_mix(OF_KERNEL[:, j], rows[i]) for j in range(3)]) for i in range(3)]
    )


def _kernel_places(kernel: Array) -> Grid:
    """The kernel in the domain of tiles: [3 3 c o] -> 4x4 of [c o]. Sums, for a product with a matrix this thin is slow."""
    rows = [
        [_mix(OF_KERNEL[u], [kernel[i, j] for i in range(3)]) for j in range(3)]
        for u in range(PLACES)
    ]
    rows = lax.optimization_barrier(rows)
    return [[_mix(OF_KERNEL[v], rows[u]) for v in range(PLACES)] for u in range(PLACES)]


def _image_tiles(
    image: Array, padding, height: int, width: int
) -> tuple[tuple[int, int, int], Grid]:
    """((n, rows, columns), the image in the domain of tiles): overlapping tiles of 4x4 pixels, one every 2."""
    rows, columns = -(-height // TILE), -(-width // TILE)
    (top, _), (left, _) = padding
    below, right = (
        TILE * count + 2 - side
        for count, side in zip((rows, columns), image.shape[1:3], strict=True)
    )
    padded = lowerings.pad(image, ((top, below - top), (left, right - left)))
    slices = [padded[:, i : i + TILE * rows - 1 : TILE] for i in range(PLACES)]
    mixed = lax.optimization_barrier([_mix(OF_IMAGE[u], slices) for u in range(PLACES)])
    into = [
        [
            _mix(OF_IMAGE[v], [row[:, :, j : j + TILE * columns - 1 : TILE] for j in range(PLACES)])
            for v in range(PLACES)
        ]
        for row in mixed
    ]
    flat = functools.partial(jnp.reshape, shape=(-1, image.shape[-1]))
    return (image.shape[0], rows, columns), jax.tree.map(flat, into)


def _gradient_tiles(gradient: Array) -> Grid:
    """The gradient of the output in the domain of tiles: tiles of 2x2, which do not overlap."""
    height, width, o = gradient.shape[1:]
    padded = jnp.pad(gradient, ((0, 0), (0, height % TILE), (0, width % TILE), (0, 0)))
    slices = [padded[:, a::TILE] for a in range(TILE)]
    mixed = lax.optimization_barrier([_mix(OF_OUTPUT[:, u], slices) for u in range(PLACES)])
    return [
        [
            _mix(OF_OUTPUT[:, v], [row[:, :, b::TILE] for b in range(TILE)]).reshape(-1, o)
            for v in range(PLACES)
        ]
        for row in mixed
    ]


def _mix(weights: np.ndarray, arrays: list[Array]) -> Array:
    """The sum of `arrays`, each times its weight: 0, 1, -1, 1/2 or -1/2."""
    terms = [
        array if weight == 1 else weight * array
        for weight, array in zip(weights, arrays, strict=True)
        if weight
    ]
    return functools.reduce(jnp.add, terms)

"""3x3 convolutions of stride 1 with fewer multiplications: F(2x2, 3x3) of Winograd (Lavin & Gray,
CVPR 2016).

A tile of 4x4 pixels gives 2x2 outputs by 16 multiplications a pair of channels instead of 36. Image
and kernel enter the domain of tiles by sums and halvings alone, so that float32 errors are those of
the plain sum. Each of the 16 places of a tile is one matrix product over all tiles.
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

IMAGE = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32)
KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
OUTPUT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)

Grid = list[list[Array]]  # one array a place of the tile: 4x4 of [tiles channels] or [c o]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(image: Array, kernel: Array, padding) -> Array:
    """Convolve [n h w c] with [3 3 c o] at stride 1: [n h' w' o]."""
    return _convolve(image, _kernel_places(kernel), padding)


def _backward(padding, residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    """Convolve the output's gradient with the turned kernel for the image's gradient."""
    image, kernel = residuals
    turned = jax.tree.map(jnp.transpose, _kernel_places(kernel[::-1, ::-1]))
    around = tuple((2 - before, 2 - after) for before, after in padding)
    return _convolve(gradient, turned, around), _kernel_gradient(image, gradient, padding)


convolve.defvjp(lambda x, kernel, padding: (convolve(x, kernel, padding), (x, kernel)), _backward)


def _convolve(image: Array, kernel: Grid, padding) -> Array:
    height, width = lowerings.out_size(image.shape, (3, 3), (1, 1), padding)
    tiles, places = _image_places(image, padding, height, width)
    outputs = _both_sides(OUTPUT, jax.tree.map(jnp.matmul, places, kernel))
    outputs = [[x.reshape(*tiles, -1) for x in row] for row in outputs]
    # [n rows 2 columns 2 o]
    joined = jnp.stack([jnp.stack(row, axis=3) for row in outputs], axis=2)
    joined = joined.reshape(tiles[0], TILE * tiles[1], TILE * tiles[2], -1)
    return joined[:, :height, :width]


def _kernel_gradient(image: Array, gradient: Array, padding) -> Array:
    """Return the kernel's gradient [3 3 c o] from the output's [n h' w' o]."""
    _, places = _image_places(image, padding, *gradient.shape[1:3])
    contract_tiles = functools.partial(lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())))
    product = jax.tree.map(contract_tiles, places, _gradient_places(gradient))
    return jnp.stack([jnp.stack(row) for row in _both_sides(KERNEL.T, product)])


def _kernel_places(kernel: Array) -> Grid:
    """Transform [3 3 c o] to 4x4 of [c o]; by sums, as a product with so thin a matrix is slow."""
    return _both_sides(KERNEL, [[kernel[i, j] for j in range(3)] for i in range(3)])


def _image_places(image: Array, padding, height: int, width: int):
    """Return (n, rows, columns) of tiles, 4x4 pixels every 2, and the transformed image."""
    rows, columns = -(-height // TILE), -(-width // TILE)
    (top, _), (left, _) = padding
    below = TILE * rows + 2 - image.shape[1] - top
    right = TILE * columns + 2 - image.shape[2] - left
    padded = lowerings.pad(image, ((top, below), (left, right)))
    slices = [padded[:, i : i + TILE * rows - 1 : TILE] for i in range(PLACES)]
    mixed = lax.optimization_barrier([_mix(weights, slices) for weights in IMAGE])
    span = TILE * columns - 1
    places = [
        [_mix(weights, [x[:, :, j : j + span : TILE] for j in range(PLACES)]) for weights in IMAGE]
        for x in mixed
    ]
    flat = functools.partial(jnp.reshape, shape=(-1, image.shape[-1]))
    return (image.shape[0], rows, columns), jax.tree.map(flat, places)


def _gradient_places(gradient: Array) -> Grid:
    """Transform the output's gradient: tiles of 2x2, which do not overlap."""
    height, width, o = gradient.shape[1:]
    padded = jnp.pad(gradient, ((0, 0), (0, height % TILE), (0, width % TILE), (0, 0)))
    slices = [padded[:, a::TILE] for a in range(TILE)]
    mixed = lax.optimization_barrier([_mix(weights, slices) for weights in OUTPUT.T])
    return [
        [
            _mix(weights, [x[:, :, b::TILE] for b in range(TILE)]).reshape(-1, o)
            for weights in OUTPUT.T
        ]
        for x in mixed
    ]


def _both_sides(matrix: np.ndarray, grid: Grid) -> Grid:
    """Return matrix @ grid @ matrix.T, where the entries of the grid are arrays."""
    rows = [[_mix(weights, column) for column in zip(*grid, strict=True)] for weights in matrix]
    # Without the barrier XLA computes each row again for every output that reads it.
    rows = lax.optimization_barrier(rows)
    return [[_mix(weights, row) for weights in matrix] for row in rows]


def _mix(weights: np.ndarray, arrays) -> Array:
    """Sum the arrays, each times its weight: 0, 1, -1, 1/2 or -1/2."""
    pairs = zip(weights, arrays, strict=True)
    return functools.reduce(jnp.add, [x if w == 1 else w * x for w, x in pairs if w])

"""Images without their objects: the three ablations of Hard ImageNet (Moayeri et al., 2022).

On plain arrays, any number of images at once: images float [n h w 3] in [0, 1], masks bool [n h w],
true on objects. An image without an object stays as it is.

How we read the description of `tile_box`, from which the published program departs:
- Objects are the 4-connected components of the mask: pixels that touch at a corner are two.
- Beside a component's box lie four sources of the box's size: above, below, left and right. Of each
  the part counts that touches the box, within the frame and before the first row (at the sides:
  column) with a pixel of another component's box. The largest part is taken; of equal ones the
  first in this order.
- The part is repeated with its own period, as a wallpaper: row r of the box shows the row of the
  part that is congruent to r modulo the part's depth. Whole copies so begin where box and part
  meet, and the copy that is cut lies at the far edge.
- The part is of the image as it was given, so the order of components does not matter. Where boxes
  overlap, the component decides whose first pixel, by rows, comes first.
- A box without any such part, as one that fills the frame, becomes grey.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxloop.devices import in_batches
from jaxloop.types import Array

GRAY = 0.5
BATCH = 32  # images whose components are sought at a time


@jax.jit
def gray_object(images: Array, masks: Array) -> Array:
    """Replace the pixels of objects by grey.

    Args:
      images: float [n h w 3] in [0, 1].
      masks: bool [n h w], true on objects.

    Returns:
      The images, of the same shape and dtype.

    Raises:
      ValueError: the shapes do not fit, or the masks are not bool.
    """
    _check(images, masks)
    return _gray(images, masks)


@jax.jit
def gray_box(images: Array, masks: Array) -> Array:
    """Replace the one box around all objects of an image by grey. Arguments as in `gray_object`."""
    _check(images, masks)
    in_rows, in_columns = _span(masks.any(axis=2)), _span(masks.any(axis=1))
    return _gray(images, in_rows[:, :, None] & in_columns[:, None, :])


@jax.jit
def tile_box(images: Array, masks: Array) -> Array:
    """Replace the box of every component by its largest neighbour, repeated; see the module.

    Arguments as in `gray_object`. Any number of components, in the memory of BATCH images beside
    the result; time grows with their number.
    """
    _check(images, masks)

    def one_batch(images: Array, masks: Array) -> Array:
        return lax.map(lambda image: _tile(*image), (images, components(masks)))

    return in_batches(one_batch, max(1, min(BATCH, images.shape[0])), images, masks)


ABLATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "gray_object": gray_object, "gray_box": gray_box, "tile_box": tile_box,
}  # fmt: skip


def components(masks: Array) -> Array:
    """Return by pixel the index of its component's first pixel, by rows, or h w: int32 [n h w]."""
    n, h, w = masks.shape
    index = jnp.arange(h * w, dtype=jnp.int32).reshape(1, h, w)

    def differ(number: Array) -> Array:
        """Say whether two neighbours of one component still have different numbers."""
        rows = masks[:, 1:] & masks[:, :-1] & (number[:, 1:] != number[:, :-1])
        columns = masks[..., 1:] & masks[..., :-1] & (number[..., 1:] != number[..., :-1])
        return rows.any() | columns.any()

    def lower(number: Array) -> Array:
        number = _run_minimum(_run_minimum(number, masks, 1), masks, 2).reshape(n, h * w)
        # A number is a pixel of the same component, whose own number is as low or lower: follow it.
        padded = jnp.pad(number, ((0, 0), (0, 1)), constant_values=h * w)
        return jnp.take_along_axis(padded, number, axis=1).reshape(n, h, w)

    return lax.while_loop(differ, lower, jnp.where(masks, index, h * w))


def _run_minimum(number: Array, masks: Array, axis: int) -> Array:
    """Give every pixel of a run of the mask along `axis` the lowest number of that run."""
    nowhere = jnp.int32(masks.shape[1] * masks.shape[2])

    def next_line(lowest: Array, line: tuple[Array, Array]) -> tuple[Array, Array]:
        number, is_object = line
        lowest = jnp.where(is_object, jnp.minimum(lowest, number), nowhere)
        return lowest, lowest

    lines, is_object = jnp.moveaxis(number, axis, 0), jnp.moveaxis(masks, axis, 0)
    start = jnp.full(lines.shape[1:], nowhere)
    _, lines = lax.scan(next_line, start, (lines, is_object))
    _, lines = lax.scan(next_line, start, (lines, is_object), reverse=True)
    return jnp.moveaxis(lines, 0, axis)


def _tile(image: Array, number: Array) -> Array:
    """Return one image [h w 3] with boxes tiled, from the component of every pixel."""
    h, w = number.shape
    row, column = (lax.broadcasted_iota(jnp.int32, (h, w), axis) for axis in (0, 1))
    boxes = _boxes(number)
    is_first = number.reshape(-1) == jnp.arange(h * w, dtype=jnp.int32)
    # Components do not touch, so there are at most half as many as pixels, rounded up.
    firsts = jnp.flatnonzero(is_first, size=(h * w + 1) // 2, fill_value=h * w).astype(jnp.int32)
    count = is_first.sum()

    def paint(k: Array, owner: Array) -> Array:
        top, bottom, left, right = boxes[:, firsts[k]]
        inside = (row >= top) & (row <= bottom) & (column >= left) & (column <= right)
        return jnp.where(inside, jnp.minimum(owner, firsts[k]), owner)

    owner = lax.fori_loop(0, count, paint, jnp.full((h, w), h * w, jnp.int32))
    table = jnp.pad(owner < h * w, ((1, 0), (1, 0))).astype(jnp.int32).cumsum(0).cumsum(1)

    def choose(k: Array, parts: Array) -> Array:
        return parts.at[firsts[k]].set(_largest_part(boxes[:, firsts[k]], table))

    # What lies in no box finds depth 0 here, as a box without a part does: it stays in place.
    parts = lax.fori_loop(0, count, choose, jnp.zeros((h * w + 1, 3), jnp.int32))
    start, depth, in_rows = (parts[:, i][owner] for i in range(3))
    place = jnp.where(in_rows == 1, row, column)
    place = jnp.where(depth > 0, start + (place - start) % jnp.maximum(depth, 1), place)
    moved = jnp.where(in_rows == 1, place * w + column, row * w + place)
    tiled = image.reshape(h * w, -1)[moved.reshape(-1)].reshape(image.shape)
    return _gray(tiled, (owner < h * w) & (depth == 0))


def _boxes(number: Array) -> Array:
    """Return top, bottom, left, right of each component of an image [h w]: int32 [4, h w + 1]."""
    h, w = number.shape
    row, column = (lax.broadcasted_iota(jnp.int32, (h, w), axis) for axis in (0, 1))
    lowest, highest = jnp.full(h * w + 1, h * w, jnp.int32), jnp.full(h * w + 1, -1, jnp.int32)
    top, bottom = lowest.at[number].min(row), highest.at[number].max(row)
    left, right = lowest.at[number].min(column), highest.at[number].max(column)
    return jnp.stack([top, bottom, left, right])


def _largest_part(box: Array, table: Array) -> Array:
    """Return the largest part beside a box [4]: first line, depth, 1 if its lines are rows; int32.

    table: int32 [h + 1, w + 1], how many pixels of boxes lie above and left of each corner.
    """
    top, bottom, left, right = box
    height, width = bottom - top + 1, right - left + 1
    above, below = _free_lines(table[:, right + 1] - table[:, left], top, bottom)
    before, after = _free_lines(table[bottom + 1] - table[top], left, right)
    areas = jnp.stack([above * width, below * width, before * height, after * height])
    side = areas.argmax()  # the first of equals
    start = jnp.stack([top - above, bottom + 1, left - before, right + 1])[side]
    depth = jnp.stack([above, below, before, after])[side]
    return jnp.stack([start, depth, (side < 2).astype(jnp.int32)])


def _free_lines(taken: Array, first: Array, last: Array) -> tuple[Array, Array]:
    """Count the lines before and after a box without a taken pixel, at most as many as the box has.

    taken: int32 [lines + 1], how many pixels of boxes lie before each line, beside the box.
    """
    line = jnp.arange(taken.shape[0], dtype=jnp.int32)
    # The count never falls along the lines, so it is the same up to the nearest taken pixel only.
    before = jnp.sum((line < first) & (taken == taken[first]), dtype=jnp.int32)
    after = jnp.sum((line > last + 1) & (taken == taken[last + 1]), dtype=jnp.int32)
    return jnp.minimum(before, last - first + 1), jnp.minimum(after, last - first + 1)


def _gray(images: Array, gray: Array) -> Array:
    return jnp.where(gray[..., None], jnp.asarray(GRAY, images.dtype), images)


def _span(line: Array) -> Array:
    """Fill bool [n k] from the first to the last true entry; without one it stays false."""
    place = jnp.arange(line.shape[1], dtype=jnp.int32)[None]
    first = jnp.where(line, place, line.shape[1]).min(axis=1, keepdims=True)
    last = jnp.where(line, place, -1).max(axis=1, keepdims=True)
    return (place >= first) & (place <= last)


def _check(images: Array, masks: Array) -> None:
    fit = images.ndim == 4 and images.shape[:3] == masks.shape
    if not fit or not jnp.issubdtype(masks.dtype, jnp.bool_):
        shapes = f"{images.shape} and {masks.dtype} {masks.shape}"
        raise ValueError(f"images and masks must be [n h w 3] and bool [n h w]; they are {shapes}")

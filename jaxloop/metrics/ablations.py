"""Ablations of Hard ImageNet (Moayeri, Singla & Feizi 2022): what is left without the object.

The published code of the third differs from its description in several ways; this is the
description. Images are float [n h w 3] in [0, 1], masks bool [n h w], true on objects. An image
without an object stays as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxloop.types import Array

GRAY = 0.5


def gray_object(images: Array, masks: Array) -> Array:
    """Replace the pixels of objects by grey."""
    return jnp.where(masks[..., None], jnp.asarray(GRAY, images.dtype), images)


def gray_box(images: Array, masks: Array) -> Array:
    """Replace the one box around all objects of an image by grey."""
    boxes = jax.vmap(lambda mask: _inside(_box(mask), mask.shape))(masks)
    return gray_object(images, boxes & masks.any(axis=(1, 2), keepdims=True))


def tile_box(images: Array, masks: Array) -> Array:
    """Replace the box of every connected component by what is beside it.

    Components are 4-connected. Beside a box lie four regions of its size, of which only the part
    counts that lies within the frame and between the box and the next pixel of another component.
    The largest of the four parts (in the order above, below, left, right where they are equal) is
    repeated from the box's upper or left edge on until the box is full; it is taken from the image
    as it was given. Without any such part the box becomes grey. Where boxes overlap, the component
    whose first pixel comes first, by rows, decides.
    """
    given = images, masks, components(masks)
    return lax.map(lambda one: _tiled(*one), given)


ABLATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "gray_object": gray_object, "gray_box": gray_box, "tile_box": tile_box,
}  # fmt: skip


class Box(NamedTuple):
    """First and last row and column, int32 []."""

    top: Array
    bottom: Array
    left: Array
    right: Array


def components(masks: Array) -> Array:
    """Return the component of each pixel, int32 [n h w]: the number of its first pixel by rows.

    Pixels of no object have the number h w.
    """
    _, h, w = masks.shape
    nowhere = jnp.int32(h * w)
    number = jnp.where(masks, jnp.arange(h * w, dtype=jnp.int32).reshape(1, h, w), nowhere)

    def spread(number: Array, axis: int, reverse: bool) -> Array:
        """Take the smallest number that comes before in the same run of object pixels."""

        def one_line(before: Array, line: tuple[Array, Array]):
            here, is_object = line
            smallest = jnp.where(is_object, jnp.minimum(before, here), nowhere)
            return smallest, smallest

        lines = jnp.moveaxis(number, axis, 0), jnp.moveaxis(masks, axis, 0)
        start = jnp.full(lines[0].shape[1:], nowhere)
        return jnp.moveaxis(lax.scan(one_line, start, lines, reverse=reverse)[1], 0, axis)

    def sweep(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        number, _ = carry
        swept = number
        for axis in (1, 2):
            for reverse in (False, True):
                swept = spread(swept, axis, reverse)
        return swept, jnp.any(swept != number)

    return lax.while_loop(lambda carry: carry[1], sweep, (number, jnp.bool_(True)))[0]


def _tiled(image: Array, mask: Array, number: Array) -> Array:
    """Return one image [h w 3] with the boxes of its components tiled."""
    first = mask & (number == jnp.arange(mask.size, dtype=jnp.int32).reshape(mask.shape))

    def one_component(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        out, free, left = carry
        component = jnp.where(left, number, mask.size).min()
        mine = mask & (number == component)
        box = _box(mine)
        inside = _inside(box, mask.shape)
        filled = _filled(image, box, mask & ~mine)
        out = jnp.where((inside & free)[..., None], filled, out)
        return out, free & ~inside, left & (number != component)

    start = image, jnp.ones_like(mask), first
    return lax.while_loop(lambda carry: carry[2].any(), one_component, start)[0]


def _filled(image: Array, box: Box, others: Array) -> Array:
    """Return the image with the largest part beside the box repeated in its rows or columns."""
    rows, columns = (jnp.arange(length, dtype=jnp.int32) for length in others.shape)
    height, width = box.bottom - box.top + 1, box.right - box.left + 1
    in_rows = (rows >= box.top) & (rows <= box.bottom)
    in_columns = (columns >= box.left) & (columns <= box.right)
    above, below = _depths((others & in_columns[None]).any(axis=1), box.top, box.bottom)
    left, right = _depths((others & in_rows[:, None]).any(axis=0), box.left, box.right)
    above, below = jnp.minimum(above, height), jnp.minimum(below, height)
    left, right = jnp.minimum(left, width), jnp.minimum(right, width)
    areas = jnp.stack([above * width, below * width, left * height, right * height])
    side = areas.argmax()  # the first of equals
    depth = jnp.stack([above, below, left, right])[side]
    starts = jnp.stack([box.top - depth, box.bottom + 1, box.left - depth, box.right + 1])

    def repeated(place: Array, begin: Array, here: Array) -> Array:
        within = starts[side] + (place - begin) % jnp.maximum(depth, 1)
        return jnp.where(here, within, place).clip(0, len(place) - 1)

    from_rows = repeated(rows, box.top, in_rows & (side < 2))
    from_columns = repeated(columns, box.left, in_columns & (side >= 2))
    source = image[from_rows][:, from_columns]
    return jnp.where(depth > 0, source, jnp.asarray(GRAY, image.dtype))


def _depths(taken: Array, first: Array, last: Array) -> tuple[Array, Array]:
    """Return how many lines before `first` and after `last` come before one that is `taken`."""
    line = jnp.arange(len(taken), dtype=jnp.int32)
    before = jnp.where(taken & (line < first), line, -1).max()
    after = jnp.where(taken & (line > last), line, len(taken)).min()
    return first - 1 - before, after - 1 - last


def _box(mask: Array) -> Box:
    """Return the box around the true pixels of bool [h w]; of none an empty one."""
    ends = []
    for axis in (1, 0):
        line = jnp.arange(mask.shape[1 - axis], dtype=jnp.int32)
        has = mask.any(axis=axis)
        ends += [jnp.where(has, line, len(line)).min(), jnp.where(has, line, -1).max()]
    return Box(*ends)


def _inside(box: Box, shape: tuple[int, ...]) -> Array:
    """Return bool [h w], true in the box."""
    rows, columns = (jnp.arange(length, dtype=jnp.int32) for length in shape)
    in_rows = (rows >= box.top) & (rows <= box.bottom)
    return in_rows[:, None] & ((columns >= box.left) & (columns <= box.right))[None]

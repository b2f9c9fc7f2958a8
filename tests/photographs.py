"""Small trees of pictures in the layouts of ImageNet and Hard ImageNet, which tests make."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from jaxloop.data import breeds_table, hard_imagenet_index


def picture(draw: np.random.Generator, kind: int, size: tuple[int, int] = (24, 20)) -> Image.Image:
    """Return noise with stripes, whose width and direction are of the kind."""
    noise = draw.integers(0, 100, (size[1], size[0], 3)).astype(np.uint8)
    width = 2 + kind // 2
    axis = np.arange(size[kind % 2])[None if kind % 2 == 0 else slice(None)]
    stripes = (axis // width % 2).astype(np.uint8) * 150
    stripes = stripes if kind % 2 == 0 else stripes.reshape(-1, 1)
    return Image.fromarray(noise + stripes[..., None])


def imagenet(root: Path, train: int = 12, val: int = 4, classes: int = 3) -> Path:
    """Write pictures of the first two subclasses of the first `classes` classes of Living-17."""
    draw = np.random.default_rng(0)
    rows = [row for _, row in breeds_table.table("living17")[:classes]]
    for split, num in (("train", train), ("val", val)):
        for kind, wnid in enumerate(wnid for row in rows for wnid in row[:2]):
            folder = root / split / wnid
            folder.mkdir(parents=True)
            for i in range(num):
                picture(draw, kind).save(folder / f"{wnid}_{i}.JPEG", quality=95)
    return root


def hard_imagenet_tree(root: Path, num: int = 3) -> tuple[Path, Path]:
    """Write pictures and masks of all 15 classes -> (imagenet, masks)."""
    draw = np.random.default_rng(0)
    images, masks = root / "imagenet", root / "masks"
    for split in ("train", "val"):
        (masks / split).mkdir(parents=True)
        for kind, (wnid, _) in enumerate(hard_imagenet_index.CLASSES):
            (images / split / wnid).mkdir(parents=True)
            for i in range(num):
                name = f"{wnid}_{split}{i}.JPEG"
                picture(draw, kind, (40, 32)).save(images / split / wnid / name)
                mask = Image.new("L", (40, 32))
                ImageDraw.Draw(mask).ellipse((8 + i, 6, 25, 22), fill=255)
                # A name that ends as a JPEG's, as the authors' masks have; without its noise.
                mask.save(masks / split / f"{wnid}_{name}", format="PNG")
    return images, masks

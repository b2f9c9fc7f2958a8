"""How a picture becomes a square. What was done goes into `remarks`, keys of pictures._REMARKS."""

from PIL import Image


def _cropped(image: Image.Image, size: int, remarks: set[str]) -> Image.Image:
    """Crop to a square at the centre, then resize."""
    side = min(image.size)
    left, top = ((length - side) // 2 for length in image.size)
    if max(image.size) != side:
        remarks.add("cropped")
        image = image.crop((left, top, left + side, top + side))
    if side != size:
        remarks.add("resized")
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return image


def _center(image: Image.Image, size: int, remarks: set[str]) -> Image.Image:
    """Resize the short side to 8/7 of `size` and crop the centre, as is usual for photographs.

    One whose short side is less is cropped to a square, so that nothing is enlarged and cut.
    """
    short = round(size * 8 / 7)
    if min(image.size) < short:
        return _cropped(image, size, remarks)
    remarks.add("centred")
    width, height = (round(length * short / min(image.size)) for length in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    return image.crop((left, top, left + size, top + size))


def squashed(image: Image.Image, size: int, remarks: set[str]) -> Image.Image:
    """Resize to 8/7 of `size` (256 for 224) without regard to the aspect, then crop the centre."""
    remarks.add("squashed")
    side = round(size * 8 / 7)
    start = (side - size) // 2
    image = image.resize((side, side), Image.Resampling.BILINEAR)
    return image.crop((start, start, start + size, start + size))


FITS = {"crop": _cropped, "center": _center, "squash": squashed}

"""What the tests in a browser ask of a page of the study."""

import os

import numpy as np
import pytest

from jaxloop.provenance import sheets
from tests.review import fake
from tests.review.browser import PROGRAM

NONE = "no chromium, chromium-browser or google-chrome on the PATH (launch/browser.sh)"
in_a_browser = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason=NONE)

MARKED = "[...document.querySelectorAll('.tile')].map((tile) => tile.dataset.verdict)"
READY = "document.getElementById('progress')?.textContent"
PROBLEM = "document.getElementById('problem').textContent"
BUSY = "[...document.querySelectorAll('.tile')].map((tile) => tile.ariaBusy === 'true')"
# whether the browser would ask before leaving
HELD = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"


def rater(request) -> str:
    return request.node.name[-40:]


def seen(page) -> list[str]:
    """The names (sha256) of a page's pictures, by the pixels that the browser shows, read off a
    canvas.
    """
    colour = page.value(
        "Promise.all([...document.querySelectorAll('.tile img')].map(async (image) => {"
        "await image.decode(); const size = [image.naturalWidth, image.naturalHeight];"
        "const context = new OffscreenCanvas(...size).getContext('2d');"
        "context.drawImage(image, 0, 0);"
        "const pixel = [...context.getImageData(3, 3, 1, 1).data];"
        "return pixel.slice(0, 3).concat(size); }))"
    )
    assert {tuple(c[3:]) for c in colour} == {(fake.SIDE, fake.SIDE)}
    return [sheets.sha256(np.full((fake.SIDE, fake.SIDE, 3), c[:3], np.uint8)) for c in colour]


def marked(page) -> dict[int, str]:
    """{place: verdict} of the pictures that show one."""
    return {i: verdict for i, verdict in enumerate(page.value(MARKED)) if verdict}


def progress(page) -> str:
    return page.value("document.getElementById('progress').textContent")

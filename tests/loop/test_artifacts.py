import io

import numpy as np
import pytest
from PIL import Image

from jaxloop.filters import select
from jaxloop.loop import artifacts
from jaxloop.loop.state import Pending
from jaxloop.types import Samples

CLASSES, MADE, KEPT = 4, 9, 6


@pytest.fixture
def pending() -> Pending:
    """Images that show their class in red and their number in green; what is kept is another part of every class."""
    label = np.asarray(select.labels(MADE, CLASSES))
    image = np.zeros((len(label), 2, 2, 3), np.uint8)
    image[..., 0] = 50 * label[:, None, None]
    image[..., 1] = np.arange(len(label))[:, None, None]
    score = np.random.default_rng(0).normal(size=len(label)).astype(np.float32)
    index = np.asarray(select.best_of_each_class(score, KEPT, CLASSES))
    kept = np.zeros(len(label), bool)
    kept[index] = True
    return Pending(Samples(image, label, label % 3), score, np.bool_(False), kept, index)


def test_a_row_of_the_grid_is_a_class(pending):
    shown = artifacts.shown_by_class(pending, CLASSES)
    assert shown.shape == (CLASSES, KEPT, 2, 2, 3)
    for label in range(CLASSES):
        assert (shown[label, ..., 0] == 50 * label).all()
        numbers = shown[label, :, 0, 0, 1].tolist()
        assert numbers == sorted(numbers) and set(numbers) <= set(pending.kept_index.tolist())
    picture = np.asarray(Image.open(io.BytesIO(artifacts.grid(shown))))
    assert picture.shape == (CLASSES * 28, KEPT * 28, 3)  # 2 pixels, enlarged 14 times
    np.testing.assert_array_equal(picture[28 * 2 + 3, 28 * 4 + 20], shown[2, 4, 0, 1])


def test_provenance_tells_every_image(pending):
    lines = list(artifacts.provenance(pending, 3, 7, "uncertainty", diverged=False))
    assert [line["index"] for line in lines] == list(range(CLASSES * MADE))
    assert sum(line["kept"] for line in lines) == CLASSES * KEPT
    for line in lines:
        assert (line["born"], line["seed"], line["class"]) == (3, 7, line["index"] % CLASSES)
        assert line["score"] == pytest.approx(float(pending.score[line["index"]]))
        assert line["why"] == f"among the {'best' if line['kept'] else 'worst'} of its class by uncertainty"


def test_provenance_says_what_went_wrong(pending):
    lost = list(
        artifacts.provenance(pending._replace(lost=np.bool_(True), score=pending.score * np.nan), 3, 7, "u", False)
    )
    assert all("random choice" in line["why"] and line["score"] is None for line in lost)
    diverged = list(artifacts.provenance(pending, 3, 7, "u", diverged=True))
    assert not any(line["kept"] for line in diverged) and {line["why"] for line in diverged} == {
        "the generator diverged"
    }

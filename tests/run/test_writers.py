import io

import numpy as np
import pytest
from PIL import Image

from jaxloop import config
from jaxloop.filters import select
from jaxloop.loop.state import Pending
from jaxloop.provenance import sheets
from jaxloop.run import writers as artifacts
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
    index = np.asarray(select.best(score, KEPT, CLASSES))
    kept = np.zeros(len(label), bool)
    kept[index] = True
    return Pending(
        Samples(image, label, label % 3), score, {"clip": score * 2}, np.bool_(False), kept, index
    )


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


def test_a_class_of_which_nothing_was_kept_is_a_black_row(pending):
    index = pending.kept_index[pending.samples.label[pending.kept_index] != 2]
    shown = artifacts.shown_by_class(pending._replace(kept_index=index[1:]), CLASSES)
    assert shown.shape[1] == KEPT and not shown[2].any() and shown[3].any()
    np.testing.assert_array_equal(shown[0, -1], 0)  # one fewer than the others


def test_provenance_tells_every_image(pending):
    lines = list(artifacts.provenance(pending, 3, 7))
    assert [line["index"] for line in lines] == list(range(CLASSES * MADE))
    for line, image, score in zip(
        lines, pending.samples.image, pending.score.tolist(), strict=True
    ):
        assert (line["born"], line["seed"], line["class"]) == (3, 7, line["index"] % CLASSES)
        assert (
            line["score"] == score
            and line["scores"] == {"clip": 2 * score}
            and line["kept"] is None
        )
        assert line["sha256"] == sheets.sha256(image)
    lost = artifacts.provenance(pending._replace(score=pending.score * np.nan, scores={}), 3, 7)
    assert {line["score"] for line in lost} == {None}


def test_the_verdict_has_a_reason(pending):
    def why(pending=pending, ranking="class", diverged=False):
        return artifacts.why(
            config.Filter(name="clip", ranking=ranking), pending, CLASSES, diverged
        )

    words = np.where(pending.kept, "best", "worst")
    assert why() == [f"among the {word} of its class by clip" for word in words]
    assert why(ranking="all") == [f"among the {word} by clip" for word in words]
    assert set(why(pending._replace(lost=np.bool_(True)))) == {
        "a random choice: the classifier that scores diverged"
    }
    assert set(why(diverged=True)) == {"the generator diverged"}


def test_equal_scores_are_no_judgement(pending):
    """Class 0: nine alike, of which six are kept. Class 1: two alike, both dropped, the lowest of their class."""
    score = pending.score.copy()
    score[0::CLASSES] = 1.0
    lowest = np.flatnonzero(~pending.kept[1::CLASSES])[:2]
    score[1::CLASSES][lowest] = -9.0
    index = np.asarray(select.best(score, KEPT, CLASSES))
    kept = np.zeros_like(pending.kept)
    kept[index] = True
    said = artifacts.why(
        config.Filter(name="human"), pending._replace(score=score, kept=kept), CLASSES, False
    )
    assert said[0::CLASSES] == [
        "among the best of its class by human: of several with its score the earlier"
    ] * KEPT + ["among the worst of its class by human: of several with its score the later"] * (
        MADE - KEPT
    )
    assert not any("several" in reason for i, reason in enumerate(said) if i % CLASSES)

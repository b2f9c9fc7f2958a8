import io

import numpy as np
import pytest
from PIL import Image

from jaxloop.filters import select
from jaxloop.loop.state import Selection
from jaxloop.provenance import sheets
from jaxloop.run import writers
from jaxloop.types import Samples

CLASSES, GENERATED, KEPT = 4, 9, 6
RANKED = np.asarray(select.labels([GENERATED] * CLASSES))


@pytest.fixture
def samples() -> Samples:
    """Images that show their class in red and their number in green."""
    label = RANKED
    image = np.zeros((len(label), 2, 2, 3), np.uint8)
    image[..., 0] = 50 * label[:, None, None]
    image[..., 1] = np.arange(len(label))[:, None, None]
    return Samples(image, label, label % 3)


@pytest.fixture
def selection(samples) -> Selection:
    """What is kept is another part of every class."""
    score = np.random.default_rng(0).normal(size=len(samples.label)).astype(np.float32)
    return chosen(Selection(score, {"clip": score * 2}, np.bool_(False), None, None))


def chosen(selection: Selection) -> Selection:
    index = np.asarray(select.best(selection.score, RANKED, [KEPT] * CLASSES))
    kept = np.zeros(len(selection.score), bool)
    kept[index] = True
    return selection._replace(kept=kept, kept_index=index)


def test_a_row_of_the_grid_is_a_class(samples, selection):
    rows = writers.by_class(samples, selection.kept_index, CLASSES)
    assert rows.shape == (CLASSES, KEPT, 2, 2, 3)
    for label in range(CLASSES):
        assert (rows[label, ..., 0] == 50 * label).all()
        numbers = rows[label, :, 0, 0, 1].tolist()
        assert numbers == sorted(numbers) and set(numbers) <= set(selection.kept_index.tolist())
    picture = np.asarray(Image.open(io.BytesIO(writers.grid(rows))))
    assert picture.shape == (CLASSES * 28, KEPT * 28, 3)  # 2 pixels, enlarged 14 times
    np.testing.assert_array_equal(picture[28 * 2 + 3, 28 * 4 + 20], rows[2, 4, 0, 1])


def test_a_class_of_which_nothing_was_kept_is_a_black_row(samples, selection):
    index = selection.kept_index[samples.label[selection.kept_index] != 2]
    rows = writers.by_class(samples, index[1:], CLASSES)
    assert rows.shape[1] == KEPT and not rows[2].any() and rows[3].any()
    np.testing.assert_array_equal(rows[0, -1], 0)  # one fewer than the others


def test_provenance_has_a_line_for_every_image(samples, selection):
    lines = list(writers._lines(samples, selection, 3, 7))
    assert [line["index"] for line in lines] == list(range(CLASSES * GENERATED))
    for line, image, score in zip(lines, samples.image, selection.score.tolist(), strict=True):
        assert (line["born"], line["seed"], line["class"]) == (3, 7, line["index"] % CLASSES)
        assert (line["score"], line["scores"]) == (score, {"clip": 2 * score})
        assert line["kept"] is None and line["sha256"] == sheets.sha256(image)
    unscored = selection._replace(score=selection.score * np.nan, by_expert={})
    assert {line["score"] for line in writers._lines(samples, unscored, 3, 7)} == {None}


def test_every_choice_has_a_reason(selection):
    words = np.where(selection.kept, "best", "worst").tolist()
    assert writers.choice_reasons(selection, RANKED, False) == words
    assert set(writers.choice_reasons(selection, RANKED * 0, True)) == {"generator_diverged"}
    unscored = selection._replace(unscored=np.bool_(True))
    assert set(writers.choice_reasons(unscored, RANKED, False)) == {"random_choice"}


def test_ties_are_told_apart_from_judgements(selection):
    """Class 0: nine alike, six of them kept. Class 1: two alike, both dropped, lowest of the
    class."""
    score = selection.score.copy()
    score[0::CLASSES] = 1.0
    score[1::CLASSES][np.flatnonzero(~selection.kept[1::CLASSES])[:2]] = -9.0
    reasons = writers.choice_reasons(chosen(selection._replace(score=score)), RANKED, False)
    assert reasons[0::CLASSES] == ["best_tie"] * KEPT + ["worst_tie"] * (GENERATED - KEPT)
    assert not any("tie" in reason for i, reason in enumerate(reasons) if i % CLASSES)

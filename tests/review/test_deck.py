"""Which pictures a rater sees: the share, the order, and nothing that tells."""

import numpy as np
import pytest

from jaxloop.provenance.votes import Vote
from jaxloop.review import deck
from jaxloop.review.deck import Picture

GENERATIONS = 4


def made(num: int, classes: int = 2) -> list[Picture]:
    return [Picture(f"made{i}", i % classes, False, 1, 0, i) for i in range(num)]


def stock(num: int, classes: int = 2) -> list[dict]:
    return [{"index": i, "class": i % classes, "sha256": f"taken{i}"} for i in range(num)]


def test_generated_pictures_are_there_once_and_their_order_is_that_of_the_lines():
    line = {"sha256": "a", "class": 0, "born": 2, "seed": 5, "index": 0}
    lines = [line, line | {"index": 1, "sha256": "b"}, line | {"index": 2}, line | {"index": 3, "class": 1}]
    assert deck.generated(lines) == [
        ("a", 0, False, 2, 5, 0), ("b", 0, False, 2, 5, 1), ("a", 1, False, 2, 5, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "of_class"), [(0.0, 0), (0.2, 10), (0.5, 40)])
def test_each_class_is_mixed_with_the_share(share, of_class):
    pictures = made(80)
    real = deck.real(stock(400), pictures, share, 1, GENERATIONS)
    assert [sum(p.class_ == c for p in real) for c in (0, 1)] == [of_class, of_class]
    assert len(real) == pytest.approx(share * (len(real) + 80))
    assert all(p.real and p.generation is None and p.seed is None for p in real)
    assert {(p.sha256, p.index) for p in real} <= {(line["sha256"], line["index"]) for line in stock(400)}


def test_no_real_picture_is_in_two_generations_and_each_has_its_part_of_few():
    parts = [deck.real(stock(23), made(80), 0.5, generation, GENERATIONS) for generation in range(1, GENERATIONS + 1)]
    assert [len(part) for part in parts] == [6, 6, 6, 5]  # of 12 of class 0 and 11 of class 1, dealt in turn
    assert len({p for part in parts for p in part}) == 23


def test_a_copy_of_a_generated_picture_is_not_mixed_in():
    lines = [{"index": 0, "class": 0, "sha256": "made0"}, {"index": 1, "class": 0, "sha256": "taken"}]
    assert [p.sha256 for p in deck.real(lines, made(8), 0.5, 1, 1)] == ["taken"]


def test_the_order_is_the_rater_and_generation_s_alone():
    pictures = made(50)
    order = deck.shuffled(pictures, "ada", 1)
    assert sorted(order) == sorted(pictures)
    assert order == deck.shuffled(pictures[::-1], "ada", 1)
    assert order != deck.shuffled(pictures, "bob", 1)
    assert order != deck.shuffled(pictures, "ada", 2)


def test_no_place_in_the_order_tells_a_real_picture():
    pictures = made(40) + deck.real(stock(200), made(40), 0.2, 1, GENERATIONS)
    is_real = np.array([[p.real for p in deck.shuffled(pictures, f"rater {i}", 1)] for i in range(1000)])
    # Binomial: a place's share over 1000 raters has a deviation of 0.013; 4.5 of it for the largest of 50 places.
    np.testing.assert_allclose(is_real.mean(axis=0), 0.2, atol=0.057)


def test_pages_hold_all_in_order():
    pictures = made(2 * deck.PAGE + 1)
    pages = deck.pages(pictures)
    assert [len(page) for page in pages] == [deck.PAGE, deck.PAGE, 1]
    assert [p for page in pages for p in page] == pictures


def test_an_identity_needs_the_secret_and_tells_nothing():
    one, other = made(2)
    identity = deck.identity(b"secret", one)
    assert identity == deck.identity(b"secret", one)
    assert len({identity, deck.identity(b"another", one), deck.identity(b"secret", other)}) == 3
    assert identity != deck.identity(b"secret", one._replace(class_=5))
    # Whether a picture is real, and where it lies, goes not into it.
    assert identity == deck.identity(b"secret", one._replace(real=True, generation=None, seed=None, index=7))
    assert set(identity) <= set("0123456789abcdef")


def test_the_last_vote_that_stands_is_the_rater_s_own_and_on_the_deck():
    one, two, three = made(3)

    def vote(picture, verdict, rater="ada"):
        return Vote("", rater, picture.sha256, picture.class_, verdict, *picture[2:])

    given = [vote(one, "keep"), vote(two, "drop"), vote(three, "keep"), vote(one, "keep", "bob")]
    assert deck.latest(given, "ada", [one, two, three]) == three
    assert deck.latest(given, "ada", [one, two]) == two
    assert deck.latest([*given, vote(three, "undo")], "ada", [one, two, three]) == two
    assert deck.latest([*given, vote(three, "undo"), vote(two, "undo"), vote(one, "drop")], "ada", [one, two]) == one
    assert deck.latest(given, "eve", [one, two, three]) is None

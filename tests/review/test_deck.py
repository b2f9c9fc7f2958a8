"""Which pictures a rater sees: the share, the order, and nothing that tells."""

from collections import Counter

import numpy as np
import pytest

from jaxloop.provenance.votes import Vote, standing
from jaxloop.review import deck
from jaxloop.review.deck import Picture

GENERATIONS = 4


def made(num: int, classes: int = 2) -> list[Picture]:
    return [Picture(f"made{i}", i % classes, False, 1, 0, i) for i in range(num)]


def stock(num: int, classes: int = 2) -> list[dict]:
    return [{"index": i, "class": i % classes, "sha256": f"taken{i}"} for i in range(num)]


def test_generated_pictures_are_there_once_and_their_order_is_that_of_the_lines():
    line = {"sha256": "a", "class": 0, "born": 2, "seed": 5, "index": 0}
    lines = [
        line,
        line | {"index": 1, "sha256": "b"},
        line | {"index": 2},
        line | {"index": 3, "class": 1},
    ]
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
    assert {(p.sha256, p.index) for p in real} <= {
        (line["sha256"], line["index"]) for line in stock(400)
    }


def test_no_real_picture_is_in_two_generations_and_each_has_its_part_of_few():
    parts = [
        deck.real(stock(23), made(80), 0.5, generation, GENERATIONS)
        for generation in range(1, GENERATIONS + 1)
    ]
    assert [len(part) for part in parts] == [
        6,
        6,
        6,
        5,
    ]  # of 12 of class 0 and 11 of class 1, dealt in turn
    assert len({p for part in parts for p in part}) == 23


def test_a_copy_of_a_generated_picture_is_not_mixed_in():
    lines = [
        {"index": 0, "class": 0, "sha256": "made0"},
        {"index": 1, "class": 0, "sha256": "taken"},
    ]
    assert [p.sha256 for p in deck.real(lines, made(8), 0.5, 1, 1)] == ["taken"]


def of_seeds(num: int, classes: int, seeds: int = 3) -> list[Picture]:
    return [
        Picture(f"made{seed} {i}", i % classes, False, 1, seed, i)
        for seed in range(seeds) for i in range(num)
    ]  # fmt: skip


def test_few_real_pictures_make_a_block_with_the_share_evenly_over_classes_and_seeds():
    """As at the paper's size: more is generated than the real pictures can be mixed into."""
    generated = of_seeds(200, classes=4)
    real = deck.real(stock(80, 4), generated, 0.2, 1, GENERATIONS)
    block = deck.block(generated, real, 0.2)
    chosen = [picture for picture in block if not picture.real]
    assert len(real) == 20 and set(block) == {*real, *chosen} and set(chosen) < set(generated)
    assert Counter(p.class_ for p in chosen) == dict.fromkeys(
        range(4), 20
    )  # as many as leave a class's five the share
    seeds = Counter((p.class_, p.seed) for p in chosen)
    assert set(seeds.values()) == {6, 7} and len(seeds) == 12
    assert (
        len({sorted(seeds, key=lambda at: -seeds[at])[i][1] for i in range(8)}) > 1
    )  # not always the first seed's
    assert np.ptp([p.index for p in chosen]) > 150  # and not the first images
    assert sorted(deck.block(generated[::-1], real, 0.2), key=repr) == sorted(block, key=repr)


def test_all_is_in_the_block_where_real_pictures_are_enough_or_none_are_asked_for():
    generated = of_seeds(29, classes=2)
    real = deck.real(stock(400), generated, 0.2, 1, GENERATIONS)
    assert sorted(deck.block(generated, real, 0.2), key=repr) == sorted(
        [*real, *generated], key=repr
    )
    assert sorted(deck.block(generated, [], 0.0)) == sorted(generated)


def test_a_class_without_real_pictures_stays_out_of_the_block():
    """Else its every picture would be known to be generated."""
    generated = made(80)
    real = deck.real(
        [line for line in stock(400) if line["class"] == 1][:12], generated, 0.2, 1, GENERATIONS
    )
    assert Counter((p.class_, p.real) for p in deck.block(generated, real, 0.2)) == {
        (1, True): 3,
        (1, False): 12,
    }


def test_a_deck_has_the_block_first_and_no_page_has_both():
    pictures = made(100)
    block, rest = pictures[:50], pictures[50:]
    ada, bob = (deck.dealt(block, rest, 1, rater) for rater in ("ada", "bob"))
    assert sorted(ada.block) == sorted(bob.block) == sorted(block) and sorted(
        ada.remainder
    ) == sorted(rest)
    assert ada.block != bob.block and ada.remainder != bob.remainder
    assert [len(page) for page in ada.pages] == [40, 10, 40, 10]
    assert [p for page in ada.pages for p in page] == ada.block + ada.remainder
    places = (ada.block[39], ada.block[40], ada.remainder[39], ada.remainder[49])
    assert [ada.page(picture) for picture in places] == [1, 2, 3, 4]


def test_the_order_is_the_rater_and_generation_s_alone():
    pictures = made(50)
    order = deck.shuffled(pictures, "ada", 1)
    assert sorted(order) == sorted(pictures)
    assert order == deck.shuffled(pictures[::-1], "ada", 1)
    assert order != deck.shuffled(pictures, "bob", 1)
    assert order != deck.shuffled(pictures, "ada", 2)


def test_no_place_in_the_order_tells_a_real_picture():
    pictures = made(40) + deck.real(stock(200), made(40), 0.2, 1, GENERATIONS)
    is_real = np.array(
        [[p.real for p in deck.shuffled(pictures, f"rater {i}", 1)] for i in range(1000)]
    )
    # Binomial: a place's share over 1000 raters has a deviation of 0.013; 4.5 of it for the
    # largest of 50 places.
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
    assert identity == deck.identity(
        b"secret", one._replace(real=True, generation=None, seed=None, index=7)
    )
    assert set(identity) <= set("0123456789abcdef")


def test_the_last_vote_that_stands_is_the_rater_s_own_and_on_the_deck():
    one, two, three = made(3)

    def vote(picture, verdict, rater="ada"):
        return Vote("", rater, picture.sha256, picture.class_, verdict, *picture[2:])

    def latest(given, rater, pictures):
        return deck.latest(standing(given), rater, pictures)

    given = [vote(one, "keep"), vote(two, "drop"), vote(three, "keep"), vote(one, "keep", "bob")]
    assert latest(given, "ada", [one, two, three]) == three
    assert latest(given, "ada", [one, two]) == two
    assert latest([*given, vote(three, "undo")], "ada", [one, two, three]) == two
    assert (
        latest(
            [*given, vote(three, "undo"), vote(two, "undo"), vote(one, "drop")], "ada", [one, two]
        )
        == one
    )
    assert latest(given, "eve", [one, two, three]) is None

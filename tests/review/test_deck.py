"""Which pictures a rater sees: the share, the order, and nothing that tells."""

from collections import Counter

import numpy as np
import pytest

from jaxloop.review import deck
from jaxloop.review.deck import Picture

GENERATIONS = 4


def made(num: int, classes: int = 2) -> list[Picture]:
    return [Picture(f"made{i}", i % classes, False, 1, 0, i) for i in range(num)]


def stock(num: int, classes: int = 2) -> list[dict]:
    return [{"index": i, "class": i % classes, "sha256": f"taken{i}"} for i in range(num)]


def real(lines, generated, share, generation, last) -> list[Picture]:
    """The real pictures of a block."""
    return [p for p in deck.block(generated, lines, share, generation, last) if p.real]


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
    mixed = real(stock(400), pictures, share, 1, GENERATIONS)
    assert [sum(p.class_ == c for p in mixed) for c in (0, 1)] == [of_class, of_class]
    assert len(mixed) == pytest.approx(share * (len(mixed) + 80))
    assert all(p.generation is None and p.seed is None for p in mixed)
    assert {(p.sha256, p.index) for p in mixed} <= {
        (line["sha256"], line["index"]) for line in stock(400)
    }


def test_no_real_picture_is_in_two_generations_and_each_has_its_part_of_few():
    parts = [
        real(stock(23), made(80), 0.5, generation, GENERATIONS)
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
    assert [p.sha256 for p in real(lines, made(8), 0.5, 1, 1)] == ["taken"]


def of_seeds(num: int, classes: int, seeds: int = 3) -> list[Picture]:
    return [
        Picture(f"made{seed} {i}", i % classes, False, 1, seed, i)
        for seed in range(seeds) for i in range(num)
    ]  # fmt: skip


def test_few_real_pictures_make_a_block_with_the_share_evenly_over_classes_and_seeds():
    """As at the paper's size: more is generated than the real pictures can be mixed into."""
    generated = of_seeds(200, classes=4)
    block = deck.block(generated, stock(80, 4), 0.2, 1, GENERATIONS)
    chosen = [picture for picture in block if not picture.real]
    assert len(block) == 20 + len(chosen) and set(chosen) < set(generated)
    assert Counter(p.class_ for p in chosen) == dict.fromkeys(
        range(4), 20
    )  # as many as leave a class's five the share
    seeds = Counter((p.class_, p.seed) for p in chosen)
    assert set(seeds.values()) == {6, 7} and len(seeds) == 12
    assert (
        len({sorted(seeds, key=lambda at: -seeds[at])[i][1] for i in range(8)}) > 1
    )  # not always the first seed's
    assert np.ptp([p.index for p in chosen]) > 150  # and not the first images
    again = deck.block(generated[::-1], stock(80, 4), 0.2, 1, GENERATIONS)
    assert sorted(again, key=repr) == sorted(block, key=repr)


def test_all_is_in_the_block_where_real_pictures_are_enough_or_none_are_asked_for():
    generated = of_seeds(29, classes=2)
    block = deck.block(generated, stock(400), 0.2, 1, GENERATIONS)
    assert sorted(p for p in block if not p.real) == sorted(generated)
    assert len(block) == len(generated) + 22
    assert sorted(deck.block(generated, stock(400), 0.0, 1, GENERATIONS)) == sorted(generated)


def test_a_class_without_real_pictures_stays_out_of_the_block():
    """Else its every picture would be known to be generated."""
    few = [line for line in stock(400) if line["class"] == 1][:12]
    assert Counter((p.class_, p.real) for p in deck.block(made(80), few, 0.2, 1, GENERATIONS)) == {
        (1, True): 3,
        (1, False): 12,
    }


def test_pages_are_of_the_block_first_in_the_rater_s_order_and_none_has_both():
    pictures = made(101)
    parts = {False: pictures[:50], True: pictures[50:]}
    ada, bob = (deck.dealt(parts[False], parts[True], 1, rater) for rater in ("ada", "bob"))
    for pages in (ada, bob):
        assert [(page.number, page.is_rest) for page in pages] == [
            (1, False), (2, False), (3, True), (4, True)
        ]  # fmt: skip
        assert [len(page.pictures) for page in pages] == [40, 10, 40, 11]
    for is_rest, part in parts.items():
        orders = [
            [p for page in pages if page.is_rest == is_rest for p in page.pictures]
            for pages in (ada, bob)
        ]
        assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]) == sorted(part)
        assert orders[0] == deck.shuffled(part, "ada", 1)


def test_the_order_is_the_rater_and_generation_s_alone():
    pictures = made(50)
    order = deck.shuffled(pictures, "ada", 1)
    assert sorted(order) == sorted(pictures)
    assert order == deck.shuffled(pictures[::-1], "ada", 1)
    assert order != deck.shuffled(pictures, "bob", 1)
    assert order != deck.shuffled(pictures, "ada", 2)


def test_no_place_in_the_order_tells_a_real_picture():
    pictures = made(40) + real(stock(200), made(40), 0.2, 1, GENERATIONS)
    is_real = np.array(
        [[p.real for p in deck.shuffled(pictures, f"rater {i}", 1)] for i in range(1000)]
    )
    # Binomial: a place's share over 1000 raters has a deviation of 0.013; 4.5 of it for the
    # largest of 50 places.
    np.testing.assert_allclose(is_real.mean(axis=0), 0.2, atol=0.057)

"""Block and rest: where more is generated than the real pictures can be mixed into, as at the
paper's size.
"""

import html
import re
import time

import pytest

from jaxloop.provenance import votes
from jaxloop.review import material
from tests.review import fake
from tests.review.client import Client


@pytest.fixture
def few(tmp_path):
    """Twelve real pictures, four of them for each generation: beside 16 generated ones, with 44
    left over.
    """
    return fake.write(tmp_path / "few", num_real=12, name="human")


def said(client, path: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", client.get(path).text)))


def test_raters_vote_on_the_same_block_first_each_in_an_own_order(few, make):
    ada, bob = (Client(make(few), rater) for rater in ("ada", "bob"))
    pages = [client.served.pages(client.rater) for client in (ada, bob)]
    blocks = [own[0].pictures for own in pages]
    assert sorted(blocks[0]) == sorted(blocks[1]) and blocks[0] != blocks[1]
    assert len(blocks[0]) == 20 and sum(p.real for p in blocks[0]) == 4
    rest = [p for page in pages[0][1:] for p in page.pictures]
    assert len(rest) == 44 and not any(p.real for p in rest)
    assert ada.served.pages("ada") is pages[0]  # shuffled once
    for client, block in zip((ada, bob), blocks, strict=True):
        # and no page of the rest yet
        assert [picture for picture, _ in client.shown()] == block
        assert client.get("/rest").location == client.get("/page/2").location == "/"
        assert "Part 1 of 2, the study: 20 pictures, the same for everybody" in said(
            client, "/page/1"
        )
        client.vote_on_all()
    agreement = re.search(
        r"On (\d+) pictures that two raters or more voted on", said(ada, "/summary")
    )
    assert agreement[1] == "20"


def test_the_study_is_done_with_the_block_and_the_rest_waits_with_the_run(few, make):
    client = Client(make(few))
    block, rest = client.served.material.block, client.served.material.remainder
    for picture in block[:-1]:
        client.vote(picture)
    assert "Enough" not in said(client, "/page/1") and "19 of 20" in said(client, "/summary")
    client.vote(rest[0])  # which no page offers yet
    client.vote(block[-1])
    assert [vote.blind for vote in votes.read(few)] == [True] * 19 + [False, True]
    client.post("/undo")
    client.post("/undo")
    client.vote(block[-1])
    assert client.get("/").location == "/summary"
    told = said(client, "/summary")
    assert (
        "The study is done" in told
        and "16 of them were generated, 4 were real training images (20.0 %)" in told
    )
    assert (
        "The rest of this generation, 44 pictures, all of them generated, still waits for votes; 0 "
        "have yours" in told
    )
    assert "So far 16 of 60 have one" in told
    assert client.get("/rest").location == "/page/2"
    page = said(client, "/page/2")
    assert "Part 2 of 2, the rest. The study is done; these 44 pictures are all generated" in page
    assert "not made by a model" not in page
    assert (
        'data-num="44"' in client.get("/page/2").text
        and 'data-pages="2"' in client.get("/page/2").text
    )

    for picture in client.served.pages("ada")[1].pictures:
        client.vote(picture)
    assert client.get("/rest").location == "/page/3"
    assert [vote.blind for vote in votes.read(few)][-40:] == [False] * 40
    for picture in rest:
        client.vote(picture)
    assert client.get("/rest").location == "/summary"
    assert "needs no more votes" in said(client, "/summary") and "Enough pictures" in said(
        client, "/summary"
    )
    assert "16 of them were generated" in said(
        client, "/summary"
    )  # the summary is of the block as before
    assert client.post("/undo").json["page"] in (2, 3)


def test_a_run_that_does_not_wait_asks_for_nothing_more(tmp_path, make):
    client = Client(make(fake.write(tmp_path / "few", num_real=12)))
    client.vote_on_all()
    assert "44 pictures, all of them generated, is not part of the study" in said(
        client, "/summary"
    )
    assert "/rest" not in client.get("/summary").text


def test_that_enough_is_voted_on_is_told_to_who_is_done_with_the_block(tmp_path, make):
    """Else it tells, to who still votes, that no generated picture is among those that are left."""
    workdir = fake.write(tmp_path / "all", name="human")  # all in the block
    ada, bob = (Client(make(workdir), rater) for rater in ("ada", "bob"))
    for picture in ada.served.material.block:
        if not picture.real:
            ada.vote(picture)
    for rater in (ada, bob):
        assert "Enough" not in said(rater, "/page/1") and "So far" not in said(rater, "/page/1")
        assert "How far that is, you will see when you are done" in said(rater, "/page/1")
    ada.vote_on_all()
    assert "Enough pictures are voted on" in said(ada, "/page/1")
    assert "Enough" not in said(bob, "/page/1")


def test_broken_lines_of_votes_are_told(client):
    client.vote_on_all()
    with open(client.served.material.workdir / "votes.jsonl", "a") as file:
        file.write('{"time": "20\n{"time": "20')
    assert "cut short, are left out: 2." in said(client, "/summary")


def test_a_summary_of_many_votes_takes_no_longer_than_to_look_at_each(client):
    """Of 12,000 raters' votes: under a second; it was minutes when each was read for each.

    The limit leaves room for slow machines and for coverage.
    """
    picture = client.served.material.block[0]
    line = votes.Vote("2026-01-31T12:00:00+00:00", "", *picture[:2], "keep", *picture[2:])
    client.vote_on_all()
    path = client.served.material.workdir / "votes.jsonl"
    votes.append(path.parent, line)
    last = path.read_text().splitlines()[-1]
    with open(path, "a") as file:
        file.writelines(
            last.replace('"rater": ""', f'"rater": "rater {i}"') + "\n" for i in range(12_000)
        )
    client.get("/page/1")  # reads them
    before = time.process_time()
    assert "rater 11999" in client.get("/summary").text
    assert time.process_time() - before < 15


def test_nobody_waits_for_votes_on_what_a_diverged_generator_made(tmp_path):
    run = fake.write(tmp_path / "run", name="human")
    of = material.load(run, 2, 0.0)
    assert of.progress([]) == (0, 60, 30, False)
    file = run / "provenance" / "g02_s1.jsonl"
    file.write_text(file.read_text().replace('"kept": null', '"kept": false'))
    assert material.load(run, 2, 0.0).progress([]) == (0, 30, 15, False)

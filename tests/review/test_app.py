"""What the pages say and take, without a browser."""

import html
import io
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from jaxloop.provenance import store, votes
from jaxloop.review import app
from tests.review import fake
from tests.review.client import Client


def test_a_name_comes_first(make):
    nobody = Client(make(), rater="")
    assert nobody.get("/").location == "/name" == nobody.get("/page/1").location
    assert nobody.vote(nobody.served.material.pictures[0]).status_code == 403
    for name in ("", "  ", "x" * 41, "a\nb", None, 5):
        assert nobody.post("/name", name=name).status_code == 400
    assert nobody.post("/name", name=" Ada Šu ").status_code == 200
    assert nobody.get("/").location == "/page/1"
    assert "Ada Šu" in nobody.get("/page/1").text


def test_the_server_s_own_rater_needs_no_form(make):
    client = Client(make(rater="eve"))
    assert client.get("/").location == "/page/1"
    assert client.get("/name").status_code == 404
    client.vote(client.served.material.pictures[0])
    assert [v.rater for v in votes.read(client.served.material.workdir)] == ["eve"]


def test_the_last_generation_is_shown_all_of_it_with_the_share(client):
    shown = [picture for picture, _ in client.shown()]
    made = sorted((i % 2, False, 2, seed, i) for seed in (0, 1) for i in range(30))
    assert sorted(p[1:] for p in shown if not p.real) == made
    assert sum(p.real for p in shown) == 16  # of each class 7.5 make a fifth of 37.5: eight
    assert len(set(shown)) == len(shown) == 76


def test_pictures_are_the_run_s_own(client):
    sheets = {seed: store.pictures(client.served.material.workdir, 2, seed) for seed in (0, 1)}
    sheets[None] = store.real(client.served.material.workdir)[1]
    for identity, picture in client.served.picture.items():
        answer = client.get(f"/pictures/{identity}.png")
        assert answer.mimetype == "image/png"
        image = np.array(Image.open(io.BytesIO(answer.data)))
        np.testing.assert_array_equal(image, sheets[picture.seed][picture.index])


def test_another_start_keeps_order_and_votes_under_other_names(client, make):
    for picture, _ in client.shown()[:45]:
        client.vote(picture, "drop")
    again = Client(make())
    assert again.shown() == client.shown()
    assert [verdict for _, verdict in again.shown()] == ["drop"] * 45 + [""] * 31
    assert again.get("/").location == "/page/2"  # where the rater was
    assert not set(again.served.picture) & set(client.served.picture)


def test_raters_have_their_own_order_and_see_no_others_votes(client, make):
    client.vote_on_all()
    bob = Client(make(), rater="bob")
    assert [p for p, _ in bob.shown()] != [p for p, _ in client.shown()]
    assert sorted(map(repr, bob.shown())) == sorted(repr((p, "")) for p, _ in client.shown())
    assert not any(
        re.search(r"\bada\b", bob.get(path).text) for path in ("/page/1", "/summary", "/audit")
    )
    assert bob.get("/").location == "/page/1"


def test_nothing_that_is_sent_tells_which_are_real(make, workdir):
    """The word is nowhere; tiles, headers and answers of real and generated pictures differ in
    nothing but names.

    The pictures are as different as may be: real ones of one colour, generated ones of noise.
    """
    client = Client(make(fake.write(workdir.parent / "waiting", name="human", look=fake.noise)))
    real, generated = (
        next(p for p in client.served.material.pictures if p.real is side) for side in (True, False)
    )
    said = []
    for picture in (real, generated):
        answer = client.vote(picture, "drop")
        notice = re.search(r'<p class="notice">.*?</p>', client.get("/page/1").text, re.DOTALL)[0]
        said.append((answer.status_code, answer.text, answer.headers, notice))
    assert said[0] == said[1]
    undone = client.post("/undo")
    assert set(undone.json) == {"picture", "page"}

    pages = [client.get(path) for path in ("/page/1", "/page/2", "/summary", "/audit", "/name")]
    statics = [
        client.get(f"/static/{path.name}")
        for path in Path(app.__file__).with_name("static").iterdir()
    ]
    for answer in (*pages, *statics, undone):
        assert answer.status_code == 200
        assert not re.search(r"\breal\b", answer.text, re.IGNORECASE)
        assert not any(p.sha256 in answer.text for p in client.served.material.pictures)
    tiles = re.findall(r"<button.*?</button>", pages[1].text, re.DOTALL)
    shapes = {
        re.sub(r'p-\w+|/pictures/\w+|"\d+"|zero|one', "", tile)
        for tile in tiles
        if "/pictures/" in tile
    }
    assert len(shapes) == 1
    headers = {
        tuple((k, v) for k, v in client.get(f"/pictures/{i}.png").headers)
        for i in client.served.picture
    }
    assert len(headers) == 1 and "Content-Length" in str(headers)


def test_a_vote_is_in_the_file_before_the_answer(client, monkeypatch):
    workdir, pictures = client.served.material.workdir, client.served.material.pictures
    assert client.vote(pictures[0], "drop").json == {"verdict": "drop"}
    assert client.vote(pictures[-1], "keep").json == {"verdict": "keep"}
    first, last = votes.read(workdir)
    assert first[1:] == ("ada", *pictures[0][:2], "drop", True, None, None, pictures[0].index, True)
    assert last[1:] == ("ada", *pictures[-1][:2], "keep", False, 2, *pictures[-1][4:], True)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(votes, "append", full)
    refused = client.vote(pictures[1], "drop")
    assert refused.status_code == 500 and "No space left" in refused.json["error"]
    monkeypatch.undo()
    assert len(votes.read(workdir)) == 2


def test_undo_takes_the_last_vote_back_and_says_where_it_was(client):
    (first, _), (second, _), *_, (last, _) = client.shown()
    for picture in (first, last, second):
        client.vote(picture, "drop")
    client.vote(first, "keep")  # now the last one
    undone = [client.post("/undo").json for _ in range(3)]
    assert [client.served.picture[answer["picture"]] for answer in undone] == [first, second, last]
    assert [answer["page"] for answer in undone] == [1, 1, 2]
    assert votes.standing(votes.read(client.served.material.workdir)) == {}
    assert client.post("/undo").status_code == 409


def test_undo_is_of_the_rater_s_own_votes_on_the_generation_that_is_shown(client, make):
    picture = client.served.material.pictures[0]
    client.vote(picture)
    Client(make(), rater="bob").vote(picture)
    other = Client(make(generation=1))
    other.vote(other.served.material.pictures[-1])
    assert client.served.picture[client.post("/undo").json["picture"]] == picture
    assert client.post("/undo").status_code == 409
    assert {key[0] for key in votes.standing(votes.read(client.served.material.workdir))} == {
        "ada", "bob"
    }  # fmt: skip


def test_the_summary_opens_when_all_is_voted_on(client, make):
    hits = {
        p for p in client.served.material.pictures if not p.real and p.index < 15
    }  # half of the generated ones
    alarms = {p for p in client.served.material.pictures if p.real}
    alarms = set(sorted(alarms)[:4])  # a quarter of the 16 others
    last = client.served.material.pictures[-1]
    for picture in client.served.material.pictures[:-1]:
        client.vote(picture, "drop" if picture in hits | alarms else "keep")
    closed = client.get("/summary").text
    assert "75 of 76" in closed and "balanced" not in closed and "/summary" not in closed
    client.vote(last, "drop" if last in alarms else "keep")
    assert client.get("/").location == "/summary"
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", client.get("/summary").text)))
    assert "60 of them were generated, 16 were real" in text
    assert "real training images (21.1 %)" in text and "left out" not in text
    assert "ada 50.0 % of 60 25.0 % of 16 62.5 % [" in text  # (0.5 + 1 - 0.25) / 2
    assert "60 of the generation’s 60 images have a vote" in text
    assert "No image has votes of two raters." in text

    bob = Client(make(), rater="bob")
    bob.vote_on_all(lambda picture: "drop" if picture in hits | alarms else "keep")
    text = re.sub(r"\s+", " ", client.get("/summary").text)
    assert "100.0 % of their pairs of votes" in text and "alpha is 1.00" in text


def test_the_audit_warns_then_shows_bins_and_says_what_has_no_score(client):
    closed = client.get("/audit").text
    assert "no longer votes blind" in closed and "/pictures/" not in closed
    page = client.get("/audit?open=yes").text
    tiles = [client.served.picture[i] for i in re.findall(r'id="p-(\w+)"', page)]
    tenth = [
        (tile.index - 2) * 10 // 28 for tile in tiles
    ]  # of each seed 28 have a score, which rises with the index
    assert tenth == sorted(tenth)
    assert (
        len(set(tiles)) == 56 and min(t.index for t in tiles) == 2
    )  # few enough for all to be shown
    assert "4 of the 60 pictures of this generation have no score by uncertainty" in page
    assert re.findall(r"scores (\S+) to (\S+)", page)[0] == (
        "0.25",
        "0.5",
    )  # of indices 2 to 4: of 28, by tenths
    assert re.findall(r'data-drop="(0\.\d)"', page) == [f"0.{k}" for k in range(1, 10)]
    clip = client.get("/audit?open=yes&score=clip").text
    assert "no score" not in clip
    lowest = client.served.picture[re.search(r'id="p-(\w+)"', clip)[1]]
    assert lowest.index in (27, 28, 29)  # its score is lowest where the index is highest


def test_another_site_cannot_open_the_audit_for_a_rater(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    page = client.get("/audit?open=yes", **headers).text
    assert "would tell you what the study asks" in page
    assert not (client.served.material.workdir / "choices.jsonl").exists()


def test_a_chosen_rate_is_kept_and_shown_again(client):
    assert client.post("/choice", score="clip", bin=3).json == {"drop": 0.3}
    choice = json.loads((client.served.material.workdir / "choices.jsonl").read_text())
    assert choice.pop("time").endswith("+00:00")
    assert choice == {"rater": "ada", "generation": 2, "score": "clip", "drop": 0.3}
    for path in (
        "/audit?open=yes",
        "/audit?open=yes&score=clip",
    ):  # a second look is no second line
        client.get(path)
    assert len((client.served.material.workdir / "choices.jsonl").read_text().splitlines()) == 2
    assert 'data-drop="0.3"></div>' in client.get("/audit?open=yes&score=clip").text
    assert 'data-drop=""></div>' in client.get("/audit?open=yes&score=uncertainty").text


def test_no_rate_is_offered_among_equal_scores(make, workdir):
    """Scores of whole numbers, 0 to 4, of 28 pictures of each seed: 3, 7, 9, 7 and 2 of the same
    score.
    """
    client = Client(make(fake.write(workdir.parent / "ties", digits=0)))
    page = re.sub(r"\s+", " ", client.get("/audit?open=yes").text)
    assert "Some pictures have the same score by uncertainty" in page
    # By tenths, 3 6 9 12 14 17 20 23 26 pictures of a seed would go: at 3 and 26 the score changes.
    assert re.findall(r'data-bin="(\d+)"', page) == ["1", "9"] and page.count("no rate here") == 7
    assert client.post("/choice", score="uncertainty", bin=1).json == {"drop": 0.1}
    assert client.post("/choice", score="uncertainty", bin=2).status_code == 400
    other = client.get("/audit?open=yes&score=clip").text
    assert other.count('class="choose"') == 9 and "same score" not in other
    assert client.post("/choice", score="clip", bin=2).status_code == 200


def test_a_run_that_waits_is_told_of_until_enough_is_voted_on(make, workdir):
    client = Client(make(fake.write(workdir.parent / "waiting", name="human"), share=0.0))
    pictures = client.served.material.pictures
    of_seed = [[picture for picture in pictures if picture.seed == seed] for seed in (0, 1)]

    def notice():
        return re.sub(r"\s+", " ", client.get("/page/1").text)

    assert "waits until 50 % of the generated pictures of each seed have a vote" in notice()
    assert "So far 0 of 60" in notice()
    for picture in of_seed[0] + of_seed[1][:14]:
        client.vote(picture)
    assert (
        "So far 44 of 60" in notice() and "start it again" not in notice()
    )  # each seed must have its half
    client.vote(of_seed[1][14])
    assert "start it again with the same command" in notice()
    assert "not made by a model" not in notice()  # nothing is mixed in

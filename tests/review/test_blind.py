"""Which votes are blind, and that what raters say knowing more counts for the filter alone."""

import html
import json
import re

from jaxloop.provenance import study, votes
from tests.review import fake
from tests.review.client import Client


def given(client) -> list[votes.Vote]:
    return votes.read(client.served.material.workdir)


def opened(client) -> list[tuple]:
    path = client.served.material.workdir / "choices.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [
        (line["rater"], line["generation"], line["opened"])
        for line in lines
        if line["time"].endswith("+00:00")
    ]


def shown(client, path: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", client.get(path).text)))


def audited(client) -> list:
    """The pictures that the audit shows."""
    page = client.get("/audit?open=yes").text
    return [client.served.picture[identity] for identity in re.findall(r'id="p-(\w+)"', page)]


def test_votes_in_an_early_audit_are_not_blind_and_no_detection(client):
    """A rater who guesses, then opens the audit and drops what it shows: all of it generated, as
    the rater knows.
    """
    pictures = client.served.material.block
    for i, picture in enumerate(sorted(pictures)[:-1]):
        client.vote(picture, ("keep", "drop")[i % 2])
    before = study.detection(votes.standing(given(client)))
    known = audited(client)
    assert len(known) > 50 and opened(client) == [("ada", 2, "audit")]
    for picture in known:
        client.vote(picture, "drop")
    client.vote(sorted(pictures)[-1], "keep")  # in the study, but after the audit
    assert [vote.blind for vote in given(client)] == [True] * 75 + [False] * (len(known) + 1)

    standing, blind = votes.standing(given(client)), votes.blind(given(client))
    assert study.detection(blind) == before and not before[0].differs
    assert study.detection(standing)[0].differs  # what it would have been
    (row,) = re.findall(r"ada ([\d.]+) % of (\d+) ([\d.]+) % of (\d+)", shown(client, "/summary"))
    assert (float(row[0]), float(row[2])) == (
        round(100 * before[0].hits, 1),
        round(100 * before[0].false_alarms, 1),
    )
    assert [int(row[1]) + int(row[3])] == [75]  # the last vote was not blind
    assert f"ada 76 of 76 {standing_of(standing)} 75" in shown(client, "/summary")


def standing_of(standing) -> str:
    """What the table of votes says of them."""
    dropped = sum(vote.verdict == "drop" for vote in standing.values())
    return f"{len(standing) - dropped} {dropped}"


def test_an_opening_is_remembered_by_the_next_start_of_the_server_and_of_its_rater_alone(
    client, make
):
    client.get("/audit?open=yes")
    pictures = client.served.material.block
    for rater, picture in (("ada", pictures[0]), ("bob", pictures[1])):
        Client(make(), rater).vote(picture)
    Client(make(generation=1)).vote(make(generation=1).extensions["review"].material.block[0])
    assert [(vote.rater, vote.blind) for vote in given(client)] == [
        ("ada", False),
        ("bob", True),
        ("ada", True),
    ]


def test_what_shows_nothing_is_no_opening(make, workdir):
    client = Client(make())
    for path in ("/audit", "/summary", "/page/1", "/audit?open=no", "/audit?score=clip"):
        assert client.get(path).status_code == 200
    nothing = Client(make(fake.write(workdir.parent / "waiting", name="human", scores=())))
    assert "None of the 60 pictures of this generation has a score" in shown(
        nothing, "/audit?open=yes"
    )
    for each in (client, nothing):
        each.vote(each.served.material.block[0])
        assert opened(each) == [] and given(each)[0].blind


def test_a_vote_is_blind_until_the_rater_has_seen_the_summary(client):
    first, second, third, *_ = client.served.material.block
    client.vote_on_all()
    client.vote(first, "drop")  # thought better of: nothing is told yet
    assert all(vote.blind for vote in given(client)) and opened(client) == []
    client.get("/summary")
    client.get("/summary")
    assert opened(client) == [("ada", 2, "summary")]
    client.vote(second, "drop")
    client.vote(third, "drop")
    client.post("/undo")
    assert [vote.blind for vote in given(client)][-3:] == [False] * 3
    blind = votes.blind(given(client))
    assert [blind["ada", *picture[:2]].verdict for picture in (first, second, third)] == [
        "drop",
        "keep",
        "keep",
    ]
    assert ("ada", *third[:2]) not in votes.standing(given(client))


def test_an_undo_takes_a_blind_vote_back(client):
    picture = client.served.material.block[0]
    client.vote(picture)
    client.post("/undo")
    assert votes.blind(given(client)) == {} and [vote.blind for vote in given(client)] == [
        True,
        True,
    ]

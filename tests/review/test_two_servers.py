"""Two servers on one workdir: what one decides, it decides on what the other has written."""

import subprocess
import sys
import threading

import pytest

from jaxloop.provenance import votes
from jaxloop.review import choices
from tests.review.client import Client
from tests.review.process import ROOT

# Takes votes of ada back, once it is told to begin, and says which.
UNDOER = """
import sys
from jaxloop.review import app, material
application = app.create(material.load(sys.argv[1], None, 0.2), 5000, "ada")
client, review = application.test_client(), application.extensions["review"]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(30):
    answer = client.post("/undo", base_url="http://127.0.0.1:5000", json={"rater": "ada"},
                         headers={app.TOKEN: review.token})
    print(*review.picture[answer.json["picture"]][:2])
"""


def test_undos_through_both_take_every_vote_back_once(client):
    workdir, pictures = client.served.material.workdir, client.served.material.pictures
    client.vote_on_all()
    command = [sys.executable, "-c", UNDOER, str(workdir)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    servers = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    assert [server.stdout.readline() for server in servers] == ["ready\n"] * 2
    for server in servers:
        server.stdin.write("go\n")
        server.stdin.flush()
    undone = [line for server in servers for line in server.communicate()[0].splitlines()]
    assert len(undone) == len(set(undone)) == 60
    standing = votes.standing(votes.read(workdir))
    assert list(standing) == [("ada", *picture[:2]) for picture in pictures[:16]]


def test_undos_at_once_in_one_process_without_locks_of_the_file_system(client, make, monkeypatch):
    monkeypatch.setattr("jaxloop.files.lock", lambda *_, **__: True)
    client.vote_on_all()
    undone = []

    def undo(other):
        for _ in range(10):
            undone.append(other.served.picture[other.post("/undo").json["picture"]])

    threads = [threading.Thread(target=undo, args=(Client(make()),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(undone) == len(set(undone)) == 40


def test_an_opening_is_written_once(client, make):
    other = Client(make())
    for each in (client, other, client):
        each.get("/audit?open=yes")
    path = client.served.material.workdir / choices.FILE
    assert path.read_text().count("opened") == 1


@pytest.mark.parametrize("file", [votes.FILE, choices.FILE])
def test_a_link_out_of_the_workdir_is_refused(client, make, file):
    workdir = client.served.material.workdir
    elsewhere = workdir.parent / "elsewhere"
    elsewhere.touch()
    (workdir / file).symlink_to(elsewhere)
    for answer in (client.vote(client.served.material.pictures[0]), client.get("/audit?open=yes")):
        assert answer.status_code == 500 and "no link" in answer.text
    assert elsewhere.read_bytes() == b""

import itertools
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxloop.errors import InputError
from jaxloop.provenance.votes import EMPTY, append, blind, read, score, standing, tally
from tests.provenance.fake import vote

# Appends votes for as long as it lives, and says which are acknowledged: index 0, 1, 2, ... by
# one rater.
VOTER = """
import itertools, sys
from jaxloop.provenance.votes import Vote, append
workdir, rater, num = sys.argv[1], sys.argv[2], int(sys.argv[3])
for i in itertools.islice(itertools.count(), num or None):
    append(workdir, Vote("2026-01-31T12:00:00+00:00", rater, "a" * 64, 3, "keep", False, 1, 0, i))
    print(i, flush=True)
"""


def voter(workdir, rater, num=0):
    command = [sys.executable, "-c", VOTER, str(workdir), rater, str(num)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_votes_come_back_in_their_order(tmp_path):
    assert read(tmp_path) == [] and tally(tmp_path).torn == 0
    given = [
        vote(),
        vote(verdict="drop", rater='bø"b\n'),
        vote(verdict="undo", real=True, index=5),
        vote(blind=False),
    ]
    for v in given:
        append(tmp_path, v)
    assert read(tmp_path) == given
    lines = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "time": "2026-01-31T12:00:00+00:00", "rater": "ada", "sha256": "a", "class": 0,
        "verdict": "keep", "real": False, "generation": 1, "seed": 0, "index": 0, "blind": True,
    }  # fmt: skip
    assert lines[2]["generation"] is None and len(lines) == 4


def test_each_vote_is_one_write_that_adds_and_is_synced(tmp_path, monkeypatch):
    calls = []
    for name in ("write", "fsync"):
        true = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, true=true: (calls.append(name), true(*a))[1]
        )
    append(tmp_path, vote())
    first = (tmp_path / "votes.jsonl").read_bytes()
    append(tmp_path, vote(verdict="undo"))
    assert calls == ["write", "fsync"] * 2
    assert (tmp_path / "votes.jsonl").read_bytes().startswith(first)


def test_a_torn_line_takes_no_vote_with_it(tmp_path):
    """Whatever a kill left of the last line: it is left out and counted, and all before and after
    it is there.
    """
    path = tmp_path / "votes.jsonl"
    append(tmp_path, vote(index=0))
    first = path.read_bytes()
    for cut in range(1, len(first)):
        path.write_bytes(first + first[:cut])
        whole = cut == len(first) - 1  # but for its newline
        assert (read(tmp_path), tally(tmp_path).torn) == ([vote()] * (1 + whole), 1 - whole)
        for index in (1, 2):
            append(tmp_path, vote(index=index))
        assert [v.index for v in read(tmp_path)] == [0] * (1 + whole) + [1, 2]
        assert tally(tmp_path).torn == 1 - whole
        assert path.read_bytes().startswith(first + first[:cut] + b"\n")


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "maybe"}, {"class": None}, {"class": True}, {"rater": 3}, {"index": 1.5},
        {"real": 0},
        {"seed": None}, {"real": True}, {"real": True, "generation": None}, {"generation": "1"},
        {"note": "hm"},
        {"blind": None}, {"blind": 1},
    ],
)  # fmt: skip
def test_json_that_is_no_vote_is_refused_by_its_line(tmp_path, change):
    append(tmp_path, vote())
    line = json.loads((tmp_path / "votes.jsonl").read_text()) | change
    with open(tmp_path / "votes.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=r"votes.jsonl:2"):
        read(tmp_path)


def test_a_vote_that_does_not_say_whether_it_is_blind_is_refused(tmp_path):
    append(tmp_path, vote())
    line = json.loads((tmp_path / "votes.jsonl").read_text())
    del line["blind"]
    (tmp_path / "votes.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=r"votes.jsonl:1"):
        read(tmp_path)


@pytest.mark.parametrize("line", ["[]", "3", "null", "{}", '"torn"'])
def test_other_json_is_refused(tmp_path, line):
    (tmp_path / "votes.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"votes.jsonl:1"):
        read(tmp_path)


def test_what_could_not_be_read_is_not_appended(tmp_path):
    for wrong in (
        vote(verdict="yes"),
        vote()._replace(seed=None),
        vote()._replace(class_=np.int64(3)),
    ):
        with pytest.raises(InputError, match="vote"):
            append(tmp_path, wrong)
    assert not (tmp_path / "votes.jsonl").exists()


def test_a_vote_written_in_part_is_not_acknowledged(tmp_path, monkeypatch):
    true = os.write
    monkeypatch.setattr(
        os, "write", lambda file, line: true(file, line[:20])
    )  # a disk that is full
    with pytest.raises(OSError, match="in part"):
        append(tmp_path, vote())
    monkeypatch.undo()
    append(tmp_path, vote(index=9))
    assert (read(tmp_path), tally(tmp_path).torn) == ([vote(index=9)], 1)


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    for life in range(3):
        process = voter(tmp_path, f"life {life}")
        said = [process.stdout.readline() for _ in range(6 + life)]
        time.sleep(0.005 * life)
        process.kill()  # SIGKILL
        said += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        acknowledged = [int(line) for line in said if line.endswith("\n")]
        there = [v.index for v in read(tmp_path) if v.rater == f"life {life}"]
        assert len(acknowledged) > 5 and acknowledged == list(range(len(acknowledged)))
        assert there == list(range(len(there))) and len(there) - len(acknowledged) in (0, 1)
    assert len({v.rater for v in read(tmp_path)}) == 3


def test_processes_that_vote_at_once_lose_nothing(tmp_path):
    raters = {"ada": 300, "bob": 300}
    running = [voter(tmp_path, rater, num) for rater, num in raters.items()]
    for process in running:
        assert len(process.communicate()[0].splitlines()) == 300 and process.returncode == 0
    found = read(tmp_path)
    assert (
        tally(tmp_path).torn == 0
        and len((tmp_path / "votes.jsonl").read_text().splitlines()) == 600
    )
    for rater, num in raters.items():
        assert [v.index for v in found if v.rater == rater] == list(range(num))
    swaps = sum(a.rater != b.rater for a, b in itertools.pairwise(found))
    assert swaps > 1  # they did vote at once


def test_the_last_vote_stands_and_an_undo_takes_it_away():
    given = [
        vote("a", "keep"), vote("a", "drop"),  # changed
        vote("b", "keep"), vote("b", "drop"), vote("b", "undo"),  # undone: not back to keep
        vote("c", "undo"), vote("c", "drop"),  # voted again
        vote("a", "keep", rater="bob"), vote("a", "keep", class_=1), vote("d", "undo"),
    ]  # fmt: skip
    assert {key: v.verdict for key, v in standing(given).items()} == {
        ("ada", "a", 0): "drop", ("ada", "c", 0): "drop", ("bob", "a", 0): "keep",
        ("ada", "a", 1): "keep",
    }  # fmt: skip


def test_later_votes_of_who_knows_more_leave_the_blind_ones_as_they_were():
    given = [
        vote("a", "keep"), vote("a", "drop", blind=False),  # changed in the audit
        vote("b", "keep"), vote("b", "drop"), vote("b", "undo", blind=False),
        vote("c", "keep"), vote("c", "undo"), vote("c", "drop", blind=False),
        vote("d", "drop", blind=False), vote("a", "drop", rater="bob", blind=False),
    ]  # fmt: skip
    assert {key: v.verdict for key, v in blind(given).items()} == {
        ("ada", "a", 0): "keep",
        ("ada", "b", 0): "drop",
    }
    assert set(standing(given)) == {
        ("ada", "a", 0),
        ("ada", "c", 0),
        ("ada", "d", 0),
        ("bob", "a", 0),
    }


def test_a_second_look_says_what_a_first_one_would(tmp_path):
    rng = np.random.default_rng(0)
    path, given, seen = tmp_path / "votes.jsonl", [], EMPTY
    for step in range(60):
        for _ in range(rng.integers(3)):
            given.append(
                vote(
                    "abc"[rng.integers(3)],
                    ["keep", "drop", "undo"][rng.integers(3)],
                    blind=rng.random() < 0.5,
                )
            )
            append(tmp_path, given[-1])
        if step % 7 == 3:
            with open(path, "ab") as file:
                file.write(b'{"time": "20')  # torn, and closed by the next append
        seen = tally(tmp_path, seen)
        assert seen == tally(tmp_path)
        assert (seen.votes, seen.standing, seen.blind) == (given, standing(given), blind(given))
    assert seen.torn == tally(tmp_path).torn == 9 and len(given) > 40
    assert tally(tmp_path, seen) == seen
    with pytest.raises(InputError, match=rf"votes.jsonl:{seen.line + 2}\b"):
        with open(path, "a") as file:
            file.write("\n[]\n")
        tally(tmp_path, seen)


def test_what_was_seen_is_not_parsed_again(tmp_path):
    append(tmp_path, vote("a"))
    seen, path = tally(tmp_path), tmp_path / "votes.jsonl"
    path.write_bytes(b"[" * (path.stat().st_size - 1) + b"\n")
    append(tmp_path, vote("b"))
    assert tally(tmp_path, seen).votes == [vote("a"), vote("b")]
    path.unlink()
    assert tally(tmp_path, seen) == EMPTY
    append(tmp_path, vote())
    append(tmp_path, vote())
    append(tmp_path, vote("b"))
    seen = tally(tmp_path)
    path.write_bytes(path.read_bytes()[: seen.end // 3])  # another, shorter file
    assert tally(tmp_path, seen).votes == [vote()]


def test_a_line_that_is_still_written_is_not_lost(tmp_path):
    append(tmp_path, vote("a"))
    line = (tmp_path / "votes.jsonl").read_bytes()
    with open(tmp_path / "votes.jsonl", "ab", buffering=0) as file:
        file.write(line[:50])
        seen = tally(tmp_path)
        assert (len(seen.votes), seen.torn) == (1, 1)
        file.write(line[50:-1])
        seen = tally(tmp_path, seen)
        assert (len(seen.votes), seen.torn) == (2, 0)
        file.write(line[-1:])
    append(tmp_path, vote("b"))
    assert tally(tmp_path, seen) == tally(tmp_path)
    assert tally(tmp_path, seen).votes == [vote("a"), vote("a"), vote("b")]


def test_score_is_the_mean_over_raters():
    given = [
        vote("a", "drop", "ada"), vote("a", "keep", "ada"), vote("a", "keep", "bob"),
        vote("a", "drop", "cyd"), vote("b", "drop", "ada"), vote("c", "keep", "ada"),
        vote("c", "undo", "ada"), vote("a", "drop", class_=1),
    ]  # fmt: skip
    found = score(given, ["a", "b", "c", "x", "a", "a"], np.array([0, 0, 0, 0, 1, 0]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.array([1 / 3, -1, np.nan, np.nan, -1, 1 / 3], np.float32)
    )
    assert score([], [], []).shape == (0,)
    with pytest.raises(ValueError):
        score(given, ["a"], [0, 1])


def test_two_votes_of_one_hash_are_one_vote_of_a_picture_that_occurs_twice():
    """The house's choice: a picture is its pixels, whichever place it came from."""
    twice = [vote("a", "keep"), vote("a", "drop")._replace(generation=2, index=7)]
    assert list(standing(twice).values()) == twice[1:]
    np.testing.assert_array_equal(score(twice, ["a", "a"], [0, 0]), np.float32([-1, -1]))


def test_the_lock_falls_with_the_vote(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        append(tmp_path, vote())
    assert len(os.listdir("/proc/self/fd")) == before
    assert tally(tmp_path).torn == 0

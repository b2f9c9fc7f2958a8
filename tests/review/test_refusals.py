"""What the server refuses and does not find, and how its pages are kept from others' hands."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from jaxloop.provenance import votes
from jaxloop.review import app
from tests.review.client import BASE, Client


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/vote", {"picture": "no such", "verdict": "keep"}, 404),
        ("/vote", {"verdict": "keep"}, 404), ("/vote", {"picture": None, "verdict": "undo"}, 400),
        ("/vote", {"picture": None, "verdict": ["keep"]}, 400),
        ("/choice", {"score": "nobody", "bin": 1}, 400),
        ("/choice", {"score": ["clip"], "bin": 1}, 400),
        ("/choice", {"score": "clip", "bin": 0}, 400),
        ("/choice", {"score": "clip", "bin": 10}, 400),
        ("/choice", {"score": "clip", "bin": "1"}, 400),
        ("/choice", {"score": "clip", "bin": True}, 400),
        ("/choice", {"score": "clip", "bin": [1]}, 400),
        ("/page/1", {}, 405), ("/nowhere", {}, 404),
        ("/vote", {"picture": "x" * 20_000, "verdict": "keep"}, 413),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_nothing_written(client, path, body, status):
    if body.get("picture", "") is None:
        body = body | {"picture": next(iter(client.served.picture))}
    answer = client.post(path, **body)
    assert (answer.status_code, list(answer.json)) == (status, ["error"])
    assert not list(client.served.material.workdir.glob("*s.jsonl"))


@pytest.mark.parametrize("path", ["/vote", "/undo", "/choice", "/name"])
def test_brackets_within_brackets_are_refused(client, path):
    headers = {app.TOKEN: client.served.token, "Content-Type": "application/json"}
    body = "[" * 5000 + "]" * 4999
    answer = client._client.post(path, base_url=BASE, data=body, headers=headers)
    assert (answer.status_code, list(answer.json)) == (400, ["error"])


def test_a_page_of_another_rater_writes_nothing(client):
    """ada's page is open still, and somebody has said another name in the same browser since."""
    workdir, identity = client.served.material.workdir, next(iter(client.served.picture))
    assert client.post("/name", name="bob").status_code == 200
    for path, body in (
        ("/vote", {"picture": identity, "verdict": "drop"}), ("/undo", {}),
        ("/choice", {"score": "clip", "bin": 1}),
    ):  # fmt: skip
        for rater in ("ada", None):
            answer = client.post(path, **body, rater=rater)
            assert (answer.status_code, answer.json) == (
                409,
                {"error": "you are now bob; load this page again"},
            )
    assert not list(workdir.glob("*s.jsonl"))
    assert '<meta name="rater" content="bob">' in client.get("/page/1").text
    assert client.post("/vote", picture=identity, verdict="drop", rater="bob").status_code == 200


def test_a_form_or_a_foreign_page_writes_nothing(client):
    identity, raw = next(iter(client.served.picture)), client._client
    body, token = {"picture": identity, "verdict": "drop"}, {app.TOKEN: client.served.token}
    answers = [
        raw.post("/vote", base_url=BASE, data=body),
        raw.post(
            "/vote", base_url=BASE, json=body, headers=token | {"Origin": "http://evil.example"}
        ),
        raw.post("/vote", base_url="http://evil.example:5000", json=body, headers=token),
        raw.post(
            "/vote", base_url=BASE, data=json.dumps(body), headers=token
        ),  # as a form may: no JSON by its type
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 415]
    assert client.get("/page/1", Host="evil.example:5000").status_code == 403
    assert raw.options("/vote", base_url=BASE).status_code == 405
    assert not votes.read(client.served.material.workdir)


@pytest.mark.parametrize(
    "path",
    [
        "/../config.json", "/%2e%2e/config.json", "/static/../app.py", "/static/%2e%2e/app.py",
        "/static/..%2fapp.py", "/static/", "/static", "//etc/passwd", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/etc/passwd", "/config.json", "/votes.jsonl",
        "/images/g02_s0.png", "/images/real.jsonl", "/provenance/g02_s0.jsonl",
        "/pictures/g02_s0.png", "/pictures/../images/g02_s0.png",
        "/pictures/..%2f..%2fimages%2freal.png", "/pictures/", "/page/0", "/page/3", "/page/-1",
        "/page/1/", "/page//1", "/templates/study.html", "/static/study.html",
        "/audit?score=nobody", "/favicon.ico",
    ],
)  # fmt: skip
def test_what_is_not_served_is_not_found(client, path):
    answer = client.get(path)
    assert (
        answer.status_code == 404
        and answer.text.startswith("404: ")
        and answer.text.count("\n") == 1
    )


def test_every_answer_carries_the_headers(client):
    for path in ("/page/1", "/static/votes.js", "/nowhere", "/", "/summary"):
        headers = client.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert client.get("/static/votes.js").mimetype == "text/javascript"
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_pages_have_no_inline_script_or_style_and_name_no_other_place(client):
    client.vote_on_all()
    for path in ("/name", "/page/1", "/summary", "/audit"):
        page = client.get(path).text
        assert not re.search(
            r"<style|style=|\bon\w+=|javascript:|//", page.replace("<!doctype html>", "")
        )
        scripts = re.findall("<script[^>]*>", page)
        assert all(script.startswith('<script type="module" src="/static/') for script in scripts)


def test_a_broken_vote_file_is_said(client):
    (client.served.material.workdir / "votes.jsonl").write_text('{"rater": "ada"}\n')
    answer = client.get("/page/1")
    assert answer.status_code == 500 and "votes.jsonl:1" in answer.text


@pytest.mark.parametrize(
    "line", ["[]", "3", '{"rater": "ada", "generation": 2, "opened": "audit"}']
)
def test_a_broken_file_of_choices_is_said(client, line):
    (client.served.material.workdir / "choices.jsonl").write_text(line + "\n")
    answer = client.vote(client.served.material.block[0])
    assert answer.status_code == 500 and "choices.jsonl:1" in answer.json["error"]


def test_names_are_text_and_not_markup(make, workdir):
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["class_names"] = ["<script>a", '"&b']
    (workdir / "config.json").write_text(json.dumps(config))
    page = Client(make(), rater="<b>x").get("/page/1").text
    assert "<script>a" not in page and "<b>x" not in page
    assert "&lt;script&gt;a" in page and "&#34;&amp;b" in page


def test_text_stands_out_from_its_ground_in_both_schemes():
    """WCAG 2: a contrast of 4.5 at least."""
    css = Path(app.__file__).with_name("static").joinpath("review.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w+)", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        channel = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
        return np.where(channel <= 0.03928, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4) @ (
            0.2126,
            0.7152,
            0.0722,
        )

    pairs = [
        ("ink", "paper"), ("ink", "wash"), ("soft", "paper"), ("accent", "paper"),
        ("on-accent", "accent"), ("drop", "drop-wash"), ("keep", "keep-wash"), ("ink", "drop-wash"),
        ("ink", "keep-wash"), ("soft", "wash"),
    ]  # fmt: skip
    for scheme in (light, light | dark):
        for ink, ground in pairs:
            dim, bright = sorted((luminance(scheme[ink]), luminance(scheme[ground])))
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, ground)
